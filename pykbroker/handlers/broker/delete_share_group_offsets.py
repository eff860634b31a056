"""DeleteShareGroupOffsets (92): an empty share group forgets topics. KIP-932.

Kafka: KafkaApis.handleDeleteShareGroupOffsetsRequest.
"""

from pykbroker.coordinator.group.share_errors import message_for
from pykbroker.errors import KafkaError
from pykbroker.handlers.share_protocol import require_share_protocol
from pykbroker.protocol.messages.delete_share_group_offsets import (
    DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse,
)
from pykbroker.request import RequestContext, Services


async def handle(
    broker: Services, ctx: RequestContext, request: DeleteShareGroupOffsetsRequest
) -> DeleteShareGroupOffsetsResponse:
    """Raises KafkaError."""
    require_share_protocol(broker)
    return DeleteShareGroupOffsetsResponse(responses=await broker.share_groups.delete_offsets(request))


def error_response(
    request: DeleteShareGroupOffsetsRequest, error: KafkaError, version: int
) -> DeleteShareGroupOffsetsResponse:
    return DeleteShareGroupOffsetsResponse(
        error_code=error.code, error_message=error.message or message_for(error.code)
    )
