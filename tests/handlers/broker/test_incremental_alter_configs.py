"""IncrementalAlterConfigs, as the real Kafka 4.3.1 answers it."""

from collections.abc import Iterator, Mapping

import pytest

from pykbroker.protocol.enums import ConfigSource
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from tests.handlers.broker.asker import Asker
from tests.handlers.cluster_asker import eventually, unique
from tests.handlers.config_dialogue import (
    APPEND,
    BROKER,
    DELETE,
    DONE,
    GROUP,
    LOGGER,
    METRICS,
    NODE,
    SET,
    SUBTRACT,
    TOPIC,
    Change,
    entries,
    incremental,
)

INVALID, REQUEST = ErrorCode.INVALID_CONFIG, ErrorCode.INVALID_REQUEST
DEFAULT, OF_TOPIC, OF_BROKER, OF_CLUSTER = ConfigSource.DEFAULT_CONFIG, ConfigSource.TOPIC_CONFIG, 2, 3
UNKNOWN_OPERATION = 9


def value(name: str, text: str) -> Change:
    return name, SET, text


def refused(asker: Asker, kind: int, name: str, expected: Mapping[Change, tuple[int, str | None]]) -> None:
    """Every change alone gets the answer; none of them is kept."""
    assert {change: incremental(asker, kind, name, change, validate_only=True) for change in expected} == expected


def becomes(asker: Asker, kind: int, name: str, key: str, told: tuple[str | None, int]) -> None:
    eventually(lambda: entries(asker, kind, name, key)[key][:2], told.__eq__)


@pytest.mark.parametrize("version", [0, 1])
def test_set_and_delete(cluster: Asker, version: int) -> None:
    topic = cluster.create().name
    assert incremental(cluster, TOPIC, topic, ("retention.ms", SET, "1000"), version=version) == DONE
    becomes(cluster, TOPIC, topic, "retention.ms", ("1000", OF_TOPIC))
    assert incremental(cluster, TOPIC, topic, ("retention.ms", DELETE, None), version=version) == DONE
    becomes(cluster, TOPIC, topic, "retention.ms", ("604800000", DEFAULT))


def test_append_and_subtract(cluster: Asker) -> None:
    topic, key = cluster.create().name, "cleanup.policy"
    for operation, part, after in (
        (APPEND, "compact", "delete,compact"),
        (APPEND, "delete,compact", "delete,compact"),
        (SUBTRACT, "delete", "compact"),
        (SUBTRACT, "delete,compact", ""),
        (APPEND, "compact", "compact"),
    ):
        assert incremental(cluster, TOPIC, topic, (key, operation, part)) == DONE
        becomes(cluster, TOPIC, topic, key, (after, OF_TOPIC))


def test_repetitions_count_once(cluster: Asker) -> None:
    topic, key = cluster.create().name, "cleanup.policy"
    assert incremental(cluster, TOPIC, topic, (key, SET, "compact, delete,compact")) == DONE
    becomes(cluster, TOPIC, topic, key, ("compact,delete", OF_TOPIC))
    throttled = "leader.replication.throttled.replicas"
    assert incremental(cluster, TOPIC, topic, (throttled, SET, "1:1,,1:1")) == DONE
    becomes(cluster, TOPIC, topic, throttled, ("1:1,,1:1", OF_TOPIC))
    subscription = unique("metrics")
    assert incremental(cluster, METRICS, subscription, ("match", SET, "client_id=a,client_id=a")) == DONE
    becomes(cluster, METRICS, subscription, "match", ("client_id=a", ConfigSource.CLIENT_METRICS_CONFIG))
    assert incremental(cluster, METRICS, subscription, ("match", DELETE, None)) == DONE


def test_validate_only_changes_nothing(cluster: Asker) -> None:
    topic = cluster.create().name
    assert incremental(cluster, TOPIC, topic, ("retention.ms", SET, "1"), validate_only=True) == DONE
    assert incremental(cluster, TOPIC, topic, ("segment.bytes", SET, "2000000")) == DONE
    becomes(cluster, TOPIC, topic, "segment.bytes", ("2000000", OF_TOPIC))
    assert entries(cluster, TOPIC, topic, "retention.ms")["retention.ms"][1] == DEFAULT


def test_no_change_and_what_is_not_set(cluster: Asker) -> None:
    topic = cluster.create().name
    assert incremental(cluster, TOPIC, topic) == DONE
    assert incremental(cluster, TOPIC, topic, ("retention.ms", DELETE, None)) == DONE
    assert incremental(cluster, TOPIC, topic, ("no.such.config", DELETE, None)) == DONE


def test_values_that_a_topic_cannot_have(cluster: Asker) -> None:
    expected = {
        value("retention.ms", "x"): "Invalid value x for configuration retention.ms: Not a number of type LONG",
        value(
            "segment.bytes", "100"
        ): "Invalid value 100 for configuration segment.bytes: Value must be at least 1048576",
        value("segment.bytes", "99999999999"): (
            "Invalid value 99999999999 for configuration segment.bytes: Not a number of type INT"
        ),
        value("no.such", "x"): "Unknown topic config name: no.such",
        value("cleanup.policy", "nope"): (
            "Invalid value nope for configuration cleanup.policy: String must be one of: compact, delete"
        ),
        value("cleanup.policy", "delete,,compact"): "Configuration 'cleanup.policy' values must not be empty.",
        value("message.timestamp.type", "x"): (
            "Invalid value x for configuration message.timestamp.type: String must be one of: CreateTime, LogAppendTime"
        ),
        value("compression.gzip.level", "0"): (
            "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1"
        ),
        value("min.cleanable.dirty.ratio", "2"): (
            "Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"
        ),
        value("preallocate", "x"): (
            "Invalid value x for configuration preallocate: Expected value to be either true or false"
        ),
        value("follower.replication.throttled.replicas", "*,*"): (
            "Invalid value [*, *] for configuration follower.replication.throttled.replicas: "
            "follower.replication.throttled.replicas must be the literal '*' or a list of replicas in the following "
            "format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
        ),
        value("remote.storage.enable", "true"): (
            "Tiered Storage functionality is disabled in the broker. "
            "Topic cannot be configured with remote log storage."
        ),
        ("cleanup.policy", APPEND, ""): "Configuration 'cleanup.policy' values must not be empty.",
        ("retention.ms", APPEND, "5"): "Can't APPEND to key retention.ms because its type is not LIST.",
        ("no.such", SUBTRACT, "x"): "Can't SUBTRACT to key no.such because its type is not LIST.",
    }
    refused(cluster, TOPIC, cluster.create().name, {change: (INVALID, text) for change, text in expected.items()})


def test_values_that_do_not_fit_together(cluster: Asker) -> None:
    lags = ("min.compaction.lag.ms", SET, "10"), ("max.compaction.lag.ms", SET, "5")
    assert incremental(cluster, TOPIC, cluster.create().name, *lags) == (
        INVALID,
        "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)",
    )


def test_one_bad_value_keeps_the_others_out(cluster: Asker) -> None:
    topic = cluster.create().name
    changes = ("retention.ms", SET, "1"), ("segment.bytes", SET, "x")
    assert incremental(cluster, TOPIC, topic, *changes)[0] == INVALID
    assert entries(cluster, TOPIC, topic, "retention.ms")["retention.ms"][1] == DEFAULT


def test_a_value_may_not_grow_without_end(cluster: Asker) -> None:
    topic, key = cluster.create().name, "leader.replication.throttled.replicas"
    first = ",".join(f"{i}:1" for i in range(4500))
    assert incremental(cluster, TOPIC, topic, (key, SET, first)) == DONE
    more = ",".join(f"{i}:2" for i in range(4500))
    assert incremental(cluster, TOPIC, topic, (key, APPEND, more)) == (
        INVALID,
        "The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes.",
    )


def test_requests_that_are_malformed(cluster: Asker) -> None:
    topic, key = cluster.create().name, "retention.ms"
    assert incremental(cluster, TOPIC, topic, (key, SET, None)) == (REQUEST, f"Null value not supported for : {key}")
    duplicate = REQUEST, "Error due to duplicate config keys"
    assert incremental(cluster, TOPIC, topic, (key, SET, "1"), (key, SET, "2")) == duplicate
    assert incremental(cluster, TOPIC, topic, (key, UNKNOWN_OPERATION, "1")) == (ErrorCode.UNKNOWN_SERVER_ERROR, None)
    for kind in (0, 64, 99):
        assert incremental(cluster, kind, "x", (key, SET, "1")) == (REQUEST, f"Unknown resource type {kind}")


def test_topics_that_cannot_be(cluster: Asker) -> None:
    change = "retention.ms", SET, "1"
    nobody = unique()
    assert incremental(cluster, TOPIC, nobody, change) == (3, f"The topic '{nobody}' does not exist.")
    assert incremental(cluster, TOPIC, nobody, ("retention.ms", SET, "x"))[0] == INVALID
    assert incremental(cluster, TOPIC, "", change) == (REQUEST, "Default topic resources are not allowed.")
    assert incremental(cluster, TOPIC, "a b", change) == (
        ErrorCode.INVALID_TOPIC_EXCEPTION,
        "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
    )


def test_several_resources_in_one_request(cluster: Asker) -> None:
    names = [cluster.create().name, unique(), cluster.create().name]

    def row(name: str) -> AlterConfigsResource:
        return AlterConfigsResource(TOPIC, name, [AlterableConfig("retention.ms", SET, "1000")])

    response = cluster.ask(IncrementalAlterConfigsRequest(resources=[row(name) for name in names]), 1)
    assert [(r.resource_name, r.error_code) for r in response.responses] == list(zip(names, (0, 3, 0), strict=True))
    becomes(cluster, TOPIC, names[2], "retention.ms", ("1000", OF_TOPIC))
    response = cluster.ask(IncrementalAlterConfigsRequest(resources=[row(names[0]), row(names[0])]), 1)
    twice = REQUEST, "Each resource must appear at most once."
    assert [(r.error_code, r.error_message) for r in response.responses] == [twice, twice]
    assert cluster.ask(IncrementalAlterConfigsRequest(resources=[]), 1).responses == []


# The broker's own configs


@pytest.fixture
def retention(cluster: Asker) -> Iterator[str]:
    """A dynamic config of the broker that is removed after the test."""
    yield "log.retention.ms"
    for name in (NODE, ""):
        assert incremental(cluster, BROKER, name, ("log.retention.ms", DELETE, None)) == DONE
    becomes(cluster, BROKER, NODE, "log.retention.ms", (None, DEFAULT))


def test_a_topic_follows_the_broker_and_the_broker_the_cluster(cluster: Asker, retention: str) -> None:
    topic = cluster.create().name
    assert incremental(cluster, BROKER, "", (retention, SET, "1000")) == DONE
    becomes(cluster, TOPIC, topic, "retention.ms", ("1000", OF_CLUSTER))
    assert incremental(cluster, BROKER, NODE, (retention, SET, "2000")) == DONE
    becomes(cluster, TOPIC, topic, "retention.ms", ("2000", OF_BROKER))
    levels = [(retention, "2000", OF_BROKER), (retention, "1000", OF_CLUSTER), ("log.retention.hours", "168", DEFAULT)]
    assert entries(cluster, BROKER, NODE, retention) == {retention: ("2000", OF_BROKER, levels)}
    assert entries(cluster, TOPIC, topic, "retention.ms") == {"retention.ms": ("2000", OF_BROKER, levels)}
    assert entries(cluster, BROKER, "", retention) == {retention: ("1000", OF_CLUSTER, levels[1:2])}


def test_brokers_that_are_another_s_or_none(cluster: Asker) -> None:
    change = "log.retention.ms", SET, "1000"
    other = REQUEST, "Unexpected broker id, expected 1, but received 7"
    assert incremental(cluster, BROKER, "7", change) == other
    assert incremental(cluster, BROKER, "-1", change)[1] == "Unexpected broker id, expected 1, but received -1"
    assert incremental(cluster, BROKER, "x", change) == (REQUEST, "Node id must be an integer, but it is: x")


def test_what_the_broker_cannot_change_while_it_runs(cluster: Asker) -> None:
    read_only = "Cannot update these configs dynamically: "
    security = "These security configs can be dynamically updated only per-listener using the listener prefix: "
    expected: dict[Change, tuple[int, str | None]] = {
        value("node.id", "2"): (REQUEST, read_only + "[node.id]"),
        value("num.partitions", "5"): (REQUEST, read_only + "[num.partitions]"),
        value("ssl.keystore.type", "JKS"): (REQUEST, security + "[ssl.keystore.type]"),
        value("log.retention.ms", "x"): (
            REQUEST,
            "Invalid value x for configuration log.retention.ms: Not a number of type LONG",
        ),
        value("listener.name.plaintext.max.connections", "x"): (
            REQUEST,
            "Invalid value x for configuration max.connections: Not a number of type INT",
        ),
        value("leader.replication.throttled.rate", "-1"): (
            REQUEST,
            "Invalid value -1 for configuration leader.replication.throttled.rate: Value must be at least 0",
        ),
        value("log.retention.ms", "0"): (
            REQUEST,
            "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
        ),
        value("max.connections.per.ip", "0"): (
            REQUEST,
            "requirement failed: max.connections.per.ip can be set to zero only if "
            "max.connections.per.ip.overrides property is set.",
        ),
        value("group.consumer.assignment.interval.ms", "15001"): (
            REQUEST,
            "group.consumer.assignment.interval.ms must be less than or equal to "
            "group.consumer.max.assignment.interval.ms",
        ),
        value("principal.builder.class", "foo.Bar"): (
            REQUEST,
            "Invalid value foo.Bar for configuration principal.builder.class: Class foo.Bar could not be found.",
        ),
        ("no.such", APPEND, "2"): (INVALID, "Unknown config name: no.such"),
        ("log.retention.ms", APPEND, "2"): (
            INVALID,
            "Config value append is not allowed for config key: log.retention.ms",
        ),
        ("log.retention.ms", UNKNOWN_OPERATION, "2"): (REQUEST, "Unknown operations type 9"),
        ("log.cleanup.policy", APPEND, "nope"): (
            REQUEST,
            "Invalid value nope for configuration log.cleanup.policy: String must be one of: compact, delete",
        ),
        value("min.insync.replicas", "2"): (
            INVALID,
            "Broker-level min.insync.replicas cannot be altered while ELR is enabled.",
        ),
    }
    refused(cluster, BROKER, NODE, expected)


@pytest.mark.parametrize(("threads", "border"), [("100", "not be greater than double"), ("1", "be at least half")])
def test_threads_change_gently(cluster: Asker, threads: str, border: str) -> None:
    told = incremental(cluster, BROKER, NODE, ("num.io.threads", SET, threads), validate_only=True)
    assert told == (
        REQUEST,
        "Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread count update validation failed "
        f"for num.io.threads={threads}, value should {border} the current value 8 "
        "for configuration Invalid dynamic configuration",
    )


def test_what_the_broker_takes(cluster: Asker) -> None:
    changes = [
        value("no.such.config", "2"),
        value("listener.name.plaintext.ssl.keystore.type", "JKS"),
        value("num.io.threads", "16"),
        value("log.retention.ms", "-7"),
        value("follower.replication.throttled.rate", "100"),
        ("node.id", DELETE, None),
        ("log.cleanup.policy", SUBTRACT, "delete"),
    ]
    assert {incremental(cluster, BROKER, NODE, change, validate_only=True) for change in changes} == {DONE}


def test_what_not_all_brokers_can_have(cluster: Asker) -> None:
    per_broker = "Cannot update these configs at default cluster level, broker id must be specified: "
    expected: dict[Change, tuple[int, str | None]] = {
        value("listeners", "PLAINTEXT://:1"): (REQUEST, per_broker + "[listeners]"),
        value("listener.name.plaintext.ssl.keystore.type", "JKS"): (
            REQUEST,
            per_broker + "[listener.name.plaintext.ssl.keystore.type]",
        ),
        value("min.insync.replicas", "0"): (
            REQUEST,
            "Invalid value 0 for configuration min.insync.replicas: Value must be at least 1",
        ),
        ("min.insync.replicas", DELETE, None): (
            INVALID,
            "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
        ),
        value("min.insync.replicas", "2"): DONE,
        value("listener.name.plaintext.max.connections", "5"): DONE,
    }
    refused(cluster, BROKER, "", expected)


# Loggers


def test_loggers_that_cannot_be_set_so(cluster: Asker) -> None:
    expected: dict[Change, tuple[int, str | None]] = {
        value("root", "nope"): (
            INVALID,
            "Cannot set the log level of root to nope as it is not a supported log level. "
            "Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
        ),
        ("root", DELETE, None): (REQUEST, "Removing the log level of the root logger is not allowed"),
        value("no.such.logger", "INFO"): (INVALID, "Logger no.such.logger does not exist!"),
        ("root", APPEND, "INFO"): (REQUEST, "APPEND operation is not allowed for the BROKER_LOGGER resource"),
        ("root", UNKNOWN_OPERATION, "INFO"): (ErrorCode.UNKNOWN_SERVER_ERROR, None),
        ("root", SET, None): (REQUEST, "Null value not supported for : root"),
        value("root", "INFO"): DONE,
    }
    refused(cluster, LOGGER, NODE, expected)
    for name, message in (
        ("7", "Unexpected node id. Expected 1, but received 7"),
        ("", "Node id must be an integer, but it is: "),
        ("x", "Node id must be an integer, but it is: x"),
    ):
        assert incremental(cluster, LOGGER, name, value("root", "INFO")) == (REQUEST, message)


# Groups and client metrics


def test_values_that_a_group_cannot_have(cluster: Asker) -> None:
    session, heartbeat = "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"
    expected = {
        value(session, "1"): f"{session} must be greater than or equal to group.consumer.min.session.timeout.ms",
        value(session, "460000"): f"{session} must be less than or equal to group.consumer.max.session.timeout.ms",
        value(
            heartbeat, "50000"
        ): f"{heartbeat} must be less than or equal to group.consumer.max.heartbeat.interval.ms",
        value(session, "x"): f"Invalid value x for configuration {session}: Not a number of type INT",
        value("no.such", "1"): "Unknown group config name: no.such",
        value("share.delivery.count.limit", "1"): (
            "Invalid value 1 for configuration share.delivery.count.limit: Value must be at least 2"
        ),
        value("share.delivery.count.limit", "100"): (
            "share.delivery.count.limit must be less than or equal to group.share.max.delivery.count.limit"
        ),
        value("streams.num.standby.replicas", "100"): (
            "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas"
        ),
        value("share.auto.offset.reset", "x"): (
            "Invalid value x for configuration share.auto.offset.reset: Invalid value `x` for configuration "
            "share.auto.offset.reset. The value must be either 'earliest', 'latest' or of the format "
            "'by_duration:<PnDTnHnMn.nS>'."
        ),
    }
    refused(cluster, GROUP, "any", {change: (INVALID, text) for change, text in expected.items()})
    told = incremental(cluster, GROUP, "", value(session, "45000"))
    assert told == (REQUEST, "Default group resources are not allowed.")


def test_a_group_gets_its_value(cluster: Asker) -> None:
    group, key = unique("group"), "consumer.heartbeat.interval.ms"
    assert incremental(cluster, GROUP, group, (key, SET, "15000")) == DONE
    becomes(cluster, GROUP, group, key, ("15000", ConfigSource.GROUP_CONFIG))
    assert entries(cluster, GROUP, group, key)[key][2] == [
        (key, "15000", ConfigSource.GROUP_CONFIG),
        (f"group.{key}", "5000", DEFAULT),
    ]
    assert incremental(cluster, GROUP, group, (key, DELETE, None)) == DONE


def test_client_metrics(cluster: Asker) -> None:
    range_text = "interval must be between 100 and 3600000 (1 hour)"
    expected: dict[Change, tuple[int, str | None]] = {
        value("interval.ms", "1"): (REQUEST, f"Invalid value 1 for interval.ms, {range_text}"),
        value("interval.ms", "x"): (INVALID, "Invalid value x for configuration interval.ms: Not a number of type INT"),
        value("match", "foo=x"): (INVALID, "Illegal client matching pattern: foo=x"),
        value("match", "client_id"): (INVALID, "Illegal client matching pattern: client_id"),
        value("match", "client_id=["): (INVALID, "Illegal client matching pattern: client_id=["),
        value("match", "client_id=a=b"): (INVALID, "Illegal client matching pattern: client_id=a=b"),
        value("match", " client_id = a ,client_source_port=b"): DONE,
        value("metrics", ""): DONE,
        value("metrics", "a,,b"): (INVALID, "Configuration 'metrics' values must not be empty."),
        value("no.such", "x"): (REQUEST, "Unknown client metrics configuration: no.such"),
        ("metrics", APPEND, "c"): (INVALID, "Can't APPEND to key metrics because its type is not LIST."),
    }
    refused(cluster, METRICS, "any", expected)
    told = incremental(cluster, METRICS, "", value("interval.ms", "1000"))
    assert told == (REQUEST, "Subscription name can't be empty")
