"""What share partitions ask the persister, and how they understand its errors. (SharePartition.fetchPersisterError)"""

from collections.abc import Sequence
from typing import Final, Protocol

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.read_share_group_state import PartitionData as ReadRow
from pykbroker.protocol.messages.read_share_group_state import PartitionResult as ReadResult
from pykbroker.protocol.messages.read_share_group_state import (
    ReadShareGroupStateRequest,
    ReadShareGroupStateResponse,
    ReadStateData,
)
from pykbroker.protocol.messages.write_share_group_state import PartitionData as WriteRow
from pykbroker.protocol.messages.write_share_group_state import (
    StateBatch,
    WriteShareGroupStateRequest,
    WriteShareGroupStateResponse,
    WriteStateData,
)
from pykbroker.share.share_partition import SharePartition, SharePartitionKey, StateUpdate

UNINITIALIZED: Final = -1
_MEANING: Final = {
    ErrorCode.NOT_COORDINATOR: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.COORDINATOR_NOT_AVAILABLE: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.GROUP_ID_NOT_FOUND: ErrorCode.GROUP_ID_NOT_FOUND,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.FENCED_LEADER_EPOCH: ErrorCode.NOT_LEADER_OR_FOLLOWER,
    ErrorCode.FENCED_STATE_EPOCH: ErrorCode.NOT_LEADER_OR_FOLLOWER,
}
# After these the share partition is read again before it is used.
FENCING: Final = frozenset(
    {
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.FENCED_STATE_EPOCH,
        ErrorCode.GROUP_ID_NOT_FOUND,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    }
)


class _Result(Protocol):
    partition: int
    error_code: int
    error_message: str | None


def read_request(partition: SharePartition) -> ReadShareGroupStateRequest:
    topic_id, _, index = partition.key.partition
    row = ReadRow(partition=index, leader_epoch=partition.leader_epoch)
    return ReadShareGroupStateRequest(
        group_id=partition.key.group_id, topics=[ReadStateData(topic_id=topic_id, partitions=[row])]
    )


def write_request(partition: SharePartition, update: StateUpdate) -> WriteShareGroupStateRequest:
    row = WriteRow(
        partition=partition.key.partition.partition,
        state_epoch=partition.state_epoch,
        leader_epoch=partition.leader_epoch,
        start_offset=partition.start_offset,
        delivery_complete_count=partition.delivery_complete_count,
        state_batches=[
            StateBatch(
                first_offset=row.first_offset,
                last_offset=row.last_offset,
                delivery_state=int(row.delivery_state),
                delivery_count=row.delivery_count,
            )
            for row in update.rows
        ],
    )
    topic = WriteStateData(topic_id=partition.key.partition.topic_id, partitions=[row])
    return WriteShareGroupStateRequest(group_id=partition.key.group_id, topics=[topic])


def read_result(key: SharePartitionKey, response: ReadShareGroupStateResponse) -> ReadResult:
    """Raises KafkaError."""
    rows = [row for result in response.results for row in result.partitions]
    _require_success(key, rows)
    return rows[0]


def check_written(key: SharePartitionKey, response: WriteShareGroupStateResponse) -> None:
    """Raises KafkaError."""
    _require_success(key, [row for result in response.results for row in result.partitions])


def _require_success(key: SharePartitionKey, rows: Sequence[_Result]) -> None:
    if len(rows) != 1 or rows[0].partition != key.partition.partition:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"The persister did not answer for share partition {key}")
    code = rows[0].error_code
    if code:
        raise KafkaError(_MEANING.get(ErrorCode(code), ErrorCode.UNKNOWN_SERVER_ERROR), rows[0].error_message)
