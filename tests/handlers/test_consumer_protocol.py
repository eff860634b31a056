"""Where the consumer protocol is off: by group.version, or by group.coordinator.rebalance.protocols."""

from types import SimpleNamespace
from typing import Any

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.errors import KafkaError
from pykbroker.handlers.broker import consumer_group_describe, consumer_group_heartbeat
from pykbroker.handlers.consumer_protocol import require_consumer_protocol
from pykbroker.metadata.image import FeaturesImage, MetadataImage
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from pykbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from pykbroker.request import RequestContext


def broker(level: int = 1, protocols: tuple[str, ...] = ("classic", "consumer")) -> Any:
    config = BrokerConfig()
    config.group_coordinator_rebalance_protocols = list(protocols)
    features = {"group.version": level} if level else {}
    return SimpleNamespace(config=config, image=MetadataImage.empty()._replace(features=FeaturesImage(features)))


def test_it_is_on() -> None:
    require_consumer_protocol(broker())


@pytest.mark.parametrize("where", [broker(level=0), broker(protocols=("classic",))])
async def test_it_is_off(where: Any) -> None:
    with pytest.raises(KafkaError) as caught:
        await consumer_group_heartbeat.handle(where, RequestContext(68, 1), ConsumerGroupHeartbeatRequest())
    assert caught.value.code == E.UNSUPPORTED_VERSION
    request = ConsumerGroupDescribeRequest(group_ids=["g", "h"])
    with pytest.raises(KafkaError) as caught:
        await consumer_group_describe.handle(where, RequestContext(69, 1), request)
    answer = consumer_group_describe.error_response(request, caught.value, 1)
    assert [(row.group_id, row.error_code) for row in answer.groups] == [
        ("g", E.UNSUPPORTED_VERSION),
        ("h", E.UNSUPPORTED_VERSION),
    ]
