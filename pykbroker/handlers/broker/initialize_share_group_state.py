"""InitializeShareGroupState (83): the state of a share partition begins (anew) at an offset. KIP-932."""

from pykbroker.errors import KafkaError
from pykbroker.protocol.messages.initialize_share_group_state import (
    InitializeShareGroupStateRequest,
    InitializeShareGroupStateResponse,
    InitializeStateResult,
    PartitionResult,
)
from pykbroker.request import RequestContext, Services


async def handle(
    broker: Services, ctx: RequestContext, request: InitializeShareGroupStateRequest
) -> InitializeShareGroupStateResponse:
    return await broker.share_coordinator.initialize_state(request)


def error_response(
    request: InitializeShareGroupStateRequest, error: KafkaError, version: int
) -> InitializeShareGroupStateResponse:
    """Every partition gets the error (InitializeShareGroupStateRequest.getErrorResponse)."""
    return InitializeShareGroupStateResponse(
        results=[
            InitializeStateResult(
                topic.topic_id, [PartitionResult(row.partition, error.code, error.message) for row in topic.partitions]
            )
            for topic in request.topics
        ]
    )
