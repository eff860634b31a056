"""OffsetForLeaderEpoch (23): where an epoch ends. KIP-101, KIP-320."""

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.pending import pause_after
from pykbroker.protocol.messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
)
from pykbroker.request import RequestContext, Services


async def handle(
    broker: Services, ctx: RequestContext, request: OffsetForLeaderEpochRequest
) -> OffsetForLeaderEpochResponse:
    response = OffsetForLeaderEpochResponse()
    for topic in request.topics:
        result = OffsetForLeaderTopicResult(topic=topic.topic)
        response.topics.append(result)
        await pause_after(len(response.topics))
        for asked in topic.partitions:
            result.partitions.append(end_offset(broker, topic.topic, asked))
            await pause_after(len(result.partitions))
    return response


def end_offset(broker: Services, topic: str, asked: OffsetForLeaderPartition) -> EpochEndOffset:
    try:
        partition = broker.replicas.partition(TopicPartition(topic, asked.partition))
        epoch, offset = partition.last_offset_for_epoch(asked.current_leader_epoch, asked.leader_epoch)
    except KafkaError as error:
        return EpochEndOffset(partition=asked.partition, error_code=error.code)
    return EpochEndOffset(partition=asked.partition, leader_epoch=epoch, end_offset=offset)


def error_response(
    request: OffsetForLeaderEpochRequest, error: KafkaError, version: int
) -> OffsetForLeaderEpochResponse:
    """Every partition gets the error (OffsetsForLeaderEpochRequest.getErrorResponse)."""
    return OffsetForLeaderEpochResponse(
        topics=[
            OffsetForLeaderTopicResult(
                topic=topic.topic,
                partitions=[EpochEndOffset(partition=p.partition, error_code=error.code) for p in topic.partitions],
            )
            for topic in request.topics
        ]
    )
