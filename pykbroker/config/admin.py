"""What the broker itself checks of AlterConfigs and IncrementalAlterConfigs before it forwards (ConfigAdminManager)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pykbroker.config import loggers
from pykbroker.config.broker_updates import validate_update
from pykbroker.config.definitions import BROKER
from pykbroker.config.dynamic import CLUSTER_DEFAULT, accepted
from pykbroker.config.types import LIST, to_text
from pykbroker.errors import KafkaError
from pykbroker.protocol.enums import AlterConfigOp, ConfigResourceType
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.config.dynamic import DynamicBrokerConfig
    from pykbroker.metadata.image import MetadataImage

_STORED = (ConfigResourceType.TOPIC, ConfigResourceType.CLIENT_METRICS, ConfigResourceType.GROUP)
# Java's Integer.parseInt.
_INT_RANGE = range(-(1 << 31), 1 << 31)


class Row(Protocol):
    """A resource of either request; its configs have name and value, and in one of them config_operation."""

    resource_type: int
    resource_name: str
    configs: list[Any]


Errors = dict[int, KafkaError | None]  # position in the request → its answer, None: done


class ConfigAdmin:
    """One request as this broker sees it. What it answers by itself is not forwarded."""

    def __init__(self, node_id: int, configs: "DynamicBrokerConfig", image: "MetadataImage") -> None:
        self._node_id = node_id
        self._configs = configs
        self._image = image

    def preprocess_legacy(self, rows: Sequence[Row]) -> Errors:
        """Answers of the resources that are finished."""
        return _each(rows, self._legacy)

    def preprocess_incremental(self, rows: Sequence[Row], *, validate_only: bool) -> Errors:
        return _each(rows, lambda row: self._incremental(row, validate_only=validate_only))

    def _legacy(self, row: Row) -> bool:
        _check_configs(row, row.configs)
        if row.resource_type == ConfigResourceType.BROKER:
            self._check_broker_name(row.resource_name)
            proposed = {config.name: config.value for config in row.configs}
            validate_update(self._configs, proposed, per_broker=row.resource_name != CLUSTER_DEFAULT)
        elif row.resource_type not in _STORED:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown resource type {row.resource_type}")
        return False

    def _incremental(self, row: Row, *, validate_only: bool) -> bool:
        _check_configs(row, [c for c in row.configs if c.config_operation != AlterConfigOp.DELETE])
        if row.resource_type == ConfigResourceType.BROKER_LOGGER:
            self._alter_loggers(row, validate_only=validate_only)
            return True
        if row.resource_type == ConfigResourceType.BROKER:
            self._check_broker_name(row.resource_name)
            per_broker = row.resource_name != CLUSTER_DEFAULT
            stored = accepted(self._image.configs.broker(row.resource_name), per_broker=per_broker)
            validate_update(self._configs, _after(stored, row.configs), per_broker=per_broker)
        elif row.resource_type not in _STORED:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown resource type {row.resource_type}")
        return False

    def _check_broker_name(self, name: str) -> None:
        if name != CLUSTER_DEFAULT and _node_id(name) != self._node_id:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST, f"Unexpected broker id, expected {self._node_id}, but received {name}"
            )

    def _alter_loggers(self, row: Row, *, validate_only: bool) -> None:
        if _node_id(row.resource_name) != self._node_id:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                f"Unexpected node id. Expected {self._node_id}, but received {row.resource_name}",
            )
        operations = [(config.name, config.config_operation, config.value) for config in row.configs]
        loggers.check(operations)
        if not validate_only:
            loggers.apply(operations)


def _each(rows: Sequence[Row], answer: Callable[[Row], bool]) -> Errors:
    counts: dict[tuple[int, str], int] = {}
    for row in rows:
        resource = row.resource_type, row.resource_name
        counts[resource] = counts.get(resource, 0) + 1
    results: Errors = {}
    for position, row in enumerate(rows):
        try:
            if counts[row.resource_type, row.resource_name] > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "Each resource must appear at most once.")
            if answer(row):
                results[position] = None
        except KafkaError as error:
            results[position] = error
    return results


def _check_configs(row: Row, with_value: Iterable[Any]) -> None:
    names = [config.name for config in row.configs]
    if len(set(names)) != len(names):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")
    nulls = [config.name for config in with_value if config.value is None]
    if nulls:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Null value not supported for : {', '.join(nulls)}")


def _node_id(name: str) -> int:
    try:
        number = int(name)
    except ValueError:
        number = None
    if number is None or number not in _INT_RANGE or not name.lstrip("+-").isdecimal():
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Node id must be an integer, but it is: {name}")
    return number


def _after(stored: Mapping[str, str], operations: Iterable[Any]) -> dict[str, str]:
    """The configs of a broker after the operations. Raises KafkaError for one that cannot be."""
    result = dict(stored)
    for config in operations:
        name, operation = config.name, config.config_operation
        if operation == AlterConfigOp.SET:
            result[name] = config.value
        elif operation == AlterConfigOp.DELETE:
            result.pop(name, None)
        elif operation in (AlterConfigOp.APPEND, AlterConfigOp.SUBTRACT):
            result[name] = _combined(name, AlterConfigOp(operation), result.get(name), config.value)
        else:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown operations type {operation}")
    return result


def _combined(name: str, operation: AlterConfigOp, old: str | None, value: str) -> str:
    row = BROKER.get(name)
    if row is None:
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"Unknown config name: {name}")
    if row[0] != LIST:
        raise KafkaError(
            ErrorCode.INVALID_CONFIG,
            f"Config value {operation.name.lower()} is not allowed for config key: {name}",
        )
    if old is None:
        old = "" if row[1] is None else to_text(row[1])
    parts, given = [part for part in old.split(",") if part], value.split(",")
    if operation == AlterConfigOp.SUBTRACT:
        return ",".join(part for part in parts if part not in given)
    return ",".join(parts + [part for part in given if part not in parts])
