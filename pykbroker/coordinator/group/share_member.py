"""A member of a share group, as an immutable value: what it said, what it may fetch, where it stands (KIP-932).

Kafka: ShareGroupMember.
"""

from types import MappingProxyType
from typing import Final, NamedTuple

from pykbroker.coordinator.group.consumer_member import MemberState, Partitions

NOTHING: Final[Partitions] = MappingProxyType({})


class ShareMember(NamedTuple):
    """`assigned` it fetches, along with others. Nobody gives anything back first, so there are no steps on the way."""

    member_id: str
    epoch: int = 0
    previous_epoch: int = -1
    state: MemberState = MemberState.STABLE
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    topics: frozenset[str] = frozenset()
    assigned: Partitions = NOTHING

    def is_reconciled_to(self, assignment_epoch: int) -> bool:
        return self.state == MemberState.STABLE and self.epoch == assignment_epoch

    def moved_to(self, epoch: int, assigned: Partitions) -> "ShareMember":
        return self._replace(epoch=epoch, previous_epoch=self.epoch, state=MemberState.STABLE, assigned=assigned)
