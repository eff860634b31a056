"""The configs of a node follow the image (DynamicBrokerConfig, TopicConfigHandler)."""

import logging

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.dynamic import DynamicBrokerConfig, accepted, config_of, levels_of
from pykbroker.metadata.delta import full_delta
from pykbroker.metadata.image import BROKER_RESOURCE, GROUP_RESOURCE, TOPIC_RESOURCE, MetadataImage
from tests.config.images import changed, image_of

NODE = 1


class Follower:
    """A node whose image changes one config at a time."""

    def __init__(self, **settings: str) -> None:
        self.dynamic = DynamicBrokerConfig(BrokerConfig({k.replace("_", "."): v for k, v in settings.items()}), NODE)
        self.dynamic.on_broker_change = self._count
        self.changes = 0
        self.image = MetadataImage.empty()

    def _count(self) -> None:
        self.changes += 1

    def set(self, name: str, value: str | None, kind: int = BROKER_RESOURCE, resource: str = "1") -> None:
        delta, self.image = changed(self.image, name, value, kind, resource)
        self.dynamic.on_metadata_update(delta, self.image)


def test_the_broker_wins_over_the_cluster_and_the_cluster_over_the_file() -> None:
    node = Follower(log_retention_ms="1")
    assert node.dynamic.current.log_retention_ms == 1
    node.set("log.retention.ms", "2", resource="")
    assert node.dynamic.current.log_retention_ms == 2
    node.set("log.retention.ms", "3")
    assert node.dynamic.current.log_retention_ms == 3
    node.set("log.retention.ms", None)
    node.set("log.retention.ms", None, resource="")
    assert node.dynamic.current.log_retention_ms == 1
    assert node.changes == 4
    assert node.dynamic.static.log_retention_ms == 1


def test_topics_and_groups_follow_at_once() -> None:
    node = Follower()
    assert node.dynamic.topic_config("t").retention_ms == 604800000
    node.set("log.retention.ms", "5")
    assert node.dynamic.topic_config("t").retention_ms == 5
    node.set("retention.ms", "6", TOPIC_RESOURCE, "t")
    assert (node.dynamic.topic_config("t").retention_ms, node.dynamic.topic_config("u").retention_ms) == (6, 5)
    assert node.dynamic.log_config("t").retention_ms == 6
    node.set("consumer.session.timeout.ms", "50000", GROUP_RESOURCE, "g")
    assert node.dynamic.group_config("g").consumer_session_timeout_ms == 50000
    assert node.dynamic.group_config("h").consumer_session_timeout_ms == 45000


def test_a_quota_of_a_broker_is_dynamic_only(caplog: pytest.LogCaptureFixture) -> None:
    name = "replica.alter.log.dirs.io.max.bytes.per.second"
    node = Follower(**{name: "5"})
    assert node.dynamic.broker_quota(name) == 2**63 - 1
    node.set(name, "7", resource="")
    node.set(name, "6")
    assert (node.dynamic.broker_quota(name), node.changes) == (6, 2)
    node.set(name, None)
    assert node.dynamic.broker_quota(name) == 7
    assert not caplog.records


def test_segments_of_tests_may_be_small() -> None:
    node = Follower()
    node.set("internal.segment.bytes", "1000", TOPIC_RESOURCE, "t")
    assert node.dynamic.log_config("t").segment_bytes == 1000
    assert node.dynamic.topic_config("t").segment_bytes == 1073741824


def test_only_what_concerns_this_broker_counts() -> None:
    node = Follower()
    node.set("log.retention.ms", "5", resource="2")
    node.set("retention.ms", "6", TOPIC_RESOURCE, "t")
    assert (node.changes, node.dynamic.current.texts) == (0, {})
    node.set("log.retention.ms", "5")
    node.set("log.retention.ms", "5")
    assert node.changes == 1


def test_a_whole_image_at_once() -> None:
    dynamic = DynamicBrokerConfig(BrokerConfig(), NODE)
    image = image_of({(BROKER_RESOURCE, "1"): {"log.retention.ms": "5"}, (TOPIC_RESOURCE, "t"): {"segment.ms": "7"}})
    dynamic.on_metadata_update(full_delta(image), image)
    assert (dynamic.current.log_retention_ms, dynamic.topic_config("t").segment_ms) == (5, 7)


@pytest.mark.parametrize(
    ("name", "value", "resource", "reason"),
    [
        ("node.id", "2", "1", "it is read-only"),
        ("ssl.keystore.type", "JKS", "1", "it can be set per listener only"),
        ("listeners", "PLAINTEXT://:1", "", "it can be set per broker only"),
        ("listener.name.a.ssl.keystore.type", "JKS", "", "it can be set per broker only"),
        ("log.retention.ms", "x", "1", "Invalid value x for configuration log.retention.ms: Not a number of type LONG"),
    ],
)
def test_what_is_stored_but_cannot_be_is_ignored(
    name: str, value: str, resource: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    node = Follower()
    with caplog.at_level(logging.INFO):
        node.set(name, value, resource=resource)
        node.set("log.segment.bytes", "2000000")
    assert node.dynamic.current.texts == {"log.segment.bytes": "2000000"}
    assert [record.getMessage() for record in caplog.records] == [f"dynamic config {name} is ignored: {reason}"]


@pytest.mark.parametrize("name", ["num.io.threads", "nope", "listener.name.plaintext.max.connections"])
def test_what_has_no_effect_is_told(name: str, caplog: pytest.LogCaptureFixture) -> None:
    node = Follower()
    with caplog.at_level(logging.INFO):
        node.set(name, "9")
    assert node.dynamic.current.texts == {name: "9"}
    assert [record.getMessage() for record in caplog.records] == [f"dynamic config {name} has no effect here"]


def test_a_topic_goes_on_without_its_invalid_configs(caplog: pytest.LogCaptureFixture) -> None:
    node = Follower()
    node.set("segment.bytes", "1", TOPIC_RESOURCE, "t")
    node.set("retention.ms", "6", TOPIC_RESOURCE, "t")
    topic = node.dynamic.topic_config("t")
    assert (topic.segment_bytes, topic.retention_ms, topic.texts) == (1073741824, 6, {"retention.ms": "6"})
    assert "config of topic t is ignored: Invalid value 1 for configuration segment.bytes" in caplog.text


def test_levels_of_any_node() -> None:
    static = BrokerConfig({"log.roll.ms": "1"})
    image = image_of(
        {
            (BROKER_RESOURCE, ""): {"log.roll.ms": "2", "listeners": "x"},
            (BROKER_RESOURCE, "7"): {"log.roll.hours": "3", "log.segment.bytes": "2000000"},
        }
    )
    levels = levels_of(static, image, 7)
    assert levels == ({"log.segment.bytes": "2000000"}, {"log.roll.ms": "2"}, {"log.roll.ms": "1"})
    assert config_of(static, image, 7).texts == {"log.roll.ms": "2", "log.segment.bytes": "2000000"}
    assert accepted({"nope": "x"}, per_broker=True) == {"nope": "x"}


def test_intervals_beyond_bounds_that_have_changed_are_capped(caplog: pytest.LogCaptureFixture) -> None:
    name = "group.consumer.assignment.interval.ms"
    node = Follower(**{"group.consumer.max.assignment.interval.ms": "2000"})
    node.set(name, "5000")
    assert node.dynamic.current.group_consumer_assignment_interval_ms == 2000
    assert f"{name}=5000 is beyond" in caplog.text
    node.set(name, "500")
    assert node.dynamic.current.group_consumer_assignment_interval_ms == 500
