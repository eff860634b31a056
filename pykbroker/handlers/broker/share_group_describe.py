"""ShareGroupDescribe (77): state, members and assignments of share groups. KIP-932.

Kafka: KafkaApis.handleShareGroupDescribe.
"""

from pykbroker.errors import KafkaError
from pykbroker.handlers.cluster_view import all_operations
from pykbroker.handlers.share_protocol import require_share_protocol
from pykbroker.protocol.enums import ResourceType
from pykbroker.protocol.messages.share_group_describe import (
    DescribedGroup,
    ShareGroupDescribeRequest,
    ShareGroupDescribeResponse,
)
from pykbroker.request import RequestContext, Services


async def handle(
    broker: Services, ctx: RequestContext, request: ShareGroupDescribeRequest
) -> ShareGroupDescribeResponse:
    """Raises KafkaError."""
    require_share_protocol(broker)
    groups = await broker.share_groups.describe(request.group_ids)
    if request.include_authorized_operations:
        for group in groups:
            if not group.error_code:
                group.authorized_operations = all_operations(ResourceType.GROUP)
    return ShareGroupDescribeResponse(groups=groups)


def error_response(request: ShareGroupDescribeRequest, error: KafkaError, version: int) -> ShareGroupDescribeResponse:
    return ShareGroupDescribeResponse(
        groups=[DescribedGroup(group_id=group_id, error_code=error.code) for group_id in request.group_ids]
    )
