"""DescribeTopicPartitions, as the real Kafka 4.3.1 answers it."""

from collections.abc import Sequence
from typing import Any

import pytest

from pykbroker.ids import ZERO_UUID
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    TopicRequest,
)
from tests.handlers.broker.asker import Asker
from tests.handlers.cluster_asker import unique

ALL_OPERATIONS, NOT_ASKED = 3576, -(2**31)
Rows = list[tuple[str, list[int]]]
Position = tuple[str, int]


def describe(asker: Asker, names: Sequence[str], cursor: Position | None = None, limit: int = 2000) -> Any:
    request = DescribeTopicPartitionsRequest(
        topics=[TopicRequest(name=name) for name in names],
        response_partition_limit=limit,
        cursor=None if cursor is None else Cursor(topic_name=cursor[0], partition_index=cursor[1]),
    )
    return asker.ask(request, 0)


def page(asker: Asker, names: Sequence[str], cursor: Position | None = None, limit: int = 2000) -> tuple[Rows, Any]:
    """(topic, partitions) in order, and the next cursor."""
    response = describe(asker, names, cursor, limit)
    rows = [(row.name, [p.partition_index for p in row.partitions]) for row in response.topics]
    following = response.next_cursor
    return rows, None if following is None else (following.topic_name, following.partition_index)


@pytest.fixture
def names(cluster: Asker) -> list[str]:
    """a with 3 partitions, b with 2, c with 1, and d which does not exist."""
    prefix = unique()
    topics = [f"{prefix}-{letter}" for letter in "abcd"]
    for name, partitions in zip(topics, (3, 2, 1), strict=False):
        cluster.create(partitions, name)
    return topics


def test_a_topic(cluster: Asker) -> None:
    topic = cluster.create(partitions=2)
    response = describe(cluster, [topic.name])
    (row,) = response.topics
    assert (response.throttle_time_ms, response.next_cursor) == (0, None)
    assert (row.error_code, row.name, row.topic_id, row.is_internal) == (0, topic.name, topic.id, False)
    assert row.topic_authorized_operations == ALL_OPERATIONS
    for index, partition in enumerate(row.partitions):
        assert (partition.error_code, partition.partition_index) == (0, index)
        assert (partition.leader_id, partition.leader_epoch) == (1, 0)
        assert (partition.replica_nodes, partition.isr_nodes, partition.offline_replicas) == ([1], [1], [])
        assert (partition.eligible_leader_replicas, partition.last_known_elr) == ([], [])


def test_topics_in_order_and_without_repetition(cluster: Asker, names: list[str]) -> None:
    a, b, c, d = names
    assert page(cluster, [c, a, d, b, a]) == ([(a, [0, 1, 2]), (b, [0, 1]), (c, [0]), (d, [])], None)


def test_unknown_and_illegal_topics(cluster: Asker) -> None:
    missing = unique()
    rows = describe(cluster, [missing, "..", "a b"]).topics
    assert [(row.name, row.error_code) for row in rows] == [
        ("..", ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("a b", ErrorCode.INVALID_TOPIC_EXCEPTION),
        (missing, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ]
    assert {(row.topic_id, row.topic_authorized_operations) for row in rows} == {(ZERO_UUID, ALL_OPERATIONS)}


def test_the_limit(cluster: Asker, names: list[str]) -> None:
    a, b, c, d = names
    one = [(a, [0])], (a, 1)
    pages = {limit: page(cluster, names, limit=limit) for limit in range(-1, 8)}
    assert pages == {
        -1: one,
        0: one,
        1: one,
        2: ([(a, [0, 1])], (a, 2)),
        3: ([(a, [0, 1, 2])], (b, 0)),
        4: ([(a, [0, 1, 2]), (b, [0])], (b, 1)),
        5: ([(a, [0, 1, 2]), (b, [0, 1])], (c, 0)),
        6: ([(a, [0, 1, 2]), (b, [0, 1]), (c, [0])], (d, 0)),
        7: ([(a, [0, 1, 2]), (b, [0, 1]), (c, [0]), (d, [])], None),
    }


def test_the_cursor(cluster: Asker, names: list[str]) -> None:
    a, b, c, d = names
    assert page(cluster, names, (a, 1), 2) == ([(a, [1, 2])], (b, 0))
    assert page(cluster, names, (b, 0), 2) == ([(b, [0, 1])], (c, 0))
    assert page(cluster, names, (c, 0), 2) == ([(c, [0]), (d, [])], None)
    assert page(cluster, names, (d, 5), 2) == ([(d, [])], None), "its topic may be gone"


def test_a_cursor_behind_the_last_partition(cluster: Asker, names: list[str]) -> None:
    a, b, c, _ = names
    for partition in (3, 9):
        assert page(cluster, names, (a, partition), 2) == ([(a, []), (b, [0, 1])], (c, 0))


def test_all_topics_from_the_cursor_on(cluster: Asker, names: list[str]) -> None:
    a, b, c, _ = names
    assert page(cluster, [], (a, 2), 4)[0][:3] == [(a, [2]), (b, [0, 1]), (c, [0])]
    between = a + "a"
    assert page(cluster, [], (between, 7), 2) == ([(b, [0, 1])], (c, 0)), "the topic of the cursor was deleted"
    (first, *_), following = page(cluster, [], None, 1)
    assert first[0] <= a
    assert following is not None


@pytest.mark.parametrize(("position", "partition"), [("a", -1), ("aa", 0), ("z", 0)])
def test_cursors_that_do_not_fit(cluster: Asker, names: list[str], position: str, partition: int) -> None:
    cursor = (names[0][:-1] + position, partition)
    response = describe(cluster, names, cursor)
    assert [(row.name, row.error_code) for row in response.topics] == [
        (name, ErrorCode.INVALID_REQUEST) for name in names
    ]
    assert {row.topic_authorized_operations for row in response.topics} == {NOT_ASKED}
    assert response.next_cursor is None
