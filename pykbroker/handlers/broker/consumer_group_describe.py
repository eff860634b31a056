"""ConsumerGroupDescribe (69): state, members and assignments of consumer groups. KIP-848.

Kafka: KafkaApis.handleConsumerGroupDescribe.
"""

from pykbroker.errors import KafkaError
from pykbroker.handlers.cluster_view import all_operations
from pykbroker.handlers.consumer_protocol import require_consumer_protocol
from pykbroker.protocol.enums import ResourceType
from pykbroker.protocol.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
    DescribedGroup,
)
from pykbroker.request import RequestContext, Services


async def handle(
    broker: Services, ctx: RequestContext, request: ConsumerGroupDescribeRequest
) -> ConsumerGroupDescribeResponse:
    """Raises KafkaError."""
    require_consumer_protocol(broker)
    groups = await broker.groups.describe_consumer_groups(request.group_ids)
    if request.include_authorized_operations:
        for group in groups:
            if not group.error_code:
                group.authorized_operations = all_operations(ResourceType.GROUP)
    return ConsumerGroupDescribeResponse(groups=groups)


def error_response(
    request: ConsumerGroupDescribeRequest, error: KafkaError, version: int
) -> ConsumerGroupDescribeResponse:
    return ConsumerGroupDescribeResponse(
        groups=[DescribedGroup(group_id=group_id, error_code=error.code) for group_id in request.group_ids]
    )
