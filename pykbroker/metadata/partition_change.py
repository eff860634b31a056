"""PartitionRecord and PartitionChangeRecord → PartitionImage, and back (PartitionRegistration)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pykbroker.ids import DIRECTORY_MIGRATING, Uuid
from pykbroker.metadata.topics import PartitionImage

if TYPE_CHECKING:
    from pykbroker.protocol.persisted.metadata.partition_change_record import PartitionChangeRecord
    from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord

NO_LEADER_CHANGE = -2
NO_RECOVERY_CHANGE = -1


def partition_from(record: "PartitionRecord") -> PartitionImage:
    """Raises ValueError when directories and replicas differ in number."""
    return PartitionImage(
        replicas=tuple(record.replicas),
        directories=_directories(record.directories, len(record.replicas)),
        isr=tuple(record.isr),
        removing_replicas=tuple(record.removing_replicas),
        adding_replicas=tuple(record.adding_replicas),
        leader=record.leader,
        leader_recovery_state=record.leader_recovery_state,
        leader_epoch=record.leader_epoch,
        partition_epoch=record.partition_epoch,
        elr=tuple(record.eligible_leader_replicas or ()),
        last_known_elr=tuple(record.last_known_elr or ()),
    )


def merge(partition: PartitionImage, change: "PartitionChangeRecord") -> PartitionImage:
    """The partition after `change`. It bumps the partition epoch; naming a leader, even the same, the leader epoch."""
    replicas = _or(change.replicas, partition.replicas)
    leader_changes = change.leader != NO_LEADER_CHANGE
    recovery = change.leader_recovery_state
    directories = partition.directories if change.directories is None else change.directories
    return PartitionImage(
        replicas=replicas,
        directories=_directories(directories, len(replicas)),
        isr=_or(change.isr, partition.isr),
        removing_replicas=_or(change.removing_replicas, partition.removing_replicas),
        adding_replicas=_or(change.adding_replicas, partition.adding_replicas),
        leader=change.leader if leader_changes else partition.leader,
        leader_recovery_state=partition.leader_recovery_state if recovery == NO_RECOVERY_CHANGE else recovery,
        leader_epoch=partition.leader_epoch + (1 if leader_changes else 0),
        partition_epoch=partition.partition_epoch + 1,
        elr=_or(change.eligible_leader_replicas, partition.elr),
        last_known_elr=_or(change.last_known_elr, partition.last_known_elr),
    )


def clear_elr(partition: PartitionImage) -> PartitionImage:
    """What ClearElrRecord does to a partition: nothing when there is no ELR, else a change like any other."""
    if not partition.elr and not partition.last_known_elr:
        return partition
    return partition._replace(elr=(), last_known_elr=(), partition_epoch=partition.partition_epoch + 1)


def _or(changed: Sequence[int] | None, present: tuple[int, ...]) -> tuple[int, ...]:
    return present if changed is None else tuple(changed)


def _directories(directories: Sequence[Uuid], replicas: int) -> tuple[Uuid, ...]:
    if all(directory == DIRECTORY_MIGRATING for directory in directories):
        return (DIRECTORY_MIGRATING,) * replicas
    if len(directories) != replicas:
        raise ValueError(f"{len(directories)} directories for {replicas} replicas")
    return tuple(directories)
