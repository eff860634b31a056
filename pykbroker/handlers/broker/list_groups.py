"""ListGroups (16): the groups of this broker, by state and type. KIP-518, 848. Kafka: handleListGroupsRequest."""

from pykbroker.protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from pykbroker.request import RequestContext, Services


async def handle(broker: Services, ctx: RequestContext, request: ListGroupsRequest) -> ListGroupsResponse:
    return await broker.groups.list_groups(ctx, request)
