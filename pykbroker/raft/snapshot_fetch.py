"""FetchSnapshot: a follower copies a snapshot piece by piece (KafkaRaftClient.handleFetchSnapshotRequest, KIP-630)."""

import os
from typing import TYPE_CHECKING

from pykbroker.metadata.topic_names import CLUSTER_METADATA_TOPIC
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.fetch_snapshot import (
    FetchSnapshotRequest,
    FetchSnapshotResponse,
    FetchSnapshotResponsePartitionSnapshot,
    FetchSnapshotResponseTopicSnapshot,
    LeaderIdAndEpoch,
    NodeEndpoint,
    SnapshotId,
)
from pykbroker.raft.leader_state import MOST_BYTES, Leader, LeaderState
from pykbroker.raft.snapshot import BOOTSTRAP_ID
from pykbroker.raft.snapshot import SnapshotId as SnapshotName

if TYPE_CHECKING:
    from pykbroker.protocol.messages.fetch_snapshot import PartitionSnapshot


def fetch_snapshot(
    state: LeaderState, leader: Leader, request: FetchSnapshotRequest, version: int
) -> FetchSnapshotResponse:
    """The piece at the position that is asked for. Raises OSError."""
    if not state.is_this_cluster(request.cluster_id):
        return FetchSnapshotResponse(error_code=ErrorCode.INCONSISTENT_CLUSTER_ID)
    asked = [(topic.name, partition) for topic in request.topics for partition in topic.partitions]
    if len(asked) != 1:
        return FetchSnapshotResponse(error_code=ErrorCode.INVALID_REQUEST)
    name, partition = asked[0]
    if name != CLUSTER_METADATA_TOPIC or partition.partition != 0:
        row = FetchSnapshotResponsePartitionSnapshot(
            index=partition.partition, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        )
    else:
        row = _read(state, partition, request.max_bytes)
        row.current_leader = LeaderIdAndEpoch(leader.id, leader.epoch)
    response = FetchSnapshotResponse(topics=[FetchSnapshotResponseTopicSnapshot(name=name, partitions=[row])])
    if version >= 1:
        host, port = leader.address
        response.node_endpoints = [NodeEndpoint(node_id=leader.id, host=host, port=port)]
    return response


def _read(state: LeaderState, asked: "PartitionSnapshot", max_bytes: int) -> FetchSnapshotResponsePartitionSnapshot:
    if error := state.error_of_epoch(asked.current_leader_epoch):
        return FetchSnapshotResponsePartitionSnapshot(error_code=error)
    wanted = SnapshotName(asked.snapshot_id.end_offset, asked.snapshot_id.epoch)
    if wanted == BOOTSTRAP_ID or wanted not in state.log.snapshots():
        return FetchSnapshotResponsePartitionSnapshot(error_code=ErrorCode.SNAPSHOT_NOT_FOUND)
    with open(state.log.snapshot_path(wanted), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not 0 <= asked.position < size:
            return FetchSnapshotResponsePartitionSnapshot(error_code=ErrorCode.POSITION_OUT_OF_RANGE)
        length = min(max(max_bytes, 0), size - asked.position, MOST_BYTES)
        piece = os.pread(file.fileno(), length, asked.position)
    return FetchSnapshotResponsePartitionSnapshot(
        snapshot_id=SnapshotId(wanted.end_offset, wanted.epoch),
        size=size,
        position=asked.position,
        unaligned_records=piece,
    )
