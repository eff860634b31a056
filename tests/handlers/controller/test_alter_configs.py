"""AlterConfigs in the controller: records, and answers in the order of the request."""

import trio

from pykbroker.protocol.enums import ConfigResourceType
from pykbroker.protocol.messages.alter_configs import (
    AlterableConfig,
    AlterConfigsRequest,
    AlterConfigsResource,
    AlterConfigsResponse,
)
from pykbroker.request import RequestContext
from tests.controller.stand import ClusterStand
from tests.handlers.cluster_asker import ClusterAsker

TOPIC = ConfigResourceType.TOPIC


def alter(stand: ClusterStand, *names: str, validate_only: bool = False) -> list[tuple[str, int]]:
    rows = [AlterConfigsResource(TOPIC, name, [AlterableConfig("retention.ms", "5")]) for name in names]
    request = AlterConfigsRequest(resources=rows, validate_only=validate_only)
    response = trio.run(stand.controller.forward, RequestContext(request.API_KEY, 2), request)
    assert isinstance(response, AlterConfigsResponse)
    return [(row.resource_name, row.error_code) for row in response.responses]


def test_replaces_the_configs(cluster_stand: ClusterStand, cluster: ClusterAsker) -> None:
    topic = cluster.create(segment_ms="7").name
    assert alter(cluster_stand, "nobody", topic) == [("nobody", 3), (topic, 0)]
    assert cluster_stand.image.configs.topic(topic) == {"retention.ms": "5"}
    assert cluster_stand.dynamic_config.topic_config(topic).retention_ms == 5


def test_validate_only_writes_nothing(cluster_stand: ClusterStand, cluster: ClusterAsker) -> None:
    topic = cluster.create(segment_ms="7").name
    offset = cluster_stand.image.offset
    assert alter(cluster_stand, topic, validate_only=True) == [(topic, 0)]
    assert cluster_stand.image.offset == offset
