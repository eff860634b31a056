"""What consumer groups and share groups have in common (ModernGroup)."""

from typing import Final, Generic, NamedTuple, TypeVar

from pykbroker.coordinator.group.consumer_member import Partitions
from pykbroker.coordinator.timeline import Timeline, TimelineDict
from pykbroker.errors import KafkaError
from pykbroker.metadata.topics import TopicsImage
from pykbroker.protocol.error_codes import ErrorCode

M = TypeVar("M")

EMPTY: Final = "Empty"
STABLE: Final = "Stable"


class Epochs(NamedTuple):
    """`metadata_hash` is of the subscribed topics; `assigned_at` are wall milliseconds, 0 when never."""

    group: int = 1
    metadata_hash: int = 0
    assignment: int = 1
    assigned_at: int = 0


class ModernGroup(Generic[M]):
    """`[]`-like access is as written; `committed_*` as committed. M: its members."""

    __slots__ = ("_epochs", "group_id", "members", "refreshed_for", "targets")

    def __init__(self, group_id: str, timeline: Timeline) -> None:
        self.group_id = group_id
        self.members: TimelineDict[str, M] = TimelineDict(timeline)
        self.targets: TimelineDict[str, Partitions] = TimelineDict(timeline)
        self._epochs: TimelineDict[str, Epochs] = TimelineDict(timeline)
        # The topics for which the subscription was looked at last, and the group epoch that came of it.
        self.refreshed_for: tuple[TopicsImage, int] | None = None

    @property
    def epochs(self) -> Epochs:
        return self._epochs.get("") or Epochs()

    @epochs.setter
    def epochs(self, epochs: Epochs) -> None:
        self._epochs[""] = epochs

    @property
    def committed_epochs(self) -> Epochs:
        return self._epochs.committed_get("") or Epochs()

    def committed_members(self) -> list[M]:
        return [member for _, member in self.members.committed_items()]

    @property
    def is_empty(self) -> bool:
        return not len(self.members)

    def member(self, member_id: str) -> M:
        """Raises KafkaError UNKNOWN_MEMBER_ID."""
        member = self.members.get(member_id)
        if member is None:
            raise KafkaError(
                ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member_id} is not a member of group {self.group_id}."
            )
        return member
