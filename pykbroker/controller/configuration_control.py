"""Changes of dynamic configs: what to write, or why not (ConfigurationControlManager, KIP-339)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pykbroker.config.definitions import BROKER, TOPIC
from pykbroker.config.dynamic import CLUSTER_DEFAULT, config_of
from pykbroker.config.types import LIST, to_text
from pykbroker.config.validate import validate_topic_overrides
from pykbroker.config.validate_group import validate_client_metrics, validate_group
from pykbroker.controller.result import ControllerResult
from pykbroker.controller.topic_control import MIN_INSYNC_REPLICAS, check_size
from pykbroker.errors import KafkaError
from pykbroker.metadata.features import ELR_VERSION
from pykbroker.metadata.image import (
    BROKER_RESOURCE,
    CLIENT_METRICS_RESOURCE,
    GROUP_RESOURCE,
    TOPIC_RESOURCE,
    MetadataImage,
)
from pykbroker.metadata.topic_names import why_invalid
from pykbroker.protocol.enums import AlterConfigOp
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.protocol.message import Message

MAX_VALUE_LENGTH = 32767
_SPLITTABLE = {TOPIC_RESOURCE: TOPIC, BROKER_RESOURCE: BROKER}

Resource = tuple[int, str]  # type, name
Changes = Mapping[str, str | None]  # config → new value, None: removed
Decide = Callable[[Resource], Changes]


class Operation(NamedTuple):
    """One change of IncrementalAlterConfigs; `operation` as in AlterConfigOp."""

    name: str
    operation: int
    value: str | None


class ConfigurationControl:
    """Decisions on one image; `config` is static. Results are errors by resource, None where it was changed."""

    def __init__(self, image: MetadataImage, config: "BrokerConfig", node_id: int) -> None:
        self._image = image
        self._config = config_of(config, image, node_id)

    def incremental_alter(
        self, changes: Mapping[Resource, Sequence[Operation]]
    ) -> ControllerResult[dict[Resource, KafkaError | None]]:
        """Raises KafkaError when the whole request cannot be understood."""
        return self._alter(changes, lambda resource: self._apply(resource, changes[resource]))

    def legacy_alter(
        self, configs: Mapping[Resource, Mapping[str, str]]
    ) -> ControllerResult[dict[Resource, KafkaError | None]]:
        """Each resource gets exactly these configs."""
        return self._alter(configs, lambda resource: self._replace(resource, configs[resource]))

    def _alter(
        self, resources: Iterable[Resource], decide: Decide
    ) -> ControllerResult[dict[Resource, KafkaError | None]]:
        records: list[Message] = []
        results: dict[Resource, KafkaError | None] = {}
        for resource in resources:
            try:
                changes = decide(resource)
                self._check(resource, changes)
            except KafkaError as error:
                if error.code == ErrorCode.UNKNOWN_SERVER_ERROR:
                    raise
                results[resource] = error
                continue
            results[resource] = None
            records.extend(_records(resource, changes))
        if self._elr_enabled:
            records.extend(_clear_elr(records))
        check_size(len(records))
        return ControllerResult(records, results)

    def _apply(self, resource: Resource, operations: Sequence[Operation]) -> Changes:
        stored = self._image.configs.overrides(*resource)
        changes: dict[str, str | None] = {}
        for name, operation, value in operations:
            old = stored.get(name)
            new = _changed(resource, name, operation, old, value)
            # The value that a broker has already is written all the same: it reloads then (KAFKA-14136).
            if new != old or resource[0] == BROKER_RESOURCE:
                changes[name] = new
        return changes

    def _replace(self, resource: Resource, configs: Mapping[str, str]) -> Changes:
        stored = self._image.configs.overrides(*resource)
        is_broker = resource[0] == BROKER_RESOURCE
        changes: dict[str, str | None] = {n: v for n, v in configs.items() if is_broker or v != stored.get(n)}
        changes.update((name, None) for name in stored if name not in configs)
        return changes

    # Checks

    def _check(self, resource: Resource, changes: Changes) -> None:
        """Raises KafkaError unless the resource may be as it is after the changes."""
        configs = dict(self._image.configs.overrides(*resource))
        for name, value in changes.items():
            self._check_min_insync_replicas(resource, name, value)
            if value is None:
                configs.pop(name, None)
            elif len(value) > MAX_VALUE_LENGTH:
                raise KafkaError(
                    ErrorCode.INVALID_CONFIG,
                    "The configuration value cannot be added because it exceeds the maximum value size of "
                    f"{MAX_VALUE_LENGTH} bytes.",
                )
            else:
                configs[name] = value
        self._check_configs(resource, configs)

    def _check_min_insync_replicas(self, resource: Resource, name: str, value: str | None) -> None:
        """With ELR it is one value for the cluster, or the topic's (KIP-966)."""
        if name != MIN_INSYNC_REPLICAS or resource[0] != BROKER_RESOURCE or not self._elr_enabled:
            return
        if resource[1] != CLUSTER_DEFAULT:
            raise KafkaError(
                ErrorCode.INVALID_CONFIG, "Broker-level min.insync.replicas cannot be altered while ELR is enabled."
            )
        if value is None:
            raise KafkaError(
                ErrorCode.INVALID_CONFIG, "Cluster-level min.insync.replicas cannot be removed while ELR is enabled."
            )

    def _check_configs(self, resource: Resource, configs: Mapping[str, str]) -> None:
        kind, name = resource
        if kind == TOPIC_RESOURCE:
            self._check_topic(name, configs)
        elif kind == BROKER_RESOURCE:
            self._check_broker(name)
        elif kind == CLIENT_METRICS_RESOURCE:
            validate_client_metrics(name, configs)
        elif kind == GROUP_RESOURCE:
            if not name:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "Default group resources are not allowed.")
            validate_group(configs, self._config)
        else:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown resource type {kind}")

    def _check_topic(self, name: str, configs: Mapping[str, str]) -> None:
        if not name:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Default topic resources are not allowed.")
        reason = why_invalid(name)
        if reason is not None:
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, reason)
        validate_topic_overrides(configs, self._config)
        if name not in self._image.topics:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{name}' does not exist.")

    def _check_broker(self, name: str) -> None:
        if name == CLUSTER_DEFAULT:
            return
        if not name.removeprefix("-").isdecimal():
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Unable to parse broker name as a base 10 number.")
        if int(name) < 0:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Invalid negative broker ID.")
        if int(name) not in self._image.brokers and int(name) not in self._image.controllers:
            raise KafkaError(ErrorCode.BROKER_ID_NOT_REGISTERED, f"No node with id {int(name)} found.")

    @property
    def _elr_enabled(self) -> bool:
        return self._image.features.level(ELR_VERSION) >= 1


def _changed(resource: Resource, name: str, operation: int, old: str | None, value: str | None) -> str | None:
    """The value after one operation. Raises KafkaError."""
    if operation == AlterConfigOp.SET:
        return value
    if operation == AlterConfigOp.DELETE:
        return None
    if operation not in (AlterConfigOp.APPEND, AlterConfigOp.SUBTRACT):
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)  # as Kafka: it stumbles over a number that is no operation
    row = _SPLITTABLE.get(resource[0], {}).get(name)
    if row is None or row[0] != LIST:
        raise KafkaError(
            ErrorCode.INVALID_CONFIG,
            f"Can't {AlterConfigOp(operation).name} to key {name} because its type is not LIST.",
        )
    default = "" if row[1] is None else to_text(row[1])
    parts = [part for part in (default if old is None else old).split(",") if part]
    for part in _java_split(value or ""):
        if operation == AlterConfigOp.SUBTRACT:
            if part in parts:
                parts.remove(part)
        elif part not in parts:
            parts.append(part)
    return ",".join(parts)


def _java_split(text: str) -> list[str]:
    """String.split(","): without the empty parts at the end, but for an empty text."""
    return text.rstrip(",").split(",") if text.strip(",") or not text else []


def _records(resource: Resource, changes: Changes) -> "list[Message]":
    from pykbroker.protocol.persisted.metadata.config_record import ConfigRecord

    kind, name = resource
    return [ConfigRecord(resource_type=kind, resource_name=name, name=key, value=v) for key, v in changes.items()]


def _clear_elr(records: "Iterable[Message]") -> "list[Message]":
    """Another min.insync.replicas takes the meaning from the replicas that were remembered under the old one."""
    from pykbroker.protocol.persisted.metadata.clear_elr_record import ClearElrRecord
    from pykbroker.protocol.persisted.metadata.config_record import ConfigRecord

    cleared: list[Message] = []
    for record in records:
        if isinstance(record, ConfigRecord) and record.name == MIN_INSYNC_REPLICAS:
            is_topic = record.resource_type == TOPIC_RESOURCE
            cleared.append(ClearElrRecord(topic_name=record.resource_name if is_topic else ""))
    return cleared
