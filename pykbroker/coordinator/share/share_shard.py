"""All share partitions of one partition of `__share_group_state` (ShareCoordinatorShard)."""

from collections.abc import Callable, Collection
from math import inf
from typing import TYPE_CHECKING, Any, Final, cast

from pykbroker.coordinator.shard import CoordinatorRecord, Outcome, Replies
from pykbroker.coordinator.share.refused import Refused
from pykbroker.coordinator.share.share_group_offset import (
    NO_OFFSET,
    UNKNOWN_LEADER_EPOCH,
    ShareGroupOffset,
    SharePartitionState,
    after_snapshot,
    after_update,
)
from pykbroker.coordinator.share.share_partition_key import SharePartitionKey
from pykbroker.coordinator.share.share_records import share_snapshot, share_tombstone, share_update
from pykbroker.coordinator.share.state_batches import KEEP_START_OFFSET, combine, from_wire
from pykbroker.coordinator.timeline import Timeline, TimelineDict
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.write_share_group_state import PartitionData as WritePartition
from pykbroker.protocol.persisted.share.share_snapshot import ShareSnapshotKey, ShareSnapshotValue

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.ids import Uuid
    from pykbroker.protocol.messages.initialize_share_group_state import PartitionData as InitializePartition
    from pykbroker.protocol.messages.read_share_group_state import PartitionData as ReadPartition
    from pykbroker.protocol.persisted.share.share_update import ShareUpdateKey, ShareUpdateValue

UNKNOWN_STATE_EPOCH: Final = -1
_NO_LEADER_EPOCH: Final = 0
_NO_COUNT: Final = -1


class ShareCoordinatorShard:
    """Decides on what was written, committed or not; answers wait for the commit.

    `partition_count`: of a topic id, in the newest metadata; None: there is no such topic.
    """

    __slots__ = ("_clock", "_config", "_last_tombstone", "_partition_count", "table", "timeline")

    def __init__(self, config: "BrokerConfig", clock: "Clock", partition_count: "Callable[[Uuid], int | None]") -> None:
        self.timeline = Timeline()
        self.table: TimelineDict[SharePartitionKey, SharePartitionState] = TimelineDict(self.timeline)
        self._config = config
        self._clock = clock
        self._partition_count = partition_count
        self._last_tombstone = NO_OFFSET

    # -- replay

    def replay(self, offset: int, producer_id: int, record: CoordinatorRecord) -> None:
        if isinstance(record.key, ShareSnapshotKey):
            self._replay_snapshot(offset, record.key, cast("ShareSnapshotValue | None", record.value))
        else:
            key, value = cast("ShareUpdateKey", record.key), cast("ShareUpdateValue", record.value)
            partition = SharePartitionKey(key.group_id, key.topic_id, key.partition)
            self.table[partition] = after_update(self.table.get(partition), value)

    def _replay_snapshot(self, offset: int, key: ShareSnapshotKey, value: ShareSnapshotValue | None) -> None:
        partition = SharePartitionKey(key.group_id, key.topic_id, key.partition)
        if value is None:
            self.table.pop(partition)
            self._last_tombstone = offset
            return
        self.table[partition] = after_snapshot(self.table.get(partition), value, offset, self._updates_per_snapshot)

    def replay_end_transaction(self, producer_id: int, committed: bool) -> None:
        raise RuntimeError("there are no transactions in __share_group_state")

    @property
    def _updates_per_snapshot(self) -> int:
        return self._config.share_coordinator_snapshot_update_records_per_snapshot

    # -- life

    def on_loaded(self) -> list[Outcome[Any]]:
        return []

    def on_unloaded(self) -> Replies:
        return []

    def next_deadline(self) -> float:
        return inf

    def on_deadline(self) -> Outcome[Any] | None:
        return None

    # -- operations; all raise Refused

    def initialize_state(self, key: SharePartitionKey, asked: "InitializePartition") -> Outcome[SharePartitionState]:
        """A snapshot without batches, whatever there was before."""
        _check_partition(key)
        state = self.table.get(key)
        if state is not None and asked.state_epoch != UNKNOWN_STATE_EPOCH and asked.state_epoch < state.state_epoch:
            raise Refused(ErrorCode.FENCED_STATE_EPOCH)
        self._check_topic(key)
        now = self._clock.wall_ms()
        offset = ShareGroupOffset(
            snapshot_epoch=0 if state is None else state.offset.snapshot_epoch + 1,
            state_epoch=asked.state_epoch,
            leader_epoch=_NO_LEADER_EPOCH,
            start_offset=asked.start_offset,
            delivery_complete_count=_NO_COUNT if asked.start_offset == KEEP_START_OFFSET else 0,
            create_timestamp=now,
            write_timestamp=now,
            batches=(),
        )
        return Outcome(records=[share_snapshot(key, offset)])

    def read_state(self, key: SharePartitionKey, asked: "ReadPartition") -> Outcome[ShareGroupOffset]:
        """The state before the call. A leader epoch not heard of before is written down, so that older ones end."""
        _check_partition(key)
        state = self._initialized(key, "Read")
        _check_leader_epoch(state, asked.leader_epoch)
        self._check_topic(key)
        offset = state.offset
        if asked.leader_epoch in (UNKNOWN_LEADER_EPOCH, state.leader_epoch):
            return Outcome(offset)
        news = WritePartition(
            leader_epoch=asked.leader_epoch,
            state_epoch=offset.state_epoch,
            start_offset=offset.start_offset,
            delivery_complete_count=offset.delivery_complete_count,
        )
        return Outcome(offset, [self._record(key, state, news, asked.leader_epoch)])

    def write_state(self, key: SharePartitionKey, asked: WritePartition) -> Outcome[ShareGroupOffset]:
        _check_partition(key)
        state = self._initialized(key, "Write")
        _check_leader_epoch(state, asked.leader_epoch)
        if asked.state_epoch != UNKNOWN_STATE_EPOCH and asked.state_epoch < state.state_epoch:
            raise Refused(ErrorCode.FENCED_STATE_EPOCH)
        self._check_topic(key)
        return Outcome(records=[self._record(key, state, asked, state.offset.leader_epoch)])

    def read_summary(self, key: SharePartitionKey) -> Outcome[ShareGroupOffset]:
        """No response: there is no state."""
        _check_partition(key)
        self._check_topic(key)
        state = self.table.get(key)
        return Outcome(None if state is None else state.offset)

    def delete_state(self, key: SharePartitionKey) -> Outcome[None]:
        """Nothing happens when there is none."""
        _check_partition(key)
        self._check_topic(key)
        return Outcome(records=[share_tombstone(key)] if key in self.table else None)

    def delete_state_of_topics(self, topic_ids: "Collection[Uuid]") -> Outcome[None]:
        """The topics are gone (maybeCleanupShareState)."""
        out: Outcome[None] = Outcome(records=[share_tombstone(key) for key in self.table if key.topic_id in topic_ids])
        out.atomic = False
        return out

    def snapshot_cold_partitions(self) -> Outcome[None]:
        """New snapshots of what has had none for share.coordinator.cold.partition.snapshot.interval.ms, so that the
        log before them can be pruned. Nothing, when all have had such a one."""
        out: Outcome[None] = Outcome()
        if all(state.offset.is_cold for _, state in self.table.items()):
            return out
        out.atomic = False
        now = self._clock.wall_ms()
        latest = now - self._config.share_coordinator_cold_partition_snapshot_interval_ms
        for key, state in self.table.items():
            offset = state.offset
            if offset.write_timestamp <= latest:
                snapshot = offset._replace(snapshot_epoch=offset.snapshot_epoch + 1, write_timestamp=now)
                out.records.append(share_snapshot(key, snapshot))
        return out

    def last_redundant_offset(self) -> Outcome[int]:
        """Below it no record is needed; no response: nothing to prune (ShareCoordinatorOffsetsManager)."""
        snapshots = (state.snapshot_offset for _, state in self.table.items() if state.snapshot_offset != NO_OFFSET)
        offset = min(snapshots, default=self._last_tombstone)
        return Outcome(offset if offset > 0 else None)

    # -- decisions

    def _record(
        self, key: SharePartitionKey, state: SharePartitionState, asked: WritePartition, leader_epoch: int
    ) -> CoordinatorRecord:
        """An update, or a snapshot after so many of them."""
        current, new = state.offset, from_wire(asked.state_batches)
        if state.updates < self._updates_per_snapshot:
            update = current._replace(
                leader_epoch=leader_epoch,
                start_offset=asked.start_offset,
                delivery_complete_count=asked.delivery_complete_count,
                batches=combine((), new, asked.start_offset),
            )
            return share_update(key, update)
        now = self._clock.wall_ms()
        start = current.start_offset if asked.start_offset == KEEP_START_OFFSET else asked.start_offset
        snapshot = current._replace(
            snapshot_epoch=current.snapshot_epoch + 1,
            leader_epoch=leader_epoch,
            start_offset=start,
            delivery_complete_count=asked.delivery_complete_count,
            create_timestamp=now,
            write_timestamp=now,
            batches=combine(current.batches, new, start),
        )
        return share_snapshot(key, snapshot)

    def _initialized(self, key: SharePartitionKey, verb: str) -> SharePartitionState:
        state = self.table.get(key)
        if state is None:
            message = f"{verb} operation on uninitialized share partition not allowed."
            raise Refused(ErrorCode.INVALID_REQUEST, message)
        return state

    def _check_topic(self, key: SharePartitionKey) -> None:
        count = self._partition_count(key.topic_id)
        if count is None or count <= key.partition:
            raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


def _check_partition(key: SharePartitionKey) -> None:
    if key.partition < 0:
        raise Refused(ErrorCode.INVALID_REQUEST, "The partition id cannot be a negative number.")


def _check_leader_epoch(state: SharePartitionState, leader_epoch: int) -> None:
    if leader_epoch != UNKNOWN_LEADER_EPOCH and leader_epoch < state.leader_epoch:
        raise Refused(ErrorCode.FENCED_LEADER_EPOCH)
