"""OffsetFetch of one group (OffsetMetadataManager.fetchOffsets). KIP-447 (stable offsets), 709, 848."""

from pykbroker.coordinator.group.consumer_checks import check_fetch
from pykbroker.coordinator.group.consumer_group import ConsumerGroup
from pykbroker.coordinator.group.group_types import STREAMS
from pykbroker.coordinator.group.groups import Groups
from pykbroker.coordinator.group.offset_and_metadata import INVALID_OFFSET, NO_EPOCH, OffsetAndMetadata
from pykbroker.coordinator.group.offsets import GroupOffsets, GroupOffsetTable
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.offset_fetch import (
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
)


class OffsetReader:
    """Reads what is committed; with `require_stable` what is written, where no transaction is open."""

    __slots__ = ("_groups", "_table")

    def __init__(self, groups: Groups, table: GroupOffsetTable) -> None:
        self._groups = groups
        self._table = table

    def fetch(self, request: OffsetFetchRequestGroup, *, require_stable: bool) -> OffsetFetchResponseGroup:
        """Offsets of the topics asked for (name and, if known, id), or of all when they are null."""
        offsets = self._offsets(request, require_stable)
        if request.topics is None:
            topics = self._all_topics(request.group_id, offsets, require_stable)
        else:
            topics = [self._topic(request.group_id, topic, offsets, require_stable) for topic in request.topics]
        return OffsetFetchResponseGroup(group_id=request.group_id, topics=topics)

    def _offsets(self, request: OffsetFetchRequestGroup, require_stable: bool) -> GroupOffsets | None:
        """Raises KafkaError UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH, ILLEGAL_GENERATION for a member that is none now."""
        group_id = request.group_id
        try:
            group = self._groups.require(group_id, committed=not require_stable)
        except KafkaError:
            return None  # as if it had no offsets, which is what clients expect
        if isinstance(group, ConsumerGroup):
            check_fetch(group, request.member_id, request.member_epoch, committed=not require_stable)
        elif group.group_type == STREAMS:
            from pykbroker.coordinator.group.streams_checks import check_fetch as check_streams_fetch

            check_streams_fetch(group, request.member_id, request.member_epoch, committed=not require_stable)
        if require_stable:
            return self._table.offsets.of_group(group_id)
        return self._table.offsets.committed_of_group(group_id)

    def _topic(
        self, group_id: str, topic: OffsetFetchRequestTopics, offsets: GroupOffsets | None, require_stable: bool
    ) -> OffsetFetchResponseTopics:
        rows = []
        for index in topic.partition_indexes:
            tp = TopicPartition(topic.name, index)
            offset = None
            if offsets is not None:
                offset = offsets.get(tp) if require_stable else offsets.committed_get(tp)
            if offset is not None and not offset.is_of(topic.topic_id):
                offset = None
            rows.append(self._row(group_id, tp, offset, require_stable))
        return OffsetFetchResponseTopics(name=topic.name, topic_id=topic.topic_id, partitions=rows)

    def _all_topics(
        self, group_id: str, offsets: GroupOffsets | None, require_stable: bool
    ) -> list[OffsetFetchResponseTopics]:
        topics: dict[str, OffsetFetchResponseTopics] = {}
        if offsets is None:
            return []
        for tp, offset in list(offsets.items()) if require_stable else offsets.committed_items():
            topic = topics.get(tp.topic)
            if topic is None:
                topic = topics[tp.topic] = OffsetFetchResponseTopics(name=tp.topic, partitions=[])
            topic.partitions.append(self._row(group_id, tp, offset, require_stable))
        return list(topics.values())

    def _row(
        self, group_id: str, tp: TopicPartition, offset: OffsetAndMetadata | None, require_stable: bool
    ) -> OffsetFetchResponsePartitions:
        unstable = require_stable and self._table.is_pending(group_id, tp)
        if unstable or offset is None:
            return OffsetFetchResponsePartitions(
                partition_index=tp.partition,
                committed_offset=INVALID_OFFSET,
                committed_leader_epoch=NO_EPOCH,
                metadata="",
                error_code=ErrorCode.UNSTABLE_OFFSET_COMMIT if unstable else ErrorCode.NONE,
            )
        return OffsetFetchResponsePartitions(
            partition_index=tp.partition,
            committed_offset=offset.offset,
            committed_leader_epoch=offset.leader_epoch,
            metadata=offset.metadata,
        )
