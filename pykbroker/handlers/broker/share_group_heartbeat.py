"""ShareGroupHeartbeat (76): a member of a share group joins, stays or leaves. KIP-932.

Kafka: KafkaApis.handleShareGroupHeartbeat.
"""

from pykbroker.handlers.share_protocol import require_share_protocol
from pykbroker.protocol.messages.share_group_heartbeat import ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse
from pykbroker.request import RequestContext, Services


async def handle(
    broker: Services, ctx: RequestContext, request: ShareGroupHeartbeatRequest
) -> ShareGroupHeartbeatResponse:
    """Raises KafkaError."""
    require_share_protocol(broker)
    return await broker.share_groups.heartbeat(ctx, request)
