"""AlterPartitionReassignments, as the real Kafka 4.3.1 answers it where there is one broker to move to."""

from collections.abc import Sequence
from typing import Any

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from tests.handlers.broker.asker import Asker

INCLUDES = "The manual partition assignment includes "
Row = tuple[str, int, int, str | None]


def ask(
    asker: Asker,
    *wanted: tuple[str, int, Sequence[int] | None],
    version: int = 1,
    timeout_ms: int = 10_000,
    may_change_factor: bool = True,
) -> Any:
    """(topic, partition, replicas), each as a topic of its own in the request."""
    topics = [
        ReassignableTopic(topic, [ReassignablePartition(partition, None if replicas is None else list(replicas))])
        for topic, partition, replicas in wanted
    ]
    request = AlterPartitionReassignmentsRequest(
        timeout_ms=timeout_ms, allow_replication_factor_change=may_change_factor, topics=topics
    )
    response = asker.ask(request, version)
    assert response.throttle_time_ms == 0
    return response


def rows(response: Any) -> list[Row]:
    return [
        (topic.name, row.partition_index, row.error_code, row.error_message)
        for topic in response.responses
        for row in topic.partitions
    ]


@pytest.mark.parametrize("version", [0, 1])
def test_where_the_replicas_are_already(cluster: Asker, version: int) -> None:
    topic = cluster.create(partitions=2).name
    response = ask(cluster, (topic, 0, [1]), (topic, 1, [1]), version=version)
    assert (response.error_code, response.error_message) == (0, None)
    assert rows(response) == [(topic, 0, 0, None), (topic, 1, 0, None)]


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("replicas", "code", "message"),
    [
        (None, ErrorCode.NO_REASSIGNMENT_IN_PROGRESS, None),
        ([], ErrorCode.INVALID_REPLICA_ASSIGNMENT, INCLUDES + "an empty replica list."),
        ([1, 1], ErrorCode.INVALID_REPLICA_ASSIGNMENT, INCLUDES + "the broker 1 more than once."),
        ([7], ErrorCode.INVALID_REPLICA_ASSIGNMENT, INCLUDES + "broker 7, but no such broker is registered."),
        ([1, -1], ErrorCode.INVALID_REPLICA_ASSIGNMENT, INCLUDES + "broker -1, but no such broker is registered."),
    ],
)
def test_what_cannot_be(
    cluster: Asker, version: int, replicas: list[int] | None, code: int, message: str | None
) -> None:
    topic = cluster.create().name
    response = ask(cluster, (topic, 0, replicas), (topic, 0, [1]), version=version)
    assert (response.error_code, response.error_message) == (0, None), "the others are not harmed"
    assert rows(response) == [(topic, 0, code, message), (topic, 0, 0, None)]


@pytest.mark.parametrize("replicas", [[1], None, []])
def test_what_is_not_there(cluster: Asker, replicas: list[int] | None) -> None:
    topic, unknown = cluster.create().name, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert rows(ask(cluster, (topic, 9, replicas), ("nope", 0, replicas))) == [
        (topic, 9, unknown, f"Unable to find partition {topic}:9."),
        ("nope", 0, unknown, "Unable to find a topic named nope."),
    ]


def test_the_number_of_replicas_is_kept_where_it_must(cluster: Asker) -> None:
    topic = cluster.create().name
    response = ask(cluster, (topic, 0, [1]), (topic, 0, [1, 2]), may_change_factor=False)
    assert response.allow_replication_factor_change is False
    # Whether the brokers exist is looked at before their number.
    message = INCLUDES + "broker 2, but no such broker is registered."
    assert rows(response) == [(topic, 0, 0, None), (topic, 0, ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)]
    assert ask(cluster, (topic, 0, [1])).allow_replication_factor_change is True


@pytest.mark.parametrize("version", [0, 1])
def test_nothing_is_never_late(cluster: Asker, version: int) -> None:
    for timeout_ms in (10_000, 0):
        response = ask(cluster, version=version, timeout_ms=timeout_ms, may_change_factor=version == 0)
        assert (response.error_code, response.error_message, response.responses) == (0, "", [])
        assert response.allow_replication_factor_change is True


@pytest.mark.parametrize("version", [0, 1])
def test_a_request_that_comes_late(cluster: Asker, version: int) -> None:
    topic, late = cluster.create().name, ErrorCode.REQUEST_TIMED_OUT
    for timeout_ms in (0, -1):
        response = ask(cluster, (topic, 0, [1]), ("nope", 3, None), version=version, timeout_ms=timeout_ms)
        assert (response.error_code, response.error_message) == (late, None)
        assert rows(response) == [(topic, 0, late, None), ("nope", 3, late, None)]
