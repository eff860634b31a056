"""AlterConfigs (33) in the controller: each resource gets exactly the configs of the request."""

from pykbroker.controller.configuration_control import ConfigurationControl, Resource
from pykbroker.controller.controller import Controller
from pykbroker.controller.result import ControllerResult
from pykbroker.errors import KafkaError
from pykbroker.handlers.config_resources import distinct
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)
from pykbroker.request import RequestContext


async def handle(controller: Controller, ctx: RequestContext, request: AlterConfigsRequest) -> AlterConfigsResponse:
    """A broker has seen to it that no value is null."""
    resources, refused = distinct(request.resources)
    configs = {key: {c.name: c.value or "" for c in resource.configs} for key, resource in resources.items()}

    def decide(image: MetadataImage) -> ControllerResult[dict[Resource, KafkaError | None]]:
        control = ConfigurationControl(image, controller.config, controller.node_id)
        result = control.legacy_alter(configs)
        return ControllerResult([], result.response) if request.validate_only else result

    results = await controller.execute(decide)
    return AlterConfigsResponse(responses=[_row(*each) for each in (*refused, *results.items())])


def _row(resource: Resource, error: KafkaError | None) -> AlterConfigsResourceResponse:
    return AlterConfigsResourceResponse(
        error_code=error.code if error else 0,
        error_message=error.message if error else None,
        resource_type=resource[0],
        resource_name=resource[1],
    )
