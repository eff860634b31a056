"""State of share partitions → records of `__share_group_state` (ShareCoordinatorRecordHelpers)."""

from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.coordinator.share.share_group_offset import ShareGroupOffset
from pykbroker.coordinator.share.share_partition_key import SharePartitionKey
from pykbroker.protocol.persisted.share.share_snapshot import ShareSnapshotKey, ShareSnapshotValue
from pykbroker.protocol.persisted.share.share_snapshot import StateBatch as SnapshotBatch
from pykbroker.protocol.persisted.share.share_update import ShareUpdateKey, ShareUpdateValue
from pykbroker.protocol.persisted.share.share_update import StateBatch as UpdateBatch


def share_snapshot(key: SharePartitionKey, offset: ShareGroupOffset) -> CoordinatorRecord:
    value = ShareSnapshotValue(
        offset.snapshot_epoch,
        offset.state_epoch,
        offset.leader_epoch,
        offset.start_offset,
        offset.delivery_complete_count,
        offset.create_timestamp,
        offset.write_timestamp,
        [SnapshotBatch(first, last, state, count) for first, last, count, state in offset.batches],
    )
    return CoordinatorRecord(ShareSnapshotKey(*key), value)


def share_update(key: SharePartitionKey, offset: ShareGroupOffset) -> CoordinatorRecord:
    """Has no room for the state epoch and the timestamps."""
    value = ShareUpdateValue(
        offset.snapshot_epoch,
        offset.leader_epoch,
        offset.start_offset,
        offset.delivery_complete_count,
        [UpdateBatch(first, last, state, count) for first, last, count, state in offset.batches],
    )
    return CoordinatorRecord(ShareUpdateKey(*key), value)


def share_tombstone(key: SharePartitionKey) -> CoordinatorRecord:
    return CoordinatorRecord(ShareSnapshotKey(*key), None)
