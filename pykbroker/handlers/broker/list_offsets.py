"""ListOffsets (2): offsets by timestamp, earliest, latest, of the largest timestamp. KIP-79, KIP-734, KIP-1005."""

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.pending import pause_after
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from pykbroker.replica.list_offsets import READ_COMMITTED, is_supported, offset_for
from pykbroker.request import RequestContext, Services

LEADER_EPOCH_FROM = 4
OFFSET_NOT_AVAILABLE_FROM = 5


async def handle(broker: Services, ctx: RequestContext, request: ListOffsetsRequest) -> ListOffsetsResponse:
    """Raises KafkaError for an isolation level that there is none of."""
    if not 0 <= request.isolation_level <= READ_COMMITTED:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"Unknown isolation level {request.isolation_level}")
    asked: dict[str, dict[int, ListOffsetsPartition]] = {}
    duplicates: set[tuple[str, int]] = set()
    for topic in request.topics:
        partitions = asked.setdefault(topic.name, {})
        for partition in topic.partitions:
            if partition.partition_index in partitions:
                duplicates.add((topic.name, partition.partition_index))
            partitions[partition.partition_index] = partition
    response = ListOffsetsResponse()
    for name, partitions in asked.items():
        topic_row = ListOffsetsTopicResponse(name=name)
        response.topics.append(topic_row)
        await pause_after(len(response.topics))
        for index, partition in partitions.items():
            is_duplicate = (name, index) in duplicates
            topic_row.partitions.append(
                failed(index, ErrorCode.INVALID_REQUEST)
                if is_duplicate
                else list_offset(broker, ctx, request, name, partition)
            )
            await pause_after(len(topic_row.partitions))
    return response


def list_offset(
    broker: Services, ctx: RequestContext, request: ListOffsetsRequest, topic: str, asked: ListOffsetsPartition
) -> ListOffsetsPartitionResponse:
    index = asked.partition_index
    if not is_supported(asked.timestamp, ctx.api_version):
        return failed(index, ErrorCode.UNSUPPORTED_VERSION)
    try:
        found = offset_for(
            broker.replicas.partition(TopicPartition(topic, index)),
            asked.timestamp,
            isolation_level=request.isolation_level,
            replica_id=request.replica_id,
            current_leader_epoch=asked.current_leader_epoch,
        )
    except KafkaError as error:
        is_new_to_it = error.code == ErrorCode.OFFSET_NOT_AVAILABLE and ctx.api_version < OFFSET_NOT_AVAILABLE_FROM
        return failed(index, ErrorCode.LEADER_NOT_AVAILABLE if is_new_to_it else error.code)
    epoch = found.leader_epoch if ctx.api_version >= LEADER_EPOCH_FROM else -1
    return ListOffsetsPartitionResponse(
        partition_index=index, timestamp=found.timestamp, offset=found.offset, leader_epoch=epoch
    )


def failed(index: int, code: int) -> ListOffsetsPartitionResponse:
    return ListOffsetsPartitionResponse(partition_index=index, error_code=code, timestamp=-1, offset=-1)


def error_response(request: ListOffsetsRequest, error: KafkaError, version: int) -> ListOffsetsResponse:
    """Every partition gets the error (ListOffsetsRequest.getErrorResponse)."""
    return ListOffsetsResponse(
        topics=[
            ListOffsetsTopicResponse(
                name=topic.name, partitions=[failed(p.partition_index, error.code) for p in topic.partitions]
            )
            for topic in request.topics
        ]
    )
