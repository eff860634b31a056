"""Where the streams protocol is off: by streams.version, or by group.coordinator.rebalance.protocols."""

from types import SimpleNamespace
from typing import Any

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.errors import KafkaError
from pykbroker.handlers.broker import streams_group_describe, streams_group_heartbeat
from pykbroker.handlers.streams_protocol import require_streams_protocol
from pykbroker.metadata.image import FeaturesImage, MetadataImage
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.streams_group_describe import StreamsGroupDescribeRequest
from pykbroker.protocol.messages.streams_group_heartbeat import StreamsGroupHeartbeatRequest
from pykbroker.request import RequestContext


def broker(level: int = 1, protocols: tuple[str, ...] = ("classic", "streams")) -> Any:
    config = BrokerConfig()
    config.group_coordinator_rebalance_protocols = list(protocols)
    features = {"streams.version": level} if level else {}
    return SimpleNamespace(config=config, image=MetadataImage.empty()._replace(features=FeaturesImage(features)))


def test_it_is_on() -> None:
    require_streams_protocol(broker())


@pytest.mark.parametrize("where", [broker(level=0), broker(protocols=("classic",))])
async def test_it_is_off(where: Any) -> None:
    with pytest.raises(KafkaError) as caught:
        await streams_group_heartbeat.handle(where, RequestContext(88, 0), StreamsGroupHeartbeatRequest())
    assert caught.value.code == E.UNSUPPORTED_VERSION
    request = StreamsGroupDescribeRequest(group_ids=["g", "h"])
    with pytest.raises(KafkaError) as caught:
        await streams_group_describe.handle(where, RequestContext(89, 0), request)
    answer = streams_group_describe.error_response(request, caught.value, 0)
    assert [(row.group_id, row.error_code) for row in answer.groups] == [
        ("g", E.UNSUPPORTED_VERSION),
        ("h", E.UNSUPPORTED_VERSION),
    ]
