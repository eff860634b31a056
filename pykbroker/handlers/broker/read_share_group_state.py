"""ReadShareGroupState (84): what the leader of a partition has to know before it serves a share group. KIP-932."""

from pykbroker.errors import KafkaError
from pykbroker.protocol.messages.read_share_group_state import (
    PartitionResult,
    ReadShareGroupStateRequest,
    ReadShareGroupStateResponse,
    ReadStateResult,
)
from pykbroker.request import RequestContext, Services


async def handle(
    broker: Services, ctx: RequestContext, request: ReadShareGroupStateRequest
) -> ReadShareGroupStateResponse:
    return await broker.share_coordinator.read_state(request)


def error_response(request: ReadShareGroupStateRequest, error: KafkaError, version: int) -> ReadShareGroupStateResponse:
    """Every partition gets the error (ReadShareGroupStateRequest.getErrorResponse)."""
    return ReadShareGroupStateResponse(
        results=[
            ReadStateResult(
                topic.topic_id, [PartitionResult(row.partition, error.code, error.message) for row in topic.partitions]
            )
            for topic in request.topics
        ]
    )
