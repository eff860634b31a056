"""ListConfigResources (74): what has configs (KIP-714 for client metrics, KIP-1142 for the rest)."""

from collections.abc import Iterable

from pykbroker.errors import KafkaError
from pykbroker.handlers.cluster_view import is_reachable
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.enums import ConfigResourceType
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.list_config_resources import (
    ConfigResource,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)
from pykbroker.request import RequestContext, Services

# In the order in which they are told.
LISTED = (
    ConfigResourceType.GROUP,
    ConfigResourceType.CLIENT_METRICS,
    ConfigResourceType.BROKER_LOGGER,
    ConfigResourceType.BROKER,
    ConfigResourceType.TOPIC,
)


async def handle(
    broker: Services, ctx: RequestContext, request: ListConfigResourcesRequest
) -> ListConfigResourcesResponse:
    kinds: Iterable[int] = request.resource_types or LISTED
    if ctx.api_version == 0:
        kinds = (ConfigResourceType.CLIENT_METRICS,)
    if not set(kinds) <= set(LISTED):
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
    image = broker.image
    alive = [str(each.id) for each in image.brokers.values() if is_reachable(ctx, each)]
    return ListConfigResourcesResponse(
        config_resources=[
            ConfigResource(name, kind) for kind in LISTED if kind in kinds for name in _names(image, kind, alive)
        ]
    )


def _names(image: MetadataImage, kind: int, alive: list[str]) -> list[str]:
    if kind == ConfigResourceType.TOPIC:
        return image.topics.names()
    if kind in (ConfigResourceType.BROKER, ConfigResourceType.BROKER_LOGGER):
        return alive
    return [name for resource_type, name in image.configs.resources if resource_type == kind]
