"""The table of all groups of a shard, whatever their kind (GroupMetadataManager.groups)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from pykbroker.coordinator.group.classic_group import ClassicGroup
from pykbroker.coordinator.group.consumer_group import ConsumerGroup
from pykbroker.coordinator.group.group_types import SHARE, STREAMS
from pykbroker.coordinator.timeline import Timeline, TimelineDict
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.coordinator.group.share_group import ShareGroup
    from pykbroker.coordinator.group.streams_group import StreamsGroup

    Group: TypeAlias = ClassicGroup | ConsumerGroup | ShareGroup | StreamsGroup


class Groups:
    """Looked up as written; `committed` only what is committed."""

    __slots__ = ("_table",)

    def __init__(self, timeline: Timeline) -> None:
        self._table: TimelineDict[str, Group] = TimelineDict(timeline)

    def get(self, group_id: str) -> "Group | None":
        return self._table.get(group_id)

    def require(self, group_id: str, *, committed: bool = False) -> "Group":
        """Raises KafkaError GROUP_ID_NOT_FOUND."""
        group = self._table.committed_get(group_id) if committed else self._table.get(group_id)
        if group is None:
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} not found.")
        return group

    def classic(self, group_id: str) -> ClassicGroup | None:
        group = self._table.get(group_id)
        return group if isinstance(group, ClassicGroup) else None

    def require_classic(self, group_id: str) -> ClassicGroup:
        """A committed classic group. Raises KafkaError GROUP_ID_NOT_FOUND."""
        group = self.require(group_id, committed=True)
        if not isinstance(group, ClassicGroup):
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} is not a classic group.")
        return group

    def require_consumer(self, group_id: str) -> ConsumerGroup:
        """A committed consumer group. Raises KafkaError GROUP_ID_NOT_FOUND."""
        group = self.require(group_id, committed=True)
        if not isinstance(group, ConsumerGroup):
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} is not a consumer group.")
        return group

    def require_share(self, group_id: str) -> "ShareGroup":
        """A committed share group. Raises KafkaError GROUP_ID_NOT_FOUND."""
        group = self.require(group_id, committed=True)
        if group.group_type != SHARE:
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} is not a share group.")
        return group

    def require_streams(self, group_id: str) -> "StreamsGroup":
        """A committed streams group. Raises KafkaError GROUP_ID_NOT_FOUND."""
        group = self.require(group_id, committed=True)
        if group.group_type != STREAMS:
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} is not a streams group.")
        return group

    def put(self, group: "Group") -> None:
        self._table[group.group_id] = group

    def remove(self, group_id: str) -> "Group | None":
        return self._table.pop(group_id)

    def committed(self) -> "list[Group]":
        return [group for _, group in self._table.committed_items()]

    def ids(self) -> list[str]:
        return list(self._table)

    def __iter__(self) -> "Iterator[Group]":
        return (group for _, group in self._table.items())

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, group_id: object) -> bool:
        return group_id in self._table
