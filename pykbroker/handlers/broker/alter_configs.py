"""AlterConfigs (33): replaces all configs of a resource. The broker answers what it knows, the controller the rest."""

from pykbroker.config.admin import ConfigAdmin
from pykbroker.errors import KafkaError
from pykbroker.protocol.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)
from pykbroker.request import RequestContext, Services


async def handle(broker: Services, ctx: RequestContext, request: AlterConfigsRequest) -> AlterConfigsResponse:
    admin = ConfigAdmin(broker.node_id, broker.dynamic_config, broker.image)
    done = admin.preprocess_legacy(request.resources)
    rows = [_row(resource, done.get(index)) for index, resource in enumerate(request.resources)]
    remaining = [index for index in range(len(rows)) if index not in done]
    if remaining:
        forwarded = AlterConfigsRequest(
            resources=[request.resources[index] for index in remaining], validate_only=request.validate_only
        )
        response = await broker.controller.forward(ctx, forwarded)
        assert isinstance(response, AlterConfigsResponse)
        for index, row in zip(remaining, response.responses, strict=True):
            rows[index] = row
    return AlterConfigsResponse(responses=rows)


def error_response(request: AlterConfigsRequest, error: KafkaError, version: int) -> AlterConfigsResponse:
    """Every resource gets the error (AlterConfigsRequest.getErrorResponse)."""
    return AlterConfigsResponse(responses=[_row(resource, error) for resource in request.resources])


def _row(resource: AlterConfigsResource, error: KafkaError | None) -> AlterConfigsResourceResponse:
    return AlterConfigsResourceResponse(
        error_code=error.code if error else 0,
        error_message=error.message if error else None,
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
    )
