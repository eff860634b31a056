"""What the group coordinator demands of a broker's settings (GroupCoordinatorConfig.validate, clampDynamicConfigs)."""

import logging
from typing import TYPE_CHECKING, Final

from pykbroker.config.validate_node import require

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig

LOG = logging.getLogger("pykbroker.config")

_KINDS: Final = ("consumer", "share", "streams")
_HEARTBEAT: Final = "heartbeat.interval.ms"
_SESSION: Final = "session.timeout.ms"
_ASSIGNMENT: Final = "assignment.interval.ms"


def check_coordinator(config: "BrokerConfig") -> None:
    """In Kafka's words and order: clients hear them of dynamic changes. Raises ConfigError."""
    for kind in _KINDS:
        _check_bounds(config, kind, _HEARTBEAT)
        _check_bounds(config, kind, _SESSION)
        heartbeat, session = f"group.{kind}.{_HEARTBEAT}", f"group.{kind}.{_SESSION}"
        require(config.get(heartbeat) < config.get(session), f"{heartbeat} must be less than {session}")
        _check_bounds(config, kind, _ASSIGNMENT)
    require(
        config.group_streams_num_standby_replicas <= config.group_streams_max_standby_replicas,
        "group.streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas",
    )


def _check_bounds(config: "BrokerConfig", kind: str, rest: str) -> None:
    name, low, high = _bounds(kind, rest)
    value, minimum, maximum = config.get(name), config.get(low), config.get(high)
    require(maximum >= minimum, f"{high} must be greater than or equal to {low}")
    require(value >= minimum, f"{name} must be greater than or equal to {low}")
    require(value <= maximum, f"{name} must be less than or equal to {high}")


def _bounds(kind: str, rest: str) -> tuple[str, str, str]:
    return f"group.{kind}.{rest}", f"group.{kind}.min.{rest}", f"group.{kind}.max.{rest}"


def clamp_intervals(config: "BrokerConfig") -> "BrokerConfig":
    """Dynamic assignment intervals within what the broker was started with: the bounds may have changed since."""
    capped: dict[str, str] = {}
    for kind in _KINDS:
        name, low, high = _bounds(kind, _ASSIGNMENT)
        value = config.get(name)
        effective = max(config.get(low), min(value, config.get(high)))
        if effective != value:
            LOG.warning("%s=%d is beyond %s or %s: %d counts instead", name, value, low, high, effective)
            capped[name] = str(effective)
    return config.with_overrides(capped) if capped else config
