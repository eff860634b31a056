"""Heartbeat (12): a member of a classic group says it is alive. KIP-62, 345. Kafka: handleHeartbeatRequest."""

from pykbroker.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from pykbroker.request import RequestContext, Services


async def handle(broker: Services, ctx: RequestContext, request: HeartbeatRequest) -> HeartbeatResponse:
    return await broker.groups.heartbeat(ctx, request)
