"""ApiVersions (18): which APIs in which versions, and the feature levels."""

from pykbroker.dispatch import advertised
from pykbroker.handlers.api_versions_view import api_versions, check_software, within_reach
from pykbroker.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from pykbroker.request import RequestContext, Services


async def handle(broker: Services, ctx: RequestContext, request: ApiVersionsRequest) -> ApiVersionsResponse:
    check_software(request, ctx.api_version)
    rows = advertised(unstable=broker.config.unstable_api_versions_enable)
    link = broker.controller
    return api_versions(within_reach(rows, link.controller_versions), broker.image, link.kraft_version, ctx.api_version)
