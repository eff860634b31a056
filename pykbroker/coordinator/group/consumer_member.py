"""A member of a consumer group, as an immutable value: what it said, what it owns, where it stands (KIP-848).

Kafka: ConsumerGroupMember, MemberState.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from pykbroker.ids import Uuid

LEAVE: Final = -1
LEAVE_STATIC: Final = -2

# topic id → partitions
Partitions = Mapping[Uuid, frozenset[int]]
# topic id → partition → epoch in which the member got it
OwnedPartitions = Mapping[Uuid, Mapping[int, int]]
NOTHING: Final[OwnedPartitions] = MappingProxyType({})


class MemberState(IntEnum):
    """The number is the one of ConsumerGroupCurrentMemberAssignmentValue."""

    STABLE = 0
    UNREVOKED_PARTITIONS = 1  # it must give some back before it goes on
    UNRELEASED_PARTITIONS = 2  # it waits for others to give some back
    UNKNOWN = 127  # of a newer version


class ClassicMetadata(NamedTuple):
    """What a member of the classic protocol said in JoinGroup; protocols are (name, metadata) by preference."""

    session_timeout_ms: int
    protocols: tuple[tuple[str, bytes], ...]


class ConsumerMember(NamedTuple):
    """`owned` it may consume, `revoking` it must give back. `regex` is "" without one; epochs as Kafka's."""

    member_id: str
    epoch: int = 0
    previous_epoch: int = -1
    state: MemberState = MemberState.STABLE
    instance_id: str | None = None
    rack_id: str | None = None
    rebalance_timeout_ms: int = -1
    client_id: str = ""
    client_host: str = ""
    topics: frozenset[str] = frozenset()
    regex: str = ""
    assignor: str | None = None
    classic: ClassicMetadata | None = None
    owned: OwnedPartitions = NOTHING
    revoking: OwnedPartitions = NOTHING

    @property
    def uses_classic(self) -> bool:
        return self.classic is not None

    def is_reconciled_to(self, assignment_epoch: int) -> bool:
        return self.state == MemberState.STABLE and self.epoch == assignment_epoch

    def moved_to(self, epoch: int) -> "ConsumerMember":
        """In another epoch, or once more in the same one; the one before is remembered either way."""
        return self._replace(epoch=epoch, previous_epoch=self.epoch)

    def assignment_epoch(self, topic_id: Uuid, partition: int) -> int | None:
        """Since when it holds a partition, which it may have to give back; None: it does not."""
        for partitions in (self.owned, self.revoking):
            epoch = partitions.get(topic_id, {}).get(partition)
            if epoch is not None:
                return epoch
        return None


def without_epochs(owned: OwnedPartitions) -> dict[Uuid, frozenset[int]]:
    return {topic_id: frozenset(partitions) for topic_id, partitions in owned.items()}


def with_epoch(partitions: Partitions, epoch: int) -> dict[Uuid, dict[int, int]]:
    return {topic_id: dict.fromkeys(sorted(rows), epoch) for topic_id, rows in partitions.items()}


def pairs(owned: OwnedPartitions) -> Iterable[tuple[Uuid, int]]:
    return ((topic_id, partition) for topic_id, rows in owned.items() for partition in rows)
