"""ConsumerGroupHeartbeat (68): a member of a consumer group joins, stays or leaves. KIP-848.

Kafka: KafkaApis.handleConsumerGroupHeartbeat.
"""

from pykbroker.handlers.consumer_protocol import require_consumer_protocol
from pykbroker.protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from pykbroker.request import RequestContext, Services


async def handle(
    broker: Services, ctx: RequestContext, request: ConsumerGroupHeartbeatRequest
) -> ConsumerGroupHeartbeatResponse:
    """Raises KafkaError."""
    require_consumer_protocol(broker)
    return await broker.groups.consumer_group_heartbeat(ctx, request)
