"""SyncGroup (14): members ask for their assignment, the leader brings it. KIP-345, 559. Kafka: handleSyncGroup."""

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse
from pykbroker.request import RequestContext, Services

FIRST_VERSION_WITH_PROTOCOL = 5


async def handle(broker: Services, ctx: RequestContext, request: SyncGroupRequest) -> SyncGroupResponse:
    missing = request.protocol_type is None or request.protocol_name is None
    if missing and ctx.api_version >= FIRST_VERSION_WITH_PROTOCOL:
        raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    return await broker.groups.sync_group(ctx, request)
