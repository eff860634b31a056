"""DescribeConfigs, as the real Kafka 4.3.1 answers it."""

import pytest

from pykbroker.config.definitions import BROKER as BROKER_TABLE
from pykbroker.config.definitions import OUR_DEFAULTS
from pykbroker.config.definitions import TOPIC as TOPIC_TABLE
from pykbroker.config.types import INTERNAL
from pykbroker.protocol.enums import ConfigSource, ConfigType
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from tests.handlers.broker.asker import Asker
from tests.handlers.cluster_asker import eventually
from tests.handlers.config_dialogue import (
    BROKER,
    DONE,
    GROUP,
    LOGGER,
    METRICS,
    NODE,
    SET,
    TOPIC,
    describe,
    entries,
    incremental,
    refusal,
)

LONGEST = "9223372036854775807"
DEFAULT, OF_TOPIC, OF_CLUSTER = ConfigSource.DEFAULT_CONFIG, ConfigSource.TOPIC_CONFIG, 3


def inherited(name: str, value: str) -> tuple[str, int, list[tuple[str, str, int]]]:
    """What a topic has of the broker's default."""
    return value, DEFAULT, [(name, value, DEFAULT)]


@pytest.mark.parametrize("version", range(1, 5))
def test_every_version(cluster: Asker, version: int) -> None:
    topic = cluster.create(retention_ms="1000")
    result = describe(cluster, TOPIC, topic.name, ["retention.ms"], version, include_synonyms=True)
    assert (result.error_code, result.error_message) == (0, "")
    (row,) = result.configs
    assert (row.name, row.value, row.read_only, row.config_source) == ("retention.ms", "1000", False, OF_TOPIC)
    assert [(s.name, s.value, s.source) for s in row.synonyms] == [("retention.ms", "1000", OF_TOPIC)]
    assert (row.is_sensitive, row.config_type) == (False, ConfigType.LONG if version >= 3 else 0)
    assert row.documentation == (None if version >= 3 else "")


def test_all_configs_of_a_topic(cluster: Asker) -> None:
    topic = cluster.create()
    everything = entries(cluster, TOPIC, topic.name)
    assert everything.keys() == {name for name, row in TOPIC_TABLE.items() if not row[4] & INTERNAL}
    assert everything.pop("min.insync.replicas") == (
        *("1", OF_CLUSTER),
        [("min.insync.replicas", "1", OF_CLUSTER), ("min.insync.replicas", "1", DEFAULT)],
    )
    assert {name: value for name, (value, source, _) in everything.items() if source != DEFAULT} == {}
    expected = {
        "compression.type": inherited("compression.type", "producer"),
        "cleanup.policy": inherited("log.cleanup.policy", "delete"),
        "flush.messages": inherited("log.flush.interval.messages", LONGEST),
        "flush.ms": (LONGEST, DEFAULT, []),
        "max.message.bytes": inherited("message.max.bytes", "1048588"),
        "min.cleanable.dirty.ratio": inherited("log.cleaner.min.cleanable.ratio", "0.5"),
        "preallocate": inherited("log.preallocate", "false"),
        "remote.storage.enable": ("false", DEFAULT, []),
        "leader.replication.throttled.replicas": ("", DEFAULT, []),
        "retention.ms": ("604800000", DEFAULT, []),
        "segment.ms": ("604800000", DEFAULT, []),
    }
    assert {name: everything[name] for name in expected} == expected


def test_only_what_is_asked_for_is_told(cluster: Asker) -> None:
    topic = cluster.create()
    assert entries(cluster, TOPIC, topic.name, "segment.bytes", "no.such.config").keys() == {"segment.bytes"}
    assert len(describe(cluster, TOPIC, topic.name, []).configs) == 33
    (row,) = describe(cluster, TOPIC, topic.name, ["segment.bytes"]).configs
    assert (row.synonyms, row.documentation) == ([], None)


def test_documentation(cluster: Asker) -> None:
    topic = cluster.create()
    for kind, name, key in (
        (TOPIC, topic.name, "segment.bytes"),
        (BROKER, NODE, "node.id"),
        (GROUP, "any", "consumer.session.timeout.ms"),
        (METRICS, "any", "match"),
    ):
        (row,) = describe(cluster, kind, name, [key], include_documentation=True).configs
        assert len(row.documentation) > 10
    (row,) = describe(cluster, LOGGER, NODE, ["root"], include_documentation=True).configs
    assert row.documentation == ""


def test_an_internal_config_is_told_where_it_is_set(cluster: Asker) -> None:
    topic = cluster.create(internal_segment_bytes="1000")
    assert entries(cluster, TOPIC, topic.name, "internal.segment.bytes") == {
        "internal.segment.bytes": ("1000", OF_TOPIC, [("internal.segment.bytes", "1000", OF_TOPIC)])
    }


def test_all_configs_of_the_broker(cluster: Asker) -> None:
    result = describe(cluster, BROKER, NODE, include_synonyms=True)
    rows = {row.name: row for row in result.configs}
    public = {name for name, row in BROKER_TABLE.items() if not row[4] & INTERNAL}
    assert public <= rows.keys()
    for name in public:
        kind, default, _, update_mode, _ = BROKER_TABLE[name]
        row = rows[name]
        assert (name, row.config_type, row.read_only) == (name, kind, update_mode == 0)
        assert (name, row.is_sensitive) == (name, kind == ConfigType.PASSWORD)
        if default is None and row.config_source == DEFAULT and name not in OUR_DEFAULTS:
            assert (name, row.value, row.synonyms) == (name, None, [])
    assert (rows["node.id"].value, rows["broker.rack"].value) == (NODE, None)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("log.flush.interval.ms", (None, DEFAULT, [])),
        ("log.retention.ms", (None, DEFAULT, [])),
        ("log.retention.hours", ("168", DEFAULT, [("log.retention.hours", "168", DEFAULT)])),
        (
            "log.cleaner.io.max.bytes.per.second",
            inherited("log.cleaner.io.max.bytes.per.second", "1.7976931348623157E308"),
        ),
        ("ssl.keystore.password", (None, DEFAULT, [])),
        ("log.dir", inherited("log.dir", "/tmp/kafka-logs")),
    ],
)
def test_a_config_of_the_broker(cluster: Asker, name: str, told: tuple[str | None, int, list[object]]) -> None:
    assert entries(cluster, BROKER, NODE, name) == {name: told}


def test_what_is_set_for_all_brokers(cluster: Asker) -> None:
    told = entries(cluster, BROKER, "")
    assert told["min.insync.replicas"] == ("1", OF_CLUSTER, [("min.insync.replicas", "1", OF_CLUSTER)])


def test_groups_need_not_exist(cluster: Asker) -> None:
    told = entries(cluster, GROUP, "any")
    assert len(told) == 17
    name = "group.consumer.session.timeout.ms"
    assert told["consumer.session.timeout.ms"] == ("45000", DEFAULT, [(name, "45000", DEFAULT)])
    name = "share.isolation.level"
    assert told[name] == ("read_uncommitted", DEFAULT, [(name, "read_uncommitted", DEFAULT)])


def test_client_metrics_need_not_exist(cluster: Asker) -> None:
    assert entries(cluster, METRICS, "any") == {
        "interval.ms": ("300000", DEFAULT, []),
        "match": ("", DEFAULT, []),
        "metrics": ("", DEFAULT, []),
    }
    assert incremental(cluster, METRICS, "some", ("interval.ms", SET, "1000")) == DONE
    source = ConfigSource.CLIENT_METRICS_CONFIG
    told = ("1000", source, [("interval.ms", "1000", source)])
    eventually(lambda: entries(cluster, METRICS, "some")["interval.ms"], told.__eq__)


def test_loggers(cluster: Asker) -> None:
    (row,) = describe(cluster, LOGGER, NODE, ["root"], include_synonyms=True).configs
    assert row.value in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
    assert (row.config_source, row.config_type, row.synonyms) == (ConfigSource.DYNAMIC_BROKER_LOGGER_CONFIG, 0, [])
    assert (row.read_only, row.is_sensitive) == (False, False)


def test_resources_that_cannot_be(cluster: Asker) -> None:
    invalid = ErrorCode.INVALID_REQUEST
    expected = {
        (TOPIC, "no-such-topic"): (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ""),
        (TOPIC, "__cluster_metadata"): (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ""),
        (TOPIC, ""): (ErrorCode.INVALID_TOPIC_EXCEPTION, "Topic name is invalid: the empty string is not allowed"),
        (BROKER, "x"): (invalid, "Broker id must be an integer, but it is: x"),
        (BROKER, "7"): (invalid, "Unexpected broker id, expected 1 or empty string, but received 7"),
        (LOGGER, ""): (invalid, "Broker id must not be empty"),
        (LOGGER, "7"): (invalid, "Unexpected broker id, expected 1 but received 7"),
        (METRICS, ""): (invalid, "Client metrics subscription name must not be empty"),
        (GROUP, ""): (invalid, "Group name must not be empty"),
    }
    assert {resource: refusal(cluster, *resource) for resource in expected} == expected
    for kind in (0, 99):
        code, message = refusal(cluster, kind, "any")
        assert code == invalid
        assert message is not None
        assert message.startswith("This most likely occurs because of a request being malformed")


def test_several_resources_in_one_request(cluster: Asker) -> None:
    topic = cluster.create()
    asked = [DescribeConfigsResource(TOPIC, name, ["segment.bytes"]) for name in (topic.name, "nobody", topic.name)]
    response = cluster.ask(DescribeConfigsRequest(resources=asked), 4)
    assert [(r.error_code, len(r.configs)) for r in response.results] == [(0, 1), (3, 0), (0, 1)]
    assert cluster.ask(DescribeConfigsRequest(resources=[]), 4).results == []
