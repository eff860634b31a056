"""StreamsGroupDescribe (89): state, topology, members and tasks of streams groups. KIP-1071.

Kafka: KafkaApis.handleStreamsGroupDescribe.
"""

from pykbroker.errors import KafkaError
from pykbroker.handlers.cluster_view import all_operations
from pykbroker.handlers.streams_protocol import require_streams_protocol
from pykbroker.protocol.enums import ResourceType
from pykbroker.protocol.messages.streams_group_describe import (
    DescribedGroup,
    StreamsGroupDescribeRequest,
    StreamsGroupDescribeResponse,
)
from pykbroker.request import RequestContext, Services


async def handle(
    broker: Services, ctx: RequestContext, request: StreamsGroupDescribeRequest
) -> StreamsGroupDescribeResponse:
    """Raises KafkaError."""
    require_streams_protocol(broker)
    groups = await broker.groups.describe_streams_groups(request.group_ids)
    if request.include_authorized_operations:
        for group in groups:
            if not group.error_code:
                group.authorized_operations = all_operations(ResourceType.GROUP)
    return StreamsGroupDescribeResponse(groups=groups)


def error_response(
    request: StreamsGroupDescribeRequest, error: KafkaError, version: int
) -> StreamsGroupDescribeResponse:
    return StreamsGroupDescribeResponse(
        groups=[DescribedGroup(group_id=group_id, error_code=error.code) for group_id in request.group_ids]
    )
