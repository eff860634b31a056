"""Committed offsets of a shard's groups, and those of open transactions (OffsetMetadataManager: state, replay)."""

from collections.abc import Iterable, Iterator

from pykbroker.coordinator.group.offset_and_metadata import OffsetAndMetadata
from pykbroker.coordinator.timeline import Timeline, TimelineDict
from pykbroker.ids import TopicPartition, Uuid

GroupOffsets = TimelineDict[TopicPartition, OffsetAndMetadata]


class Offsets:
    """Group → partition → offset. Empty groups are not kept."""

    __slots__ = ("_by_group", "_timeline")

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._by_group: TimelineDict[str, GroupOffsets] = TimelineDict(timeline)

    def get(self, group_id: str, tp: TopicPartition) -> OffsetAndMetadata | None:
        group = self._by_group.get(group_id)
        return group.get(tp) if group is not None else None

    def put(self, group_id: str, tp: TopicPartition, offset: OffsetAndMetadata) -> None:
        group = self._by_group.get(group_id)
        if group is None:
            group = self._by_group[group_id] = TimelineDict(self._timeline)
        group[tp] = offset

    def remove(self, group_id: str, tp: TopicPartition) -> None:
        group = self._by_group.get(group_id)
        if group is None or group.pop(tp) is None:
            return
        if not len(group):
            self._by_group.pop(group_id)

    def of_group(self, group_id: str) -> GroupOffsets | None:
        return self._by_group.get(group_id)

    def committed_of_group(self, group_id: str) -> GroupOffsets | None:
        return self._by_group.committed_get(group_id)

    def groups(self) -> Iterator[tuple[str, GroupOffsets]]:
        return iter(self._by_group.items())


class GroupOffsetTable:
    """What replaying the log makes of offset commits: plain ones count at once, transactional ones at their marker."""

    __slots__ = ("_open", "_pending", "_timeline", "offsets")

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.offsets = Offsets(timeline)
        self._pending: TimelineDict[int, Offsets] = TimelineDict(timeline)  # producer id → its open transaction
        # group → partition → the producers that have it in an open transaction
        self._open: TimelineDict[str, TimelineDict[TopicPartition, frozenset[int]]] = TimelineDict(timeline)

    # -- replay

    def commit(self, group_id: str, tp: TopicPartition, offset: OffsetAndMetadata, producer_id: int) -> None:
        if producer_id < 0:
            self.offsets.put(group_id, tp, offset)
            return
        pending = self._pending.get(producer_id)
        if pending is None:
            pending = self._pending[producer_id] = Offsets(self._timeline)
        pending.put(group_id, tp, offset)
        self._set_open(group_id, tp, self._producers(group_id, tp) | {producer_id})

    def tombstone(self, group_id: str, tp: TopicPartition) -> None:
        """The offset is gone, in open transactions too."""
        self.offsets.remove(group_id, tp)
        for producer_id in self._producers(group_id, tp):
            pending = self._pending.get(producer_id)
            if pending is not None:
                pending.remove(group_id, tp)
        self._set_open(group_id, tp, frozenset())

    def end_transaction(self, producer_id: int, committed: bool) -> None:
        """A marker: what the transaction committed becomes visible, unless a later plain commit came before it."""
        pending = self._pending.pop(producer_id)
        if pending is None:
            return
        for group_id, offsets in pending.groups():
            for tp, offset in offsets.items():
                self._set_open(group_id, tp, self._producers(group_id, tp) - {producer_id})
                existing = self.offsets.get(group_id, tp)
                if committed and (existing is None or offset.record_offset > existing.record_offset):
                    self.offsets.put(group_id, tp, offset)

    def _producers(self, group_id: str, tp: TopicPartition) -> frozenset[int]:
        partitions = self._open.get(group_id)
        return (partitions.get(tp) if partitions is not None else None) or frozenset()

    def _set_open(self, group_id: str, tp: TopicPartition, producers: frozenset[int]) -> None:
        partitions = self._open.get(group_id)
        if producers:
            if partitions is None:
                partitions = self._open[group_id] = TimelineDict(self._timeline)
            partitions[tp] = producers
        elif partitions is not None and partitions.pop(tp) is not None and not len(partitions):
            self._open.pop(group_id)

    # -- questions

    def is_pending(self, group_id: str, tp: TopicPartition) -> bool:
        """An open transaction has committed this offset."""
        return bool(self._producers(group_id, tp))

    def has_open_transactions(self, group_id: str) -> bool:
        return group_id in self._open

    def known_partitions(self, group_id: str) -> list[TopicPartition]:
        """All partitions with an offset, committed or pending."""
        known = dict.fromkeys(self.offsets.of_group(group_id) or ())
        known.update(dict.fromkeys(self._open.get(group_id) or ()))
        return list(known)

    def of_topics(self, topics: Iterable[tuple[str, Uuid]]) -> list[tuple[str, TopicPartition]]:
        """(group, partition) of every offset, committed or pending, of these topics as they were with these ids."""
        ids = dict(topics)
        found: dict[tuple[str, TopicPartition], None] = {}
        for offsets in (self.offsets, *(pending for _, pending in self._pending.items())):
            for group_id, group in offsets.groups():
                for tp, offset in group.items():
                    topic_id = ids.get(tp.topic)
                    if topic_id is not None and offset.is_of(topic_id):
                        found[group_id, tp] = None
        return list(found)
