"""DescribeCluster (60) on the controller's listener: for tools with --bootstrap-controller (KIP-919)."""

from pykbroker.controller.controller import Controller
from pykbroker.errors import KafkaError
from pykbroker.handlers.cluster_view import all_operations
from pykbroker.metadata.features import allows_controller_registration
from pykbroker.protocol.enums import ResourceType
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)
from pykbroker.request import RequestContext

BROKERS, CONTROLLERS = 1, 2


async def handle(
    controller: Controller, ctx: RequestContext, request: DescribeClusterRequest
) -> DescribeClusterResponse:
    if not allows_controller_registration(controller.image.features.metadata_version):
        raise KafkaError(
            ErrorCode.UNSUPPORTED_VERSION,
            "Direct-to-controller communication is not supported with the current MetadataVersion.",
        )
    if request.endpoint_type == BROKERS:
        raise KafkaError(
            ErrorCode.MISMATCHED_ENDPOINT_TYPE,
            "The request was sent to an endpoint of type CONTROLLER, but we wanted an endpoint of type BROKER",
        )
    if request.endpoint_type != CONTROLLERS:
        raise KafkaError(ErrorCode.UNSUPPORTED_ENDPOINT_TYPE, f"Unsupported endpoint type {request.endpoint_type}")
    leader = controller.leader_state.leader(ctx.listener_name, (ctx.local_host, ctx.local_port))
    host, port = leader.address
    response = DescribeClusterResponse(
        endpoint_type=CONTROLLERS,
        cluster_id=controller.image.cluster_id,
        controller_id=leader.id,
        brokers=[DescribeClusterBroker(leader.id, host, port)],
    )
    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = all_operations(ResourceType.CLUSTER)
    return response


def error_response(request: DescribeClusterRequest, error: KafkaError, version: int) -> DescribeClusterResponse:
    # Version 0 has no endpoint type; its default fits both.
    return DescribeClusterResponse(error_code=error.code, error_message=error.message)
