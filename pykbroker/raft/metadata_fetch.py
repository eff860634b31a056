"""Fetch of __cluster_metadata by the brokers that follow it (KafkaRaftClient.handleFetchRequest, KIP-595, KIP-630).

Only what is committed is given out: what a crash may take back is never seen by anybody.
"""

from typing import TYPE_CHECKING, NamedTuple

from pykbroker.ids import METADATA_TOPIC_ID
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.fetch import (
    EpochEndOffset,
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionData,
    SnapshotId,
)
from pykbroker.raft.leader_state import MOST_BYTES, Leader, LeaderState
from pykbroker.raft.metadata_log import MetadataLog
from pykbroker.raft.snapshot import BOOTSTRAP_ID
from pykbroker.raft.snapshot import SnapshotId as SnapshotName

if TYPE_CHECKING:
    from pykbroker.protocol.messages.fetch import FetchPartition

# From here on answers say where the leader is (RaftUtil.singletonFetchResponse).
TELLS_ENDPOINTS = 17


class Answer(NamedTuple):
    """`may_wait`: there is nothing new in it, so that who has time may ask again after the next commit."""

    response: FetchResponse
    may_wait: bool


def fetch(state: LeaderState, leader: Leader, request: FetchRequest, version: int, now_ms: int) -> Answer:
    """What there is now."""
    if not state.is_this_cluster(request.cluster_id):
        return Answer(FetchResponse(error_code=ErrorCode.INCONSISTENT_CLUSTER_ID), False)
    asked = _partition(request)
    if asked is None:
        return Answer(FetchResponse(error_code=ErrorCode.INVALID_REQUEST), False)
    if request.max_wait_ms < 0 or not _is_plausible(asked):
        data, may_wait = _refusal(state, leader, ErrorCode.INVALID_REQUEST), False
    elif error := state.error_of_epoch(asked.current_leader_epoch):
        data, may_wait = _refusal(state, leader, error), False
    else:
        replica_id = request.replica_state.replica_id if version >= 15 else request.replica_id
        data = _read(state, leader, request, asked, replica_id, now_ms)
        may_wait = _has_news(data, asked) is False and request.max_wait_ms > 0
    return Answer(_response(leader, data, version), may_wait)


def _partition(request: FetchRequest) -> "FetchPartition | None":
    """The only one that may be asked for, and it alone. Before v13 topics had no ids."""
    if len(request.topics) != 1 or request.topics[0].topic_id != METADATA_TOPIC_ID:
        return None
    partitions = request.topics[0].partitions
    return partitions[0] if len(partitions) == 1 and partitions[0].partition == 0 else None


def _is_plausible(asked: "FetchPartition") -> bool:
    return asked.fetch_offset >= 0 and 0 <= asked.last_fetched_epoch <= asked.current_leader_epoch


def _read(
    state: LeaderState, leader: Leader, request: FetchRequest, asked: "FetchPartition", replica_id: int, now_ms: int
) -> PartitionData:
    log = state.log
    data = PartitionData(
        high_watermark=log.high_watermark,
        log_start_offset=log.start_offset,
        current_leader=LeaderIdAndEpoch(leader.id, leader.epoch),
    )
    snapshot = snapshot_needed(log, asked.fetch_offset, asked.last_fetched_epoch)
    if snapshot is not None:
        data.snapshot_id = SnapshotId(snapshot.end_offset, snapshot.epoch)
        return data
    epoch, end_offset = log.end_offset_for_epoch(asked.last_fetched_epoch)
    if asked.fetch_offset and (epoch != asked.last_fetched_epoch or end_offset < asked.fetch_offset):
        data.diverging_epoch = EpochEndOffset(epoch, end_offset)
        return data
    state.fetched(replica_id, asked.replica_directory_id, asked.fetch_offset, now_ms)
    data.records = log.read_committed(asked.fetch_offset, min(request.max_bytes, MOST_BYTES))
    return data


def snapshot_needed(log: MetadataLog, offset: int, epoch: int) -> SnapshotName | None:
    """Which one a replica must load first: it is empty, or what it lacks is no longer in the log
    (RaftLog.validateOffsetAndEpoch)."""
    found = [each for each in log.snapshots() if each != BOOTSTRAP_ID]
    if not found:
        return None
    oldest, newest = found[0], found[-1]
    if offset == 0 or offset < log.start_offset:
        return newest
    if (offset == log.start_offset and epoch != oldest.epoch) or epoch < oldest.epoch:
        return newest
    return None


def _has_news(data: PartitionData, asked: "FetchPartition") -> bool:
    return bool(
        data.records
        or data.diverging_epoch.epoch >= 0
        or data.diverging_epoch.end_offset >= 0
        or data.snapshot_id.epoch >= 0
        or asked.high_watermark < data.high_watermark
    )


def _refusal(state: LeaderState, leader: Leader, error: int) -> PartitionData:
    return PartitionData(
        error_code=error,
        high_watermark=-1,
        log_start_offset=state.log.start_offset,
        current_leader=LeaderIdAndEpoch(leader.id, leader.epoch),
    )


def _response(leader: Leader, data: PartitionData, version: int) -> FetchResponse:
    response = FetchResponse(responses=[FetchableTopicResponse(topic_id=METADATA_TOPIC_ID, partitions=[data])])
    if version >= TELLS_ENDPOINTS:
        host, port = leader.address
        response.node_endpoints = [NodeEndpoint(node_id=leader.id, host=host, port=port)]
    return response
