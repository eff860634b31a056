"""Fetch sessions (KIP-227), as the real Kafka 4.3.1 keeps them."""

from typing import Any

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from tests.handlers.broker.asker import UNKNOWN_TOPIC, Asker, Topic, batch, fetch, produce, rows_of, wants

BY_NAME, BY_ID = 12, 13


class Dialogue:
    """A client with a session, which says only what it is told to say."""

    def __init__(self, asker: Asker, version: int) -> None:
        self.asker = asker
        self.version = version
        self.id = 0
        self.epoch = 0

    def fetch(self, *topics: tuple[Topic, Any], **fields: Any) -> Any:
        """The next request of the session."""
        response = self.ask(self.id, self.epoch, *topics, **fields)
        assert response.error_code == 0
        self.id = response.session_id
        self.epoch += 1
        return response

    def ask(self, session_id: int, epoch: int, *topics: tuple[Topic, Any], **fields: Any) -> Any:
        fields = {"version": self.version, "session_id": session_id, "session_epoch": epoch, **fields}
        return fetch(self.asker, *topics, **{"max_wait_ms": 1, **fields})

    def error(self, session_id: int, epoch: int, **fields: Any) -> int:
        response = self.ask(session_id, epoch, **fields)
        assert (response.session_id, response.responses) == (0, [])
        return int(response.error_code)


@pytest.fixture(params=[BY_NAME, BY_ID, 18], ids=["names", "ids", "latest"])
def client(asker: Asker, request: pytest.FixtureRequest) -> Dialogue:
    return Dialogue(asker, request.param)


def partitions(response: Any) -> list[int]:
    return [row.partition_index for topic in response.responses for row in topic.partitions]


def test_only_news_is_answered(client: Dialogue) -> None:
    topic = client.asker.create(partitions=3)
    produce(client.asker, topic, [(0, batch(2)), (1, batch())])
    first = client.fetch((topic, [wants(0, 0), wants(1, 0), wants(2, 0), wants(9, 0)]))
    assert first.session_id > 0
    assert partitions(first) == [0, 1, 2, 9]
    assert partitions(client.fetch()) == [0, 1, 9], "the client has not moved on; errors are repeated"
    assert partitions(client.fetch((topic, [wants(0, 2), wants(1, 1)]))) == [9]
    produce(client.asker, topic, [(1, batch())])
    assert partitions(client.fetch()) == [1, 9]
    produce(client.asker, topic, [(0, batch())])
    assert sorted(partitions(client.fetch())) == [0, 1, 9]


def test_partitions_are_forgotten_and_added(client: Dialogue) -> None:
    topic, other = client.asker.create(partitions=2), client.asker.create()
    client.fetch((topic, [wants(0, 0), wants(1, 0)]))
    added = client.fetch((other, [wants(0, 0)]), forget=[(topic, [0])])
    assert partitions(added) == [0]
    produce(client.asker, topic, [(0, batch()), (1, batch())])
    produce(client.asker, other, [(0, batch())])
    assert sorted(partitions(client.fetch())) == [0, 1]
    again = client.fetch((topic, [wants(0, 0)]), forget=[(topic, [0])])
    assert sorted(partitions(again)) == [0, 1], "what is asked for and forgotten at once is forgotten"


def test_a_session_ends_with_its_last_partition(client: Dialogue) -> None:
    topic = client.asker.create()
    session = client.fetch((topic, [wants(0, 0)])).session_id
    response = client.fetch(forget=[(topic, [0])])
    assert (response.session_id, response.responses) == (0, [])
    assert client.error(session, 2) == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_wrong_sessions_and_epochs(client: Dialogue) -> None:
    topic = client.asker.create()
    client.fetch((topic, [wants(0, 0)]))
    client.fetch()
    for epoch in (1, 3, 99):
        assert client.error(client.id, epoch) == ErrorCode.INVALID_FETCH_SESSION_EPOCH
    for session in (client.id ^ 1, 0, -5):
        assert client.error(session, 2) == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    other = BY_NAME if client.version >= 13 else BY_ID
    assert client.error(client.id, 2, version=other) == ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR
    assert client.fetch().error_code == 0, "none of that harmed it"


def test_a_full_fetch_closes_the_session_it_names(client: Dialogue) -> None:
    topic = client.asker.create()
    first = client.fetch((topic, [wants(0, 0)])).session_id
    client.epoch = 0
    second = client.fetch((topic, [wants(0, 0)])).session_id
    assert second not in (0, first)
    assert client.error(first, 1) == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    last = client.ask(second, -1, (topic, [wants(0, 0)]))
    assert (last.session_id, partitions(last)) == (0, [0])
    assert client.error(second, 1) == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_an_empty_session_may_be_opened(client: Dialogue) -> None:
    assert client.fetch().session_id > 0
    assert client.ask(0, -1).session_id == 0


def test_none_starves_behind_max_bytes(client: Dialogue) -> None:
    topic = client.asker.create(partitions=3)
    produce(client.asker, topic, [(index, batch()) for index in range(3)])
    client.fetch((topic, [wants(index, 0) for index in range(3)]), max_bytes=1)
    seen = [[row[0] for row in rows_of(client.fetch(max_bytes=1)) if row[4]] for _ in range(6)]
    assert [len(one) for one in seen] == [1] * 6
    assert {index for one in seen for index in one} == {0, 1, 2}


def test_a_moved_log_start_is_news(client: Dialogue) -> None:
    topic = client.asker.create()
    produce(client.asker, topic, [(0, batch(3))])
    client.fetch((topic, [wants(0, 3)]))
    assert partitions(client.fetch()) == []
    asked = DeleteRecordsTopic(name=topic.name, partitions=[DeleteRecordsPartition(partition_index=0, offset=2)])
    client.asker.ask(DeleteRecordsRequest(timeout_ms=5000, topics=[asked]), 2)
    assert rows_of(client.fetch()) == [(0, 0, 3, 2, 0)]
    assert partitions(client.fetch()) == []


def test_an_error_is_told_until_it_is_over(client: Dialogue) -> None:
    topic = client.asker.create()
    client.fetch((topic, [wants(0, 5)]))
    assert rows_of(client.fetch()) == [(0, ErrorCode.OFFSET_OUT_OF_RANGE, -1, -1, 0)]
    assert rows_of(client.fetch((topic, [wants(0, 0)]))) == [(0, 0, 0, 0, 0)]
    assert partitions(client.fetch()) == []


def test_a_topic_that_comes_back_is_another(client: Dialogue) -> None:
    """Scenario 31."""
    topic, other = client.asker.create(), client.asker.create()
    client.fetch((topic, [wants(0, 0)]), (other, [wants(0, 0)]))
    client.asker.delete(topic)
    for _ in range(2):
        assert rows_of(client.fetch()) == [(0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1, -1, 0)]
    client.asker.create(name=topic.name)
    if client.version == BY_NAME:
        assert rows_of(client.fetch()) == [(0, 0, 0, 0, 0)]
        assert partitions(client.fetch()) == []
        return
    for _ in range(2):
        assert rows_of(client.fetch()) == [(0, ErrorCode.INCONSISTENT_TOPIC_ID, -1, -1, 0)]
    assert partitions(client.fetch(forget=[(topic, [0])])) == []


def test_an_unknown_topic_is_told_each_time(client: Dialogue) -> None:
    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if client.version == BY_NAME else ErrorCode.UNKNOWN_TOPIC_ID
    first = client.fetch((UNKNOWN_TOPIC, [wants(0, 0)]))
    assert first.session_id > 0
    for response in (first, client.fetch(), client.fetch()):
        assert rows_of(response) == [(0, code, -1, -1, 0)]
