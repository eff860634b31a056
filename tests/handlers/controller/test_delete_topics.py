"""DeleteTopics, as the real Kafka 4.3.1 answers it."""

from typing import Any

import pytest

from pykbroker.ids import ZERO_UUID, Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from tests.handlers.broker.asker import Asker, Topic
from tests.handlers.cluster_asker import eventually, metadata, unique

UNKNOWN_ID = Uuid(b"no such topic id")
NO_TOPIC = (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "This server does not host this topic-partition.")
NO_ID = (ErrorCode.UNKNOWN_TOPIC_ID, "This server does not host this topic ID.")
REPEATED_NAME = (ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
REPEATED_ID = (ErrorCode.INVALID_REQUEST, "Duplicate topic id.")
BOTH = (ErrorCode.INVALID_REQUEST, "You may not specify both topic name and topic id.")
NEITHER = (ErrorCode.INVALID_REQUEST, "Neither topic name nor id were specified.")
TWICE = (ErrorCode.INVALID_REQUEST, "The provided topic name maps to an ID that was already supplied.")
DELETED = (0, None)
VERSIONS = range(1, 6)

Row = tuple[str | None, Uuid, tuple[int, str | None]]


def rows_of(response: Any) -> list[Row]:
    """(name, id, (error, message)) in one order: Kafka's is that of a hash."""
    assert response.throttle_time_ms == 0
    rows = [(row.name, row.topic_id, (row.error_code, row.error_message)) for row in response.responses]
    return sorted(rows, key=repr)


def delete(asker: Asker, *names: str, version: int = 5, timeout_ms: int = 10_000) -> list[Row]:
    return rows_of(asker.ask(DeleteTopicsRequest(topic_names=list(names), timeout_ms=timeout_ms), version))


def delete_any(asker: Asker, *topics: tuple[str | None, Uuid | None], timeout_ms: int = 10_000) -> list[Row]:
    """By (name, id), as version 6 does."""
    states = [DeleteTopicState(name=name, topic_id=topic_id or ZERO_UUID) for name, topic_id in topics]
    return rows_of(asker.ask(DeleteTopicsRequest(topics=states, timeout_ms=timeout_ms), 6))


def exists(asker: Asker, topic: Topic) -> bool:
    return bool(metadata(asker, [topic.name]).topics[0].error_code == 0)


def is_deleted(asker: Asker, topic: Topic) -> bool:
    return not eventually(lambda: exists(asker, topic), lambda there: not there)


@pytest.mark.parametrize("version", VERSIONS)
def test_by_name(cluster: Asker, version: int) -> None:
    topic, missing = cluster.create(partitions=2), unique("zzz")
    told = (NO_TOPIC[0], NO_TOPIC[1] if version >= 5 else None)
    assert delete(cluster, topic.name, missing, version=version) == [
        (topic.name, ZERO_UUID, DELETED),
        (missing, ZERO_UUID, told),
    ]
    assert is_deleted(cluster, topic)
    assert delete(cluster, topic.name, version=version) == [(topic.name, ZERO_UUID, told)]


def test_by_name_or_id(cluster: Asker) -> None:
    topic, other = cluster.create(), cluster.create()
    assert delete_any(cluster, (topic.name, None)) == [(topic.name, topic.id, DELETED)]
    assert delete_any(cluster, (None, other.id)) == [(other.name, other.id, DELETED)]
    assert is_deleted(cluster, topic)
    assert is_deleted(cluster, other)
    assert delete_any(cluster, (None, topic.id)) == [(None, topic.id, NO_ID)]
    assert delete_any(cluster, (other.name, None)) == [(other.name, ZERO_UUID, NO_TOPIC)]


def test_a_name_may_come_again(cluster: Asker) -> None:
    topic = cluster.create()
    cluster.delete(topic)
    again = cluster.create(name=topic.name)
    assert again.id != topic.id
    assert delete_any(cluster, (None, topic.id), (None, again.id)) == sorted(
        [(None, topic.id, NO_ID), (again.name, again.id, DELETED)], key=repr
    )


def test_nothing(cluster: Asker) -> None:
    assert delete(cluster) == []
    assert delete_any(cluster) == []
    assert delete_any(cluster, timeout_ms=0) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_repeated_names(cluster: Asker, version: int) -> None:
    topic, missing = cluster.create(), unique("zzz")
    told = (REPEATED_NAME[0], REPEATED_NAME[1] if version >= 5 else None)
    assert delete(cluster, topic.name, missing, topic.name, missing, version=version) == [
        (topic.name, ZERO_UUID, told),
        (missing, ZERO_UUID, told),
    ]
    assert exists(cluster, topic)


def test_repeated_ids(cluster: Asker) -> None:
    topic = cluster.create()
    assert delete_any(cluster, (None, topic.id), (None, topic.id)) == [(None, topic.id, REPEATED_ID)]
    assert delete_any(cluster, (None, UNKNOWN_ID), (None, UNKNOWN_ID)) == [(None, UNKNOWN_ID, REPEATED_ID)]
    assert exists(cluster, topic)


def test_a_name_and_its_id(cluster: Asker) -> None:
    topic = cluster.create()
    by_name, by_id = (topic.name, None), (None, topic.id)
    assert delete_any(cluster, by_name, by_id) == [(topic.name, topic.id, TWICE)]
    assert delete_any(cluster, by_id, by_name, by_id) == [
        (topic.name, topic.id, TWICE),
        (None, topic.id, REPEATED_ID),
    ]
    assert delete_any(cluster, (topic.name, topic.id)) == [(topic.name, topic.id, BOTH)]
    assert exists(cluster, topic)
    assert delete_any(cluster, by_name, by_name, by_id) == sorted(
        [(topic.name, ZERO_UUID, REPEATED_NAME), (topic.name, topic.id, DELETED)], key=repr
    )
    assert is_deleted(cluster, topic)


def test_both_do_not_count_as_one(cluster: Asker) -> None:
    topic = cluster.create()
    assert delete_any(cluster, (topic.name, topic.id), (topic.name, None)) == [
        (topic.name, topic.id, DELETED),
        (topic.name, topic.id, BOTH),
    ]


def test_neither_name_nor_id(cluster: Asker) -> None:
    assert delete_any(cluster, (None, None), (None, None)) == [(None, ZERO_UUID, NEITHER)] * 2
    assert delete_any(cluster, (None, None), timeout_ms=0) == [(None, ZERO_UUID, NEITHER)]


@pytest.mark.parametrize("name", ["", "..", "a b", "__cluster_metadata"])
def test_names_that_cannot_exist(cluster: Asker, name: str) -> None:
    assert delete_any(cluster, (name, None)) == [(name, ZERO_UUID, NO_TOPIC)]


def test_the_id_of_the_metadata_topic(cluster: Asker) -> None:
    topic_id = Uuid(15 * b"\0" + b"\1")
    assert delete_any(cluster, (None, topic_id)) == [(None, topic_id, NO_ID)]


def test_a_request_that_comes_late(cluster: Asker) -> None:
    topic, late = cluster.create(), (ErrorCode.REQUEST_TIMED_OUT, None)
    missing = unique("zzz")
    for version in VERSIONS:
        assert delete(cluster, topic.name, missing, version=version, timeout_ms=0) == [
            (topic.name, ZERO_UUID, late),
            (missing, ZERO_UUID, late),
        ]
    assert delete_any(cluster, (topic.name, None), (None, None), timeout_ms=-1) == sorted(
        [(topic.name, ZERO_UUID, late), (None, ZERO_UUID, late)], key=repr
    )
    assert delete_any(cluster, (None, topic.id), timeout_ms=0) == [(None, topic.id, late)]
    assert exists(cluster, topic)


def test_repetitions_alone_are_never_late(cluster: Asker) -> None:
    name = unique()
    assert delete_any(cluster, (name, None), (name, None), timeout_ms=0) == [(name, ZERO_UUID, REPEATED_NAME)]
    assert delete_any(cluster, (None, UNKNOWN_ID), (None, UNKNOWN_ID), timeout_ms=0) == [
        (None, UNKNOWN_ID, REPEATED_ID)
    ]
