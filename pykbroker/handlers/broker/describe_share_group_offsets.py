"""DescribeShareGroupOffsets (90): where share partitions start, and how much is left to deliver. KIP-932, KIP-1226.

Kafka: KafkaApis.handleDescribeShareGroupOffsetsRequest.
"""

from pykbroker.coordinator.errors import client_error
from pykbroker.coordinator.group.share_errors import message_for
from pykbroker.errors import KafkaError
from pykbroker.handlers.share_protocol import require_share_protocol
from pykbroker.protocol.messages.describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequestGroup,
    DescribeShareGroupOffsetsResponse,
    DescribeShareGroupOffsetsResponseGroup,
)
from pykbroker.request import RequestContext, Services


async def handle(
    broker: Services, ctx: RequestContext, request: DescribeShareGroupOffsetsRequest
) -> DescribeShareGroupOffsetsResponse:
    """Raises KafkaError."""
    require_share_protocol(broker)
    return DescribeShareGroupOffsetsResponse(groups=[await _describe(broker, group) for group in request.groups])


async def _describe(
    broker: Services, group: DescribeShareGroupOffsetsRequestGroup
) -> DescribeShareGroupOffsetsResponseGroup:
    response = DescribeShareGroupOffsetsResponseGroup(group_id=group.group_id)
    try:
        response.topics = await broker.share_groups.describe_offsets(group.group_id, group.topics)
    except KafkaError as error:
        response.error_code = client_error(error.code)
        response.error_message = message_for(response.error_code)
    return response


def error_response(
    request: DescribeShareGroupOffsetsRequest, error: KafkaError, version: int
) -> DescribeShareGroupOffsetsResponse:
    return DescribeShareGroupOffsetsResponse(
        groups=[
            DescribeShareGroupOffsetsResponseGroup(group_id=group.group_id, error_code=error.code)
            for group in request.groups
        ]
    )
