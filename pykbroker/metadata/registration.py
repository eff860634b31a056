"""Records → registrations of brokers and controllers (BrokerRegistration, ControllerRegistration)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from pykbroker.ids import DIRECTORY_LOST, DIRECTORY_MIGRATING, DIRECTORY_UNASSIGNED, Endpoint
from pykbroker.metadata.image import BrokerRegistration, ControllerRegistration

if TYPE_CHECKING:
    from pykbroker.metadata.topics import PartitionImage
    from pykbroker.protocol.persisted.metadata.broker_registration_change_record import BrokerRegistrationChangeRecord
    from pykbroker.protocol.persisted.metadata.register_broker_record import RegisterBrokerRecord
    from pykbroker.protocol.persisted.metadata.register_controller_record import RegisterControllerRecord

# org.apache.kafka.common.security.auth.SecurityProtocol, by its id.
SECURITY_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")


class _WireEndpoint(Protocol):
    name: str
    host: str
    port: int
    security_protocol: int


class _WireFeature(Protocol):
    name: str
    min_supported_version: int
    max_supported_version: int


def broker_from(record: "RegisterBrokerRecord") -> BrokerRegistration:
    cordoned = record.cordoned_log_dirs
    return BrokerRegistration(
        id=record.broker_id,
        epoch=record.broker_epoch,
        incarnation_id=record.incarnation_id,
        endpoints=endpoints_from(record.end_points),
        features=features_from(record.features),
        rack=record.rack,
        fenced=record.fenced,
        in_controlled_shutdown=record.in_controlled_shutdown,
        is_migrating_zk_broker=record.is_migrating_zk_broker,
        directories=tuple(record.log_dirs),
        cordoned_directories=None if cordoned is None else tuple(cordoned),
    )


def controller_from(record: "RegisterControllerRecord") -> ControllerRegistration:
    return ControllerRegistration(
        id=record.controller_id,
        incarnation_id=record.incarnation_id,
        zk_migration_ready=record.zk_migration_ready,
        endpoints=endpoints_from(record.end_points),
        features=features_from(record.features),
    )


def change(broker: BrokerRegistration, record: "BrokerRegistrationChangeRecord") -> BrokerRegistration:
    """The registration after the change. Raises ValueError for a value that Kafka does not define."""
    if record.fenced not in (-1, 0, 1):
        raise ValueError(f"unknown value for fenced: {record.fenced}")
    if record.in_controlled_shutdown not in (0, 1):
        raise ValueError(f"unknown value for inControlledShutdown: {record.in_controlled_shutdown}")
    cordoned = record.cordoned_log_dirs
    return broker._replace(
        fenced=broker.fenced if record.fenced == 0 else record.fenced == 1,
        in_controlled_shutdown=broker.in_controlled_shutdown or record.in_controlled_shutdown == 1,
        directories=tuple(record.log_dirs) or broker.directories,
        cordoned_directories=broker.cordoned_directories if cordoned is None else tuple(cordoned),
    )


def has_online_directory(broker: BrokerRegistration, partition: "PartitionImage") -> bool:
    """Whether the broker's replica lies in a directory that it registered (DirectoryId.isOnline)."""
    directory = partition.directory(broker.id)
    if directory in (DIRECTORY_UNASSIGNED, DIRECTORY_MIGRATING):
        return True
    if directory == DIRECTORY_LOST:
        return False
    # Registered before metadata.version 3.7-IV2, without directories: it has them all or has halted (KAFKA-16162).
    return not broker.directories or directory in broker.directories


def endpoints_from(endpoints: Iterable[_WireEndpoint]) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(e.name, security_protocol_name(e.security_protocol), e.host, e.port) for e in endpoints)


def features_from(features: Iterable[_WireFeature]) -> dict[str, tuple[int, int]]:
    return {f.name: (f.min_supported_version, f.max_supported_version) for f in features}


def security_protocol_name(number: int) -> str:
    """Raises ValueError for an unknown number."""
    if not 0 <= number < len(SECURITY_PROTOCOLS):
        raise ValueError(f"unknown security protocol {number}")
    return SECURITY_PROTOCOLS[number]


def security_protocol_number(name: str) -> int:
    return SECURITY_PROTOCOLS.index(name)
