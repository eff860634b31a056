"""DescribeGroups (15): state and members of classic groups. KIP-345, 430, 1043. Kafka: handleDescribeGroupsRequest."""

from pykbroker.errors import KafkaError
from pykbroker.protocol.messages.describe_groups import DescribedGroup, DescribeGroupsRequest, DescribeGroupsResponse
from pykbroker.request import RequestContext, Services

FIRST_VERSION_WITH_OPERATIONS = 3
# Without an authorizer everybody may do everything that a group knows, as a bit field of AclOperation:
# READ 3, DELETE 6, DESCRIBE 8, DESCRIBE_CONFIGS 10, ALTER_CONFIGS 11.
ALL_GROUP_OPERATIONS = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11


async def handle(broker: Services, ctx: RequestContext, request: DescribeGroupsRequest) -> DescribeGroupsResponse:
    groups = await broker.groups.describe_groups(ctx, request.groups)
    if request.include_authorized_operations and ctx.api_version >= FIRST_VERSION_WITH_OPERATIONS:
        for group in groups:
            if not group.error_code:
                group.authorized_operations = ALL_GROUP_OPERATIONS
    return DescribeGroupsResponse(groups=groups)


def error_response(request: DescribeGroupsRequest, error: KafkaError, version: int) -> DescribeGroupsResponse:
    return DescribeGroupsResponse(
        groups=[DescribedGroup(group_id=group_id, error_code=error.code) for group_id in request.groups]
    )
