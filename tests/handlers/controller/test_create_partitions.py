"""CreatePartitions, as the real Kafka 4.3.1 answers it."""

from collections.abc import Sequence
from typing import Any

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from tests.handlers.broker.asker import Asker, Topic
from tests.handlers.cluster_asker import eventually, metadata, unique

VERSIONS = range(4)
OK = (0, None)
UNKNOWN = (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, None)
REPEATED = (ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
Assignments = Sequence[list[int]] | None


def grow(
    asker: Asker, *topics: tuple[str, int, Assignments], version: int = 3, timeout_ms: int = 10_000, **fields: Any
) -> dict[str, tuple[int, str | None]]:
    """(error, message) by topic."""
    asked = [
        CreatePartitionsTopic(
            name=name,
            count=count,
            assignments=None if ids is None else [CreatePartitionsAssignment(broker_ids=each) for each in ids],
        )
        for name, count, ids in topics
    ]
    response = asker.ask(CreatePartitionsRequest(topics=asked, timeout_ms=timeout_ms, **fields), version)
    assert response.throttle_time_ms == 0
    rows = {row.name: (row.error_code, row.error_message) for row in response.results}
    assert len(rows) == len(response.results)
    return rows


def size(asker: Asker, topic: Topic) -> int:
    return len(metadata(asker, [topic.name]).topics[0].partitions)


def has(asker: Asker, topic: Topic, partitions: int) -> bool:
    return eventually(lambda: size(asker, topic), lambda found: found >= partitions) == partitions


@pytest.mark.parametrize("version", VERSIONS)
def test_adds_partitions(cluster: Asker, version: int) -> None:
    topic = cluster.create(partitions=2)
    assert grow(cluster, (topic.name, 5, None), version=version) == {topic.name: OK}
    assert has(cluster, topic, 5)
    assert grow(cluster, (topic.name, 7, [[1], [1]]), version=version) == {topic.name: OK}
    assert has(cluster, topic, 7)
    (row,) = metadata(cluster, [topic.name]).topics
    assert {p.leader_id for p in row.partitions} == {1}


@pytest.mark.parametrize("version", VERSIONS)
def test_validation_alone_adds_nothing(cluster: Asker, version: int) -> None:
    topic = cluster.create()
    assert grow(cluster, (topic.name, 3, None), version=version, validate_only=True) == {topic.name: OK}
    assert size(cluster, topic) == 1


def test_nothing(cluster: Asker) -> None:
    assert grow(cluster) == {}
    assert grow(cluster, timeout_ms=0) == {}


def test_not_an_increase(cluster: Asker) -> None:
    topic = cluster.create(partitions=2)
    code, name = ErrorCode.INVALID_PARTITIONS, topic.name
    assert grow(cluster, (name, 2, None)) == {name: (code, "Topic already has 2 partition(s).")}
    assert grow(cluster, (name, 2, [])) == {name: (code, "Topic already has 2 partition(s).")}
    for count in (1, 0, -1):
        told = f"The topic {name} currently has 2 partition(s); {count} would not be an increase."
        assert grow(cluster, (name, count, None)) == {name: (code, told)}


@pytest.mark.parametrize("name", ["", "a b", "no-such-topic", "__cluster_metadata"])
def test_unknown_topics(cluster: Asker, name: str) -> None:
    assert grow(cluster, (name, 3, None)) == {name: UNKNOWN}


INCLUDES = "The manual partition assignment includes "


@pytest.mark.parametrize(
    ("count", "assignments", "message"),
    [
        (2, [[1], [1]], "Attempted to add 1 additional partition(s), but only 2 assignment(s) were specified."),
        (3, [[1]], "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified."),
        (2, [], "Attempted to add 1 additional partition(s), but only 0 assignment(s) were specified."),
        (2, [[]], f"{INCLUDES}an empty replica list."),
        (2, [[1, 1]], f"{INCLUDES}the broker 1 more than once."),
        (2, [[9]], f"{INCLUDES}broker 9, but no such broker is registered."),
        (2, [[1, 9]], f"{INCLUDES}broker 9, but no such broker is registered."),
    ],
)
def test_bad_assignments(cluster: Asker, count: int, assignments: Assignments, message: str) -> None:
    topic = cluster.create()
    told = grow(cluster, (topic.name, count, assignments))
    assert told == {topic.name: (ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)}


@pytest.mark.parametrize("version", VERSIONS)
def test_repeated_names(cluster: Asker, version: int) -> None:
    twice, once = cluster.create(), cluster.create()
    missing = unique()
    rows = grow(
        cluster,
        (twice.name, 8, None),
        (once.name, 2, None),
        (twice.name, 9, None),
        (missing, 2, None),
        (missing, 3, None),
        version=version,
    )
    assert rows == {once.name: OK, twice.name: REPEATED, missing: REPEATED}
    assert has(cluster, once, 2)
    assert size(cluster, twice) == 1


def test_each_topic_for_itself(cluster: Asker) -> None:
    topic, missing = cluster.create(), unique()
    assert grow(cluster, (missing, 3, None), (topic.name, 3, None)) == {missing: UNKNOWN, topic.name: OK}
    assert has(cluster, topic, 3)


@pytest.mark.parametrize("validate_only", [False, True])
def test_a_request_that_comes_late(cluster: Asker, validate_only: bool) -> None:
    topic, late = cluster.create(), (ErrorCode.REQUEST_TIMED_OUT, None)
    for version in VERSIONS:
        for timeout_ms in (0, -1):
            told = grow(
                cluster,
                (topic.name, 3, None),
                ("no-such-topic", 1, None),
                version=version,
                timeout_ms=timeout_ms,
                validate_only=validate_only,
            )
            assert told == {topic.name: late, "no-such-topic": late}
    assert size(cluster, topic) == 1
    twice = (topic.name, 3, None)
    assert grow(cluster, twice, twice, timeout_ms=0) == {topic.name: REPEATED}


def test_a_whole_batch_of_records(cluster: Asker) -> None:
    topic = cluster.create()
    assert grow(cluster, (topic.name, 10_001, None), validate_only=True) == {topic.name: OK}
