"""Settings of groups follow the dynamic configs of the broker where Kafka's do, and those of the group."""

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.coordinator.group.consumer_settings import ConsumerSettings
from pykbroker.coordinator.group.share_settings import ShareSettings
from pykbroker.coordinator.group.streams_settings import StreamsSettings
from pykbroker.metadata.image import GROUP_RESOURCE, ConfigsImage, MetadataImage

KINDS = {"consumer": ConsumerSettings, "share": ShareSettings, "streams": StreamsSettings}


@pytest.mark.parametrize("kind", KINDS)
def test_intervals_between_assignments_follow_the_broker_and_the_group(kind: str) -> None:
    started = BrokerConfig()
    current = started
    image = MetadataImage.empty()
    settings = KINDS[kind](started, lambda: image, lambda: current)
    assert settings.assignment_interval_ms("g") == 0
    current = started.with_overrides({f"group.{kind}.assignment.interval.ms": "7"})
    assert (settings.assignment_interval_ms("g"), settings.session_timeout_ms("g")) == (7, 45_000)
    image = image._replace(configs=ConfigsImage({(GROUP_RESOURCE, "g"): {f"{kind}.assignment.interval.ms": "8"}}))
    assert (settings.assignment_interval_ms("g"), settings.assignment_interval_ms("h")) == (8, 7)


@pytest.mark.parametrize("kind", KINDS)
def test_without_dynamic_configs(kind: str) -> None:
    config = BrokerConfig({f"group.{kind}.assignment.interval.ms": "5"})
    assert KINDS[kind](config, MetadataImage.empty).assignment_interval_ms("g") == 5
