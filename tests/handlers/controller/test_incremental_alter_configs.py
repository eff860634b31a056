"""IncrementalAlterConfigs in the controller: records, and answers in the order of the request."""

import trio

from pykbroker.protocol.enums import AlterConfigOp, ConfigResourceType
from pykbroker.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from pykbroker.request import RequestContext
from tests.controller.stand import ClusterStand
from tests.handlers.cluster_asker import ClusterAsker

TOPIC = ConfigResourceType.TOPIC
APPEND = AlterConfigOp.APPEND


def alter(stand: ClusterStand, *names: str, validate_only: bool = False) -> list[tuple[str, int]]:
    rows = [AlterConfigsResource(TOPIC, name, [AlterableConfig("cleanup.policy", APPEND, "compact")]) for name in names]
    request = IncrementalAlterConfigsRequest(resources=rows, validate_only=validate_only)
    response = trio.run(stand.controller.forward, RequestContext(request.API_KEY, 1), request)
    assert isinstance(response, IncrementalAlterConfigsResponse)
    return [(row.resource_name, row.error_code) for row in response.responses]


def test_changes_the_configs(cluster_stand: ClusterStand, cluster: ClusterAsker) -> None:
    topic = cluster.create(segment_ms="7").name
    assert alter(cluster_stand, "nobody", topic) == [("nobody", 3), (topic, 0)]
    assert cluster_stand.image.configs.topic(topic) == {"segment.ms": "7", "cleanup.policy": "delete,compact"}
    assert cluster_stand.dynamic_config.topic_config(topic).cleanup_policy == ["delete", "compact"]


def test_validate_only_writes_nothing(cluster_stand: ClusterStand, cluster: ClusterAsker) -> None:
    topic = cluster.create().name
    offset = cluster_stand.image.offset
    assert alter(cluster_stand, topic, validate_only=True) == [(topic, 0)]
    assert cluster_stand.image.offset == offset
