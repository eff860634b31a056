"""IncrementalAlterConfigs (44) in the controller: operations on the stored configs become records (KIP-339)."""

from pykbroker.controller.configuration_control import ConfigurationControl, Operation, Resource
from pykbroker.controller.controller import Controller
from pykbroker.controller.result import ControllerResult
from pykbroker.errors import KafkaError
from pykbroker.handlers.config_resources import distinct
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.messages.incremental_alter_configs import (
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from pykbroker.request import RequestContext


async def handle(
    controller: Controller, ctx: RequestContext, request: IncrementalAlterConfigsRequest
) -> IncrementalAlterConfigsResponse:
    resources, refused = distinct(request.resources)
    changes = {
        key: [Operation(config.name, config.config_operation, config.value) for config in resource.configs]
        for key, resource in resources.items()
    }

    def decide(image: MetadataImage) -> ControllerResult[dict[Resource, KafkaError | None]]:
        control = ConfigurationControl(image, controller.config, controller.node_id)
        result = control.incremental_alter(changes)
        return ControllerResult([], result.response) if request.validate_only else result

    results = await controller.execute(decide)
    return IncrementalAlterConfigsResponse(responses=[_row(*each) for each in (*refused, *results.items())])


def _row(resource: Resource, error: KafkaError | None) -> AlterConfigsResourceResponse:
    return AlterConfigsResourceResponse(
        error_code=error.code if error else 0,
        error_message=error.message if error else None,
        resource_type=resource[0],
        resource_name=resource[1],
    )
