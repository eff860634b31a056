"""WriteShareGroupState (85): what the leader of a partition changed in the state of a share group. KIP-932."""

from pykbroker.errors import KafkaError
from pykbroker.protocol.messages.write_share_group_state import (
    PartitionResult,
    WriteShareGroupStateRequest,
    WriteShareGroupStateResponse,
    WriteStateResult,
)
from pykbroker.request import RequestContext, Services


async def handle(
    broker: Services, ctx: RequestContext, request: WriteShareGroupStateRequest
) -> WriteShareGroupStateResponse:
    return await broker.share_coordinator.write_state(request)


def error_response(
    request: WriteShareGroupStateRequest, error: KafkaError, version: int
) -> WriteShareGroupStateResponse:
    """Every partition gets the error (WriteShareGroupStateRequest.getErrorResponse)."""
    return WriteShareGroupStateResponse(
        results=[
            WriteStateResult(
                topic.topic_id, [PartitionResult(row.partition, error.code, error.message) for row in topic.partitions]
            )
            for topic in request.topics
        ]
    )
