"""IncrementalAlterConfigs (44): sets, removes, appends, subtracts (KIP-339); loggers too (KIP-412)."""

from pykbroker.config.admin import ConfigAdmin
from pykbroker.errors import KafkaError
from pykbroker.protocol.messages.incremental_alter_configs import (
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from pykbroker.request import RequestContext, Services


async def handle(
    broker: Services, ctx: RequestContext, request: IncrementalAlterConfigsRequest
) -> IncrementalAlterConfigsResponse:
    admin = ConfigAdmin(broker.node_id, broker.dynamic_config, broker.image)
    done = admin.preprocess_incremental(request.resources, validate_only=request.validate_only)
    rows = [_row(resource, done.get(index)) for index, resource in enumerate(request.resources)]
    remaining = [index for index in range(len(rows)) if index not in done]
    if remaining:
        forwarded = IncrementalAlterConfigsRequest(
            resources=[request.resources[index] for index in remaining], validate_only=request.validate_only
        )
        response = await broker.controller.forward(ctx, forwarded)
        assert isinstance(response, IncrementalAlterConfigsResponse)
        for index, row in zip(remaining, response.responses, strict=True):
            rows[index] = row
    return IncrementalAlterConfigsResponse(responses=rows)


def error_response(
    request: IncrementalAlterConfigsRequest, error: KafkaError, version: int
) -> IncrementalAlterConfigsResponse:
    """Every resource gets the error (IncrementalAlterConfigsRequest.getErrorResponse)."""
    return IncrementalAlterConfigsResponse(responses=[_row(resource, error) for resource in request.resources])


def _row(resource: AlterConfigsResource, error: KafkaError | None) -> AlterConfigsResourceResponse:
    return AlterConfigsResourceResponse(
        error_code=error.code if error else 0,
        error_message=error.message if error else None,
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
    )
