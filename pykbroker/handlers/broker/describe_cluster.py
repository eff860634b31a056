"""DescribeCluster (60): id, controller and brokers. KIP-700, KIP-919, KIP-1073 (fenced brokers)."""

from typing import Final

from pykbroker.handlers.cluster_view import all_operations, any_alive_broker, nodes
from pykbroker.protocol.enums import ResourceType
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)
from pykbroker.request import RequestContext, Services

BROKERS: Final = 1
CONTROLLERS: Final = 2


async def handle(broker: Services, ctx: RequestContext, request: DescribeClusterRequest) -> DescribeClusterResponse:
    if request.endpoint_type != BROKERS:
        return refused(request.endpoint_type)
    image = broker.image
    rows = [
        DescribeClusterBroker(node.id, node.host, node.port, node.rack, node.is_fenced)
        for node in nodes(broker, ctx, image)
        if request.include_fenced_brokers or not node.is_fenced
    ]
    controller = any_alive_broker(image)
    response = DescribeClusterResponse(
        cluster_id=broker.cluster_id,
        # A controller that is not in the list would confuse the client.
        controller_id=controller if any(row.broker_id == controller for row in rows) else -1,
        brokers=rows,
    )
    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = all_operations(ResourceType.CLUSTER)
    return response


def refused(endpoint_type: int) -> DescribeClusterResponse:
    """Version 0 knows brokers only, so what it asks is never refused."""
    if endpoint_type == CONTROLLERS:
        return DescribeClusterResponse(
            error_code=ErrorCode.MISMATCHED_ENDPOINT_TYPE,
            error_message="The request was sent to an endpoint of type BROKER, "
            "but we wanted an endpoint of type CONTROLLER",
        )
    return DescribeClusterResponse(
        error_code=ErrorCode.UNSUPPORTED_ENDPOINT_TYPE, error_message=f"Unsupported endpoint type {endpoint_type}"
    )
