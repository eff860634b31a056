"""What a group or a client metrics subscription may be told (GroupConfig.validate, ClientMetricsConfigs.validate)."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from pykbroker.config.definitions import CLIENT_METRICS, GROUP
from pykbroker.config.topic_config import GroupConfig
from pykbroker.config.types import InvalidValue, parse_valid
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig

# In the order of Kafka's checks: each lies between group.<kind>.min.<rest> and group.<kind>.max.<rest>.
_BOUNDED = (
    "consumer.heartbeat.interval.ms",
    "consumer.session.timeout.ms",
    "consumer.assignment.interval.ms",
    "share.heartbeat.interval.ms",
    "share.session.timeout.ms",
    "share.record.lock.duration.ms",
    "share.delivery.count.limit",
    "share.partition.max.record.locks",
    "share.assignment.interval.ms",
    "streams.heartbeat.interval.ms",
    "streams.session.timeout.ms",
    "streams.num.standby.replicas",
    "streams.assignment.interval.ms",
)
_MAXIMUM = {"streams.num.standby.replicas": "group.streams.max.standby.replicas"}
_CLIENT_ATTRIBUTES = frozenset(
    {
        "client_id",
        "client_instance_id",
        "client_software_name",
        "client_software_version",
        "client_source_address",
        "client_source_port",
    }
)
_INTERVAL_MS = range(100, 3_600_001)


def validate_group(overrides: Mapping[str, str], config: "BrokerConfig") -> None:
    """Raises KafkaError(INVALID_CONFIG) unless a group may have these configs on this broker."""
    for name in overrides:
        if name not in GROUP:
            _refuse(f"Unknown group config name: {name}")
    try:
        group = GroupConfig.build(config, overrides)
    except InvalidValue as error:
        _refuse(str(error))
    for name in _BOUNDED:
        _check_bounds(name, group.get(name), config)
    for kind in ("consumer", "share", "streams"):
        session, heartbeat = f"{kind}.session.timeout.ms", f"{kind}.heartbeat.interval.ms"
        if group.get(heartbeat) >= group.get(session):
            _refuse(f"{session} must be greater than {heartbeat}")


def _check_bounds(name: str, value: int, config: "BrokerConfig") -> None:
    kind, _, rest = name.partition(".")
    minimum, maximum = f"group.{kind}.min.{rest}", _MAXIMUM.get(name, f"group.{kind}.max.{rest}")
    if name not in _MAXIMUM and value < config.get(minimum):
        _refuse(f"{name} must be greater than or equal to {minimum}")
    if value > config.get(maximum):
        _refuse(f"{name} must be less than or equal to {maximum}")


def validate_client_metrics(name: str, overrides: Mapping[str, str]) -> None:
    """Raises KafkaError unless a subscription to client metrics may have this name and these configs (KIP-714)."""
    if not name:
        _refuse("Subscription name can't be empty", ErrorCode.INVALID_REQUEST)
    for key in overrides:
        if key not in CLIENT_METRICS:
            _refuse(f"Unknown client metrics configuration: {key}", ErrorCode.INVALID_REQUEST)
    try:
        values = {key: parse_valid(key, text, CLIENT_METRICS[key]) for key, text in overrides.items()}
    except InvalidValue as error:
        _refuse(str(error))
    if (interval := values.get("interval.ms", _INTERVAL_MS[0])) not in _INTERVAL_MS:
        _refuse(
            f"Invalid value {interval} for interval.ms, interval must be between 100 and 3600000 (1 hour)",
            ErrorCode.INVALID_REQUEST,
        )
    for pattern in values.get("match", ()):
        _check_pattern(pattern)


def _check_pattern(pattern: str) -> None:
    attribute, _, value = pattern.partition("=")
    is_pair = bool(value) and "=" not in value and attribute.strip() in _CLIENT_ATTRIBUTES
    try:
        re.compile(value.strip())
    except re.error:
        is_pair = False
    if not is_pair:
        _refuse(f"Illegal client matching pattern: {pattern}")


def _refuse(message: str, code: int = ErrorCode.INVALID_CONFIG) -> NoReturn:
    raise KafkaError(code, message)
