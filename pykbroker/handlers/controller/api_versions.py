"""ApiVersions (18) of the controller: what is served there. Brokers offer to their clients no more than both can."""

from pykbroker.controller.controller import Controller
from pykbroker.controller_apis import SERVED_BY_CONTROLLER
from pykbroker.dispatch import advertised
from pykbroker.handlers.api_versions_view import api_versions, check_software
from pykbroker.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from pykbroker.request import RequestContext


async def handle(controller: Controller, ctx: RequestContext, request: ApiVersionsRequest) -> ApiVersionsResponse:
    check_software(request, ctx.api_version)
    rows = advertised(SERVED_BY_CONTROLLER, controller.config.unstable_api_versions_enable)
    return api_versions(rows, controller.published_image, controller.quorum.kraft_version, ctx.api_version)
