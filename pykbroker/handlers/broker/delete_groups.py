"""DeleteGroups (42): empty groups go, with their offsets. KIP-229. Kafka: KafkaApis.handleDeleteGroupsRequest."""

from pykbroker.errors import KafkaError
from pykbroker.protocol.messages.delete_groups import DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse
from pykbroker.request import RequestContext, Services


async def handle(broker: Services, ctx: RequestContext, request: DeleteGroupsRequest) -> DeleteGroupsResponse:
    distinct = dict.fromkeys(request.groups_names)
    return DeleteGroupsResponse(results=await broker.share_groups.delete_groups(ctx, distinct))


def error_response(request: DeleteGroupsRequest, error: KafkaError, version: int) -> DeleteGroupsResponse:
    return DeleteGroupsResponse(
        results=[DeletableGroupResult(group_id=group_id, error_code=error.code) for group_id in request.groups_names]
    )
