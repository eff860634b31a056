"""Topic and group configs over the broker's (LogConfig.fromProps, AbstractKafkaConfig.extractLogConfigMap)."""

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.definitions import TOPIC, TOPIC_SYNONYMS
from pykbroker.config.levels import broker_value
from pykbroker.config.topic_config import GroupConfig, TopicConfig
from pykbroker.config.types import InvalidValue
from pykbroker.config.values import attribute

HOUR = 3_600_000


@pytest.mark.parametrize(
    ("settings", "retention"),
    [
        ({}, 168 * HOUR),
        ({"log.retention.hours": "1"}, HOUR),
        ({"log.retention.hours": "1", "log.retention.minutes": "2"}, 120_000),
        ({"log.retention.minutes": "2", "log.retention.ms": "3"}, 3),
        ({"log.retention.hours": "-1"}, -1),
        ({"log.retention.ms": "-7"}, -1),
    ],
)
def test_the_finest_retention_wins(settings: dict[str, str], retention: int) -> None:
    assert TopicConfig.build(BrokerConfig(settings)).retention_ms == retention


def test_flush_and_roll_have_fallbacks() -> None:
    topic = TopicConfig.build(BrokerConfig({"log.flush.scheduler.interval.ms": "5", "log.roll.jitter.hours": "2"}))
    assert (topic.flush_ms, topic.segment_jitter_ms, topic.segment_ms) == (5, 2 * HOUR, 168 * HOUR)


def test_without_any_setting_topics_have_their_own_defaults() -> None:
    topic = TopicConfig.build(BrokerConfig())
    assert {name: topic.get(name) for name in TOPIC_SYNONYMS} == {
        name: list(TOPIC[name][1]) if isinstance(TOPIC[name][1], tuple) else TOPIC[name][1] for name in TOPIC_SYNONYMS
    }


def test_overrides_win_and_are_checked() -> None:
    broker = BrokerConfig({"log.segment.bytes": "2000000", "message.max.bytes": "7"})
    topic = TopicConfig.build(broker, {"segment.bytes": "3000000"})
    assert (topic.segment_bytes, topic.max_message_bytes, topic.texts) == (3000000, 7, {"segment.bytes": "3000000"})
    with pytest.raises(InvalidValue):
        TopicConfig.build(broker, {"segment.bytes": "1"})


def test_groups_follow_the_broker() -> None:
    group = GroupConfig.build(BrokerConfig({"group.consumer.session.timeout.ms": "50000"}))
    assert (group.consumer_session_timeout_ms, group.share_isolation_level) == (50000, "read_uncommitted")


def test_no_name_has_a_value() -> None:
    assert broker_value(BrokerConfig(), ("log.retention.ms", "log.retention.minutes")) is None
    assert attribute("retention.ms") in TopicConfig.broker_defaults(BrokerConfig())
