"""New partitions, placed by hand or by the placer, with their first leader and ISR (ReplicationControlManager)."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pykbroker.controller.replica_placement import place, usable_brokers
from pykbroker.errors import KafkaError
from pykbroker.ids import DIRECTORY_MIGRATING, DIRECTORY_UNASSIGNED, Uuid
from pykbroker.metadata.features import allows_directories
from pykbroker.metadata.image import BrokerRegistration, MetadataImage
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord


def is_active(image: MetadataImage) -> Callable[[int], bool]:
    """Which brokers may be in an ISR now."""
    brokers: Mapping[int, BrokerRegistration] = image.brokers

    def active(broker_id: int) -> bool:
        broker = brokers.get(broker_id)
        return broker is not None and broker.is_active

    return active


def manual_assignment(image: MetadataImage, index: int, replicas: Sequence[int], factor: int | None) -> list[int]:
    """The ISR of a partition that the client placed itself. Raises KafkaError(INVALID_REPLICA_ASSIGNMENT).

    `factor` is the number of replicas of the partitions before it, None for the first.
    """
    check_replicas(image, replicas, factor)
    isr = [replica for replica in replicas if is_active(image)(replica)]
    if not isr:
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "All brokers specified in the manual partition assignment for "
            f"partition {index} are fenced or in controlled shutdown.",
        )
    return isr


def check_replicas(image: MetadataImage, replicas: Sequence[int], factor: int | None) -> None:
    """Raises KafkaError(INVALID_REPLICA_ASSIGNMENT): no, unknown or repeated brokers, or not as many as before."""
    if not replicas:
        raise _bad_assignment("includes an empty replica list.")
    previous = None
    for replica in sorted(replicas):
        if replica not in image.brokers:
            raise _bad_assignment(f"includes broker {replica}, but no such broker is registered.")
        if replica == previous:
            raise _bad_assignment(f"includes the broker {replica} more than once.")
        previous = replica
    if factor is not None and len(replicas) != factor:
        raise _bad_assignment(
            f"includes a partition with {len(replicas)} replica(s), but this is not consistent with previous "
            f"partitions, which have {factor} replica(s)."
        )


def placed(
    image: MetadataImage, count: int, factor: int, rng: random.Random
) -> list[tuple[Sequence[int], Sequence[int]]]:
    """(replicas, ISR) of `count` new partitions. Raises KafkaError(INVALID_REPLICATION_FACTOR)."""
    active = is_active(image)
    result: list[tuple[Sequence[int], Sequence[int]]] = []
    for replicas in place(usable_brokers(image.brokers.values()), count, factor, rng):
        isr = [replica for replica in replicas if active(replica)]
        if not isr:
            raise KafkaError(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                f"Unable to replicate the partition {factor} time(s): All brokers are currently fenced or in "
                "controlled shutdown.",
            )
        result.append((replicas, isr))
    return result


def partition_record(
    image: MetadataImage, topic_id: Uuid, index: int, replicas: Sequence[int], isr: Sequence[int]
) -> "PartitionRecord":
    """The record of a new partition, led by the first of its ISR."""
    from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord

    record = PartitionRecord(
        partition_id=index,
        topic_id=topic_id,
        replicas=list(replicas),
        isr=list(isr),
        leader=isr[0],
        leader_epoch=0,
        partition_epoch=0,
    )
    if allows_directories(image.features.metadata_version):
        record.directories = [default_directory(image, replica) for replica in replicas]
    return record


def default_directory(image: MetadataImage, broker_id: int) -> Uuid:
    """The only log directory of a broker; unassigned when it has several, for then the broker chooses (KIP-858)."""
    if not allows_directories(image.features.metadata_version):
        return DIRECTORY_MIGRATING
    broker = image.brokers.get(broker_id)
    if broker is None:
        return DIRECTORY_UNASSIGNED  # who is not registered is refused elsewhere, with a better message
    if not broker.directories:
        return DIRECTORY_MIGRATING
    return broker.directories[0] if len(broker.directories) == 1 else DIRECTORY_UNASSIGNED


def _bad_assignment(what: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"The manual partition assignment {what}")
