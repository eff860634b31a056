"""DeleteShareGroupState (86): the state of a share partition ends. KIP-932."""

from pykbroker.errors import KafkaError
from pykbroker.protocol.messages.delete_share_group_state import (
    DeleteShareGroupStateRequest,
    DeleteShareGroupStateResponse,
    DeleteStateResult,
    PartitionResult,
)
from pykbroker.request import RequestContext, Services


async def handle(
    broker: Services, ctx: RequestContext, request: DeleteShareGroupStateRequest
) -> DeleteShareGroupStateResponse:
    return await broker.share_coordinator.delete_state(request)


def error_response(
    request: DeleteShareGroupStateRequest, error: KafkaError, version: int
) -> DeleteShareGroupStateResponse:
    """Every partition gets the error (DeleteShareGroupStateRequest.getErrorResponse)."""
    return DeleteShareGroupStateResponse(
        results=[
            DeleteStateResult(
                topic.topic_id, [PartitionResult(row.partition, error.code, error.message) for row in topic.partitions]
            )
            for topic in request.topics
        ]
    )
