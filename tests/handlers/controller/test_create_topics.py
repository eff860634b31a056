"""CreateTopics, as the real Kafka 4.3.1 answers it."""

from collections.abc import Sequence
from typing import Any

import pytest

from pykbroker.ids import ZERO_UUID
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from tests.handlers.broker.asker import Asker
from tests.handlers.cluster_asker import eventually, metadata, unique

VERSIONS = range(2, 8)
TOPIC_CONFIG, DYNAMIC_DEFAULT, DEFAULT = 1, 3, 5
Configs = Sequence[tuple[str, str | None]]
Assignment = Sequence[tuple[int, list[int]]]


def topic(
    name: str, partitions: int = 1, factor: int = 1, assignment: Assignment = (), configs: Configs = ()
) -> CreatableTopic:
    return CreatableTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=factor,
        assignments=[CreatableReplicaAssignment(partition_index=i, broker_ids=ids) for i, ids in assignment],
        configs=[CreatableTopicConfig(name=key, value=value) for key, value in configs],
    )


def create(
    asker: Asker, *topics: CreatableTopic, version: int = 7, timeout_ms: int = 10_000, validate_only: bool = False
) -> Any:
    """The answer's rows in order."""
    request = CreateTopicsRequest(topics=list(topics), timeout_ms=timeout_ms, validate_only=validate_only)
    response = asker.ask(request, version)
    assert response.throttle_time_ms == 0
    return response.topics


def refusals(asker: Asker, *topics: CreatableTopic, **fields: Any) -> list[tuple[int, str | None]]:
    """(error, message) per row."""
    return [(row.error_code, row.error_message) for row in create(asker, *topics, **fields)]


def refusal(asker: Asker, *, validate_only: bool = True, **fields: Any) -> tuple[int, str | None]:
    """Error and message for one new topic."""
    (told,) = refusals(asker, topic(unique(), **fields), validate_only=validate_only)
    return told


@pytest.mark.parametrize("version", VERSIONS)
def test_creates_a_topic(cluster: Asker, version: int) -> None:
    name = unique()
    (row,) = create(cluster, topic(name, 2), version=version)
    assert (row.name, row.error_code, row.error_message, row.topic_config_error_code) == (name, 0, None, 0)
    assert (row.num_partitions, row.replication_factor) == ((2, 1) if version >= 5 else (-1, -1))
    assert bool(row.configs) == (version >= 5)
    (made,) = eventually(lambda: metadata(cluster, [name]), lambda answer: answer.topics[0].error_code == 0).topics
    assert len(made.partitions) == 2
    assert row.topic_id == (made.topic_id if version >= 7 else ZERO_UUID)
    assert refusals(cluster, topic(name), version=version) == [
        (ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_defaults(cluster: Asker, version: int) -> None:
    name = unique()
    (row,) = create(cluster, topic(name, -1, -1), version=version)
    assert row.error_code == 0
    if version >= 5:
        assert (row.num_partitions, row.replication_factor) == (1, 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_validation_alone_creates_nothing(cluster: Asker, version: int) -> None:
    name = unique()
    (row,) = create(cluster, topic(name, 3), version=version, validate_only=True)
    assert (row.error_code, row.num_partitions) == (0, 3 if version >= 5 else -1)
    assert (row.topic_id != ZERO_UUID) == (version >= 7)
    assert metadata(cluster, [name]).topics[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert create(cluster, topic(name, 3), version=version)[0].error_code == 0


def test_no_topics(cluster: Asker) -> None:
    for timeout_ms in (10_000, 0):
        assert create(cluster, timeout_ms=timeout_ms) == []


def test_configs_in_the_answer(cluster: Asker) -> None:
    configs = [("retention.ms", "1000"), ("cleanup.policy", "compact"), ("retention.ms", " 5 ")]
    (row,) = create(cluster, topic(unique(), configs=configs))
    names = [config.name for config in row.configs]
    assert names == sorted(names)
    assert len(names) > 30
    rows = {config.name: (config.value, config.config_source) for config in row.configs}
    assert rows["retention.ms"] == (" 5 ", TOPIC_CONFIG), "the last one counts, as it was written"
    assert rows["cleanup.policy"] == ("compact", TOPIC_CONFIG)
    assert rows["segment.bytes"] == ("1073741824", DEFAULT)
    assert rows["compression.type"] == ("producer", DEFAULT)
    assert rows["min.insync.replicas"] == ("1", DYNAMIC_DEFAULT), "set for the cluster when ELR was enabled"
    assert not any(config.read_only or config.is_sensitive for config in row.configs)


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ([("nope", "1")], "Unknown topic config name: nope"),
        ([("retention.ms", "abc")], "Invalid value abc for configuration retention.ms: Not a number of type LONG"),
        ([("retention.ms", "-5")], "Invalid value -5 for configuration retention.ms: Value must be at least -1"),
        ([("retention.ms", None), ("nope", None)], "Null value not supported for topic configs: retention.ms,nope"),
        ([("nope", "1"), ("retention.ms", None)], "Null value not supported for topic configs: retention.ms"),
        ([("", "1")], "Unknown topic config name: "),
        (
            [("cleanup.policy", "foo")],
            "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete",
        ),
        (
            [("remote.storage.enable", "true")],
            "Tiered Storage functionality is disabled in the broker. "
            "Topic cannot be configured with remote log storage.",
        ),
    ],
)
def test_bad_configs(cluster: Asker, configs: Configs, message: str) -> None:
    assert refusal(cluster, configs=configs) == (ErrorCode.INVALID_CONFIG, message)
    assert refusal(cluster, configs=configs, factor=9) == (ErrorCode.INVALID_CONFIG, message), "before all else"
    assert refusal(cluster, configs=configs, assignment=[(0, [9])]) == (ErrorCode.INVALID_CONFIG, message)


@pytest.mark.parametrize(
    ("partitions", "factor", "code", "message"),
    [
        (0, 9, ErrorCode.INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value."),
        (-2, 1, ErrorCode.INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value."),
        (
            0,
            0,
            ErrorCode.INVALID_REPLICATION_FACTOR,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ),
        (
            1,
            -2,
            ErrorCode.INVALID_REPLICATION_FACTOR,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ),
        (
            1,
            2,
            ErrorCode.INVALID_REPLICATION_FACTOR,
            "Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be reached because "
            "only 1 broker(s) are registered or some brokers have all their log directories cordoned.",
        ),
    ],
)
def test_bad_numbers(cluster: Asker, partitions: int, factor: int, code: int, message: str) -> None:
    assert refusal(cluster, partitions=partitions, factor=factor) == (code, message)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "the empty string is not allowed"),
        (".", "'.' is not allowed"),
        ("..", "'..' is not allowed"),
        ("a b", "'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"),
        ("é", "'é' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"),
        ("z" * 250, f"the length of '{'z' * 250}' is longer than the max allowed length 249"),
    ],
)
def test_illegal_names(cluster: Asker, name: str, why: str) -> None:
    illegal = (ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic name is invalid: {why}")
    legal = topic(unique("z" * 240))
    assert refusals(cluster, topic(name, 0, configs=[("nope", "1")]), legal, validate_only=True) == [illegal, (0, None)]


def test_colliding_names(cluster: Asker) -> None:
    dotted, scored, other = unique("a.b"), "", unique("c.d_e")
    scored = dotted.replace(".", "_")
    collides = (ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic '{scored}' collides with existing topic: {dotted}")
    assert refusals(cluster, topic(dotted)) == [(0, None)]
    assert refusals(cluster, topic(scored)) == [collides]
    assert refusals(cluster, topic(dotted)) == [(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{dotted}' already exists.")]
    both = topic(other), topic(other.replace(".", "_"))
    assert refusals(cluster, *both, validate_only=True) == [(0, None)] * 2, "only what exists is looked at"


@pytest.mark.parametrize("version", VERSIONS)
def test_repeated_names(cluster: Asker, version: int) -> None:
    twice, once = unique(), unique()
    rows = create(cluster, topic(twice), topic(once), topic(twice, 5), version=version, validate_only=True)
    assert [(row.name, row.error_code) for row in rows] == [(once, 0), (twice, ErrorCode.INVALID_REQUEST)]
    assert rows[1].error_message == "Duplicate topic name."
    assert refusals(cluster, topic(twice), topic(twice), timeout_ms=0) == [
        (ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
    ]


def test_the_metadata_topic(cluster: Asker) -> None:
    metadata_topic = topic("__cluster_metadata")
    assert refusals(cluster, metadata_topic) == [
        (ErrorCode.INVALID_REQUEST, "Creation of internal topic __cluster_metadata is prohibited.")
    ]
    assert refusals(cluster, metadata_topic, metadata_topic) == [(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")]


def test_an_assignment(cluster: Asker) -> None:
    name = unique()
    (row,) = create(cluster, topic(name, -1, -1, [(1, [1]), (0, [1])]))
    assert (row.error_code, row.num_partitions, row.replication_factor) == (0, 2, 1)


INCLUDES = "The manual partition assignment includes "


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ([(0, [1]), (2, [1])], "partitions should be a consecutive 0-based integer sequence"),
        ([(-1, [1])], "partitions should be a consecutive 0-based integer sequence"),
        ([(0, [1]), (0, [1])], "Found multiple manual partition assignments for partition 0"),
        ([(0, [7])], f"{INCLUDES}broker 7, but no such broker is registered."),
        ([(0, [-1])], f"{INCLUDES}broker -1, but no such broker is registered."),
        ([(0, [1]), (1, [1, 7])], f"{INCLUDES}broker 7, but no such broker is registered."),
        ([(0, [1, 1])], f"{INCLUDES}the broker 1 more than once."),
        ([(0, [])], f"{INCLUDES}an empty replica list."),
    ],
)
def test_bad_assignments(cluster: Asker, assignment: Assignment, message: str) -> None:
    told = refusal(cluster, partitions=-1, factor=-1, assignment=assignment)
    assert told == (ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)


@pytest.mark.parametrize(
    ("partitions", "factor", "what"), [(1, -1, "numPartitions"), (-1, 1, "replication factor"), (1, 1, None)]
)
def test_numbers_besides_an_assignment(cluster: Asker, partitions: int, factor: int, what: str | None) -> None:
    told = refusal(cluster, partitions=partitions, factor=factor, assignment=[(0, [1])])
    assert told == (
        ErrorCode.INVALID_REQUEST,
        f"A manual partition assignment was specified, but {what or 'replication factor'} was not set to -1.",
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_request_that_comes_late(cluster: Asker, version: int) -> None:
    names = [unique(), unique()]
    for timeout_ms in (0, -1):
        rows = create(cluster, topic(names[0]), topic(names[1]), topic("a b"), version=version, timeout_ms=timeout_ms)
        assert [(row.name, row.error_code, row.error_message) for row in rows] == [
            (name, ErrorCode.REQUEST_TIMED_OUT, None) for name in (*names, "a b")
        ]
    assert {row.error_code for row in metadata(cluster, names).topics} == {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}


def test_more_than_one_batch_of_records(cluster: Asker) -> None:
    too_many = (ErrorCode.POLICY_VIOLATION, "Excessively large number of partitions per request.")
    too_long = (ErrorCode.POLICY_VIOLATION, "Unable to perform excessively large batch operation.")
    names = [unique(), unique()]
    for sizes in ((5000, 5001), (-1, 10_000), (10_001, 1), (2**31 - 1, 0)):
        topics = [topic(name, size) for name, size in zip(names, sizes, strict=True)]
        assert refusals(cluster, *topics, validate_only=True) == [too_many] * 2
    assert refusals(cluster, topic(names[0], 9_999), topic("a b", 1), validate_only=True)[0] == (0, None)
    assert refusals(cluster, topic(names[0], 10_000), validate_only=True) == [too_long]
    assert refusals(cluster, topic(names[0], 10_000)) == [too_long]
    assert {row.error_code for row in metadata(cluster, names).topics} == {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
