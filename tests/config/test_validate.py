"""Checks across the configs of a node and of a topic (KafkaConfig.validateValues, LogConfig.validate)."""

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.errors import ConfigError
from pykbroker.config.validate import validate_broker, validate_topic_overrides, validate_values
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode


def test_the_defaults_are_valid() -> None:
    validate_broker(BrokerConfig())
    validate_topic_overrides({}, BrokerConfig())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"log.cleaner.min.compaction.lag.ms": "2", "log.cleaner.max.compaction.lag.ms": "1"},
            "log.cleaner.min.compaction.lag.ms=2: must not exceed log.cleaner.max.compaction.lag.ms=1",
        ),
        ({"log.retention.ms": "0"}, "log.retention.ms must be unlimited (-1) or, greater than or equal to 1"),
    ],
)
def test_nodes_that_cannot_be(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate_broker(BrokerConfig(settings))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"log.roll.ms": "0"}, "log.roll.ms must be greater than or equal to 1"),
        ({"log.roll.jitter.ms": "-1"}, "log.roll.jitter.ms must be greater than or equal to 0"),
        ({"log.cleaner.dedupe.buffer.size": "100"}, "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner"),
        ({"log.cleaner.threads": "0"}, "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread."),
        (
            {"replica.socket.timeout.ms": "499"},
            "replica.socket.timeout.ms should always be at least replica.fetch.wait",
        ),
        (
            {"replica.lag.time.max.ms": "499"},
            "replica.fetch.wait.max.ms should always be less than or equal to replica",
        ),
        ({"queued.max.request.bytes": "5"}, "queued.max.request.bytes must be larger or equal to socket.request.max"),
        ({"max.connections.per.ip": "0"}, "max.connections.per.ip can be set to zero only if max.connections.per.ip.o"),
        (
            {"max.connections.per.ip.overrides": "a"},
            "max.connections.per.ip.overrides must be HOST:COUNT entries, not a",
        ),
        ({"max.connections.per.ip.overrides": "a:x"}, "max.connections.per.ip.overrides must be HOST:COUNT entries"),
        (
            {"connections.max.idle.ms": "100"},
            "connection.failed.authentication.delay.ms=100 should always be less than",
        ),
        ({"cordoned.log.dirs": "/a", "log.dirs": "/b"}, "All entries in cordoned.log.dirs must be present in log.dirs"),
    ],
)
def test_values_that_do_not_go_together(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate_values(BrokerConfig(settings))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "settings",
    [
        {"connections.max.idle.ms": "-1"},
        {"max.connections.per.ip": "0", "max.connections.per.ip.overrides": "127.0.0.1:5,::1:7"},
        {"cordoned.log.dirs": "*"},
        {"log.retention.hours": "-1"},
    ],
)
def test_values_that_go_together(settings: dict[str, str]) -> None:
    validate_values(BrokerConfig(settings))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"retention.ms": "1", "nope": "1"}, "Unknown topic config name: nope"),
        ({"retention.ms": "x"}, "Invalid value x for configuration retention.ms: Not a number of type LONG"),
        (
            {"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "5"},
            "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)",
        ),
        (
            {"remote.storage.enable": "true"},
            "Tiered Storage functionality is disabled in the broker. "
            "Topic cannot be configured with remote log storage.",
        ),
    ],
)
def test_topics_that_cannot_be(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(KafkaError) as caught:
        validate_topic_overrides(overrides, BrokerConfig())
    assert (caught.value.code, caught.value.message) == (ErrorCode.INVALID_CONFIG, message)


def test_a_topic_must_go_together_with_the_broker() -> None:
    broker = BrokerConfig({"log.cleaner.max.compaction.lag.ms": "5"})
    with pytest.raises(KafkaError, match=r"min.compaction.lag.ms \(10\) > max.compaction.lag.ms \(5\)"):
        validate_topic_overrides({"min.compaction.lag.ms": "10"}, broker)
    validate_topic_overrides({"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "10"}, broker)
