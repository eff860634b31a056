"""OffsetCommit: each topic once in the answer, whatever exists of it. Kafka: KafkaApis.handleOffsetCommitRequest."""

import pytest

from pykbroker.handlers.broker.offset_commit import handle
from pykbroker.ids import ZERO_UUID, Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pykbroker.protocol.messages.offset_fetch import OffsetFetchRequestGroup
from pykbroker.request import RequestContext
from tests.replica.stand import Stand

COMMIT = 8
BY_NAME, BY_ID = 9, 10
NO_TOPIC, NO_TOPIC_ID = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID

Asked = tuple[str | Uuid, list[int]]
Rows = list[tuple[str | Uuid, list[tuple[int, int]]]]


@pytest.fixture
def broker(stand: Stand) -> Stand:
    stand.create("__consumer_offsets", 1)
    stand.groups = type(stand.groups)(stand.config, stand.clock, stand.replicas, lambda: 1)
    stand.groups.on_elected(0, 0)
    return stand


async def commit(broker: Stand, version: int, *asked: Asked) -> Rows:
    """Topics by name or id, partitions; each gets its index as its offset."""
    topics = []
    for topic, indexes in asked:
        rows = [OffsetCommitRequestPartition(partition_index=index, committed_offset=index) for index in indexes]
        name, topic_id = ("", topic) if isinstance(topic, Uuid) else (topic, ZERO_UUID)
        topics.append(OffsetCommitRequestTopic(name=name, topic_id=topic_id, partitions=rows))
    request = OffsetCommitRequest(group_id="g", topics=topics)
    response = await handle(broker, RequestContext(COMMIT, version), request)  # type: ignore[arg-type]
    return [
        (
            topic.topic_id if version >= BY_ID else topic.name,
            [(row.partition_index, row.error_code) for row in topic.partitions],
        )
        for topic in response.topics
    ]


async def committed(broker: Stand, topic: str) -> list[tuple[int, int]]:
    request = OffsetFetchRequestGroup(group_id="g", topics=None)
    response = await broker.groups.offset_fetch(RequestContext(9, 8), request, require_stable=False)
    return [
        (row.partition_index, row.committed_offset)
        for found in response.topics
        for row in found.partitions
        if found.name == topic
    ]


async def test_all_there(broker: Stand) -> None:
    broker.create("t", 3)
    assert await commit(broker, BY_NAME, ("t", [0, 2])) == [("t", [(0, 0), (2, 0)])]
    assert sorted(await committed(broker, "t")) == [(0, 0), (2, 2)]


async def test_by_id(broker: Stand) -> None:
    topic_id, stranger = broker.create("t", 3), Uuid.random()
    assert await commit(broker, BY_ID, (topic_id, [1])) == [(topic_id, [(1, 0)])]
    assert await commit(broker, BY_ID, (stranger, [0]), (topic_id, [2])) == [
        (stranger, [(0, NO_TOPIC_ID)]),
        (topic_id, [(2, 0)]),
    ]
    assert sorted(await committed(broker, "t")) == [(1, 1), (2, 2)]


async def test_what_does_not_exist_comes_first(broker: Stand) -> None:
    broker.create("t", 2)
    assert await commit(broker, BY_NAME, ("t", [0, 7]), ("nobody", [0])) == [
        ("t", [(7, NO_TOPIC), (0, 0)]),
        ("nobody", [(0, NO_TOPIC)]),
    ]
    assert await committed(broker, "t") == [(0, 0)]


async def test_nothing_exists(broker: Stand) -> None:
    broker.create("t", 1)
    assert await commit(broker, BY_NAME, ("nobody", [0]), ("t", [9])) == [
        ("nobody", [(0, NO_TOPIC)]),
        ("t", [(9, NO_TOPIC)]),
    ]
    assert await commit(broker, BY_NAME, ("t", [])) == []


async def test_a_topic_that_comes_twice_is_answered_once(broker: Stand) -> None:
    broker.create("t", 2)
    assert await commit(broker, BY_NAME, ("t", [0]), ("t", [1])) == [("t", [(0, 0), (1, 0)])]


async def test_a_coordinator_that_is_elsewhere(stand: Stand) -> None:
    stand.create("t", 1)
    assert await commit(stand, BY_NAME, ("t", [0])) == [("t", [(0, ErrorCode.NOT_COORDINATOR)])]
