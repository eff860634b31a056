"""Whether the broker can take another dynamic config while it runs (DynamicBrokerConfig.validate)."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NoReturn

from pykbroker.config.definitions import BROKER
from pykbroker.config.dynamic import BrokerLevels, effective
from pykbroker.config.errors import ConfigError
from pykbroker.config.known_names import SECURITY_CONFIGS, base_name, is_per_broker, row_of
from pykbroker.config.types import CLASS, READ_ONLY, InvalidValue, parse_valid
from pykbroker.config.validate import validate_values
from pykbroker.config.validate_coordinator import check_coordinator
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.config.dynamic import DynamicBrokerConfig

_KAFKA_CLASSES = "org.apache.kafka."
# Pools of threads in Kafka; a change must stay between half and double.
_THREADS = (
    "background.threads",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
    "remote.log.reader.threads",
)
# Sockets are bound once, at start.
_FIXED = ("listeners", "listener.security.protocol.map")


def validate_update(configs: "DynamicBrokerConfig", proposed: Mapping[str, str], *, per_broker: bool) -> None:
    """`proposed`: all configs that this broker, or all of them, would have. Raises KafkaError(INVALID_REQUEST)."""
    _check_names(proposed, per_broker=per_broker)
    for name, value in proposed.items():
        _check_value(name, value)
    if not per_broker:
        _refuse_any(
            filter(is_per_broker, proposed),
            "Cannot update these configs at default cluster level, broker id must be specified",
        )
    levels = configs.levels
    levels = levels._replace(broker=proposed) if per_broker else levels._replace(cluster=proposed)
    _check_together(configs, levels)


def _check_names(proposed: Mapping[str, str], *, per_broker: bool) -> None:
    read_only = (name for name in proposed if name in BROKER and BROKER[name][3] == READ_ONLY)
    _refuse_any(read_only, "Cannot update these configs dynamically")
    _refuse_any(
        (name for name in proposed if name in SECURITY_CONFIGS),
        "These security configs can be dynamically updated only per-listener using the listener prefix",
    )


def _check_value(name: str, value: str) -> None:
    row = row_of(name)
    if row is None:
        return
    try:
        parse_valid(name if name in BROKER else base_name(name) or name, value, row)
    except InvalidValue as error:
        _refuse(str(error))
    if row[0] == CLASS and value and not value.startswith(_KAFKA_CLASSES):
        _refuse(f"Invalid value {value} for configuration {name}: Class {value} could not be found.")


def _check_together(configs: "DynamicBrokerConfig", levels: BrokerLevels) -> None:
    current, proposed = configs.current, effective(configs.static, levels)
    try:
        validate_values(proposed)
    except ConfigError as error:
        _refuse(f"requirement failed: {error}")
    try:
        check_coordinator(proposed)
    except ConfigError as error:
        _refuse(str(error))
    for name in _THREADS:
        _check_threads(name, current.get(name), proposed.get(name))
    _check_cleaner_threads(current.log_cleaner_threads, proposed.log_cleaner_threads)
    _check_fixed(current, proposed)


def _check_threads(name: str, old: int, new: int) -> None:
    failed = f"Dynamic thread count update validation failed for {name}={new}, value should"
    if new < old // 2:
        _refuse_update(f"{failed} be at least half the current value {old}")
    if new > old * 2:
        _refuse_update(f"{failed} not be greater than double the current value {old}")


def _check_cleaner_threads(old: int, new: int) -> None:
    if new < old // 2:
        _refuse_update(f"Log cleaner threads cannot be reduced to less than half the current value {old}")
    if new > old * 2:
        _refuse_update(f"Log cleaner threads cannot be increased to more than double the current value {old}")


def _check_fixed(current: "BrokerConfig", proposed: "BrokerConfig") -> None:
    for name in _FIXED:
        if proposed.get(name) != current.get(name):
            _refuse_update(f"{name} cannot change while this broker runs; change it at start")
    if proposed.metric_reporters != current.metric_reporters:
        _refuse_update(
            "Validation of dynamic config update of Set(metric.reporters) failed with class "
            "class kafka.server.DynamicMetricsReporters"
        )


def _refuse_any(names: Iterable[str], message: str) -> None:
    found = list(names)
    if found:
        _refuse(f"{message}: [{', '.join(found)}]")


def _refuse_update(reason: str) -> NoReturn:
    """In the words in which Kafka wraps the veto of a part of the broker."""
    _refuse(
        f"Invalid value org.apache.kafka.common.config.ConfigException: {reason} "
        "for configuration Invalid dynamic configuration"
    )


def _refuse(message: str) -> NoReturn:
    raise KafkaError(ErrorCode.INVALID_REQUEST, message)
