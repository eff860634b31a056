"""ListOffsets (2): offsets by timestamp, earliest, latest, of the largest timestamp. KIP-79, KIP-734, KIP-1005."""

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from pykbroker.replica.list_offsets import MIN_VERSION, offset_for
from pykbroker.request import RequestContext, Services


async def handle(broker: Services, ctx: RequestContext, request: ListOffsetsRequest) -> ListOffsetsResponse:
    response = ListOffsetsResponse()
    for topic in request.topics:
        asked = [partition.partition_index for partition in topic.partitions]
        rows = [
            failed(partition.partition_index, ErrorCode.INVALID_REQUEST)
            if asked.count(partition.partition_index) > 1
            else list_offset(broker, ctx, request, topic.name, partition)
            for partition in topic.partitions
        ]
        response.topics.append(ListOffsetsTopicResponse(name=topic.name, partitions=rows))
    return response


def list_offset(
    broker: Services, ctx: RequestContext, request: ListOffsetsRequest, topic: str, asked: ListOffsetsPartition
) -> ListOffsetsPartitionResponse:
    index = asked.partition_index
    if asked.timestamp < 0 and ctx.api_version < MIN_VERSION.get(asked.timestamp, 0 if asked.timestamp > -3 else 99):
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
        return failed(index, error.code)
    return ListOffsetsPartitionResponse(
        partition_index=index, timestamp=found.timestamp, offset=found.offset, leader_epoch=found.leader_epoch
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
