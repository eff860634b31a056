"""Share sessions: their epochs, their partitions, and how they end."""

import pytest

from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.share import share_session
from pykbroker.share.share_session import (
    FINAL_EPOCH,
    RowKey,
    SessionKey,
    SessionRow,
    ShareSessionCache,
    next_epoch,
)

TOPIC = Uuid(b"0123456789abcdef")
ANN, BOB, EVE = SessionKey("group", "ann"), SessionKey("group", "bob"), SessionKey("other", "eve")


def rows_of(*partitions: int) -> dict[RowKey, SessionRow]:
    return {(TOPIC, index): SessionRow((TOPIC, index), "topic", must_tell=False) for index in partitions}


def partitions_of(rows: dict[RowKey, SessionRow]) -> list[int]:
    return [index for _, index in rows]


class Told(ShareSessionCache):
    """Notes what it tells."""

    def __init__(self, max_sessions: int = 10) -> None:
        super().__init__(max_sessions)
        self.left: list[SessionKey] = []
        self.empty: list[str] = []
        self.on_member_leave = self.left.append
        self.on_group_empty = self.empty.append


@pytest.mark.parametrize(("epoch", "following"), [(0, 1), (1, 2), (2**31 - 2, 2**31 - 1), (2**31 - 1, 1), (-1, -1)])
def test_epochs(epoch: int, following: int) -> None:
    assert next_epoch(epoch) == following


def test_a_row_is_told_when_there_is_news() -> None:
    row = SessionRow((TOPIC, 0), "topic", must_tell=True)
    assert row.tell(has_records=False, is_error=False)
    assert not row.tell(has_records=False, is_error=False)
    assert row.tell(has_records=True, is_error=False)
    assert not row.tell(has_records=False, is_error=False)


def test_the_end_of_an_error_is_news_too() -> None:
    row = SessionRow((TOPIC, 0), "topic", must_tell=False)
    assert row.tell(has_records=False, is_error=True)
    assert row.tell(has_records=False, is_error=False)
    assert not row.tell(has_records=False, is_error=False)


class TestRequire:
    def test_each_request_carries_the_next_epoch(self) -> None:
        cache = Told()
        session = cache.create(ANN, rows_of(0), "connection")
        assert cache.require(ANN, 1) is session
        cache.advance(session)
        assert cache.require(ANN, 2) is session
        assert cache.require(ANN, FINAL_EPOCH) is session

    @pytest.mark.parametrize("epoch", [0, 2, 2**31 - 1])
    def test_another_epoch(self, epoch: int) -> None:
        cache = Told()
        cache.create(ANN, rows_of(0), "connection")
        with pytest.raises(KafkaError) as caught:
            cache.require(ANN, epoch)
        assert caught.value.code == ErrorCode.INVALID_SHARE_SESSION_EPOCH

    def test_no_session(self) -> None:
        cache = Told()
        cache.create(ANN, rows_of(0), "connection")
        with pytest.raises(KafkaError) as caught:
            cache.require(BOB, FINAL_EPOCH)
        assert caught.value.code == ErrorCode.SHARE_SESSION_NOT_FOUND


class TestRows:
    def test_partitions_are_added_and_forgotten(self) -> None:
        cache = Told()
        session = cache.create(ANN, rows_of(0, 1), "connection")
        known = session.rows[TOPIC, 1]
        cache.update(session, rows_of(1, 2).values(), [(TOPIC, 0), (TOPIC, 9)])
        assert partitions_of(session.rows) == [1, 2]
        assert session.rows[TOPIC, 1] is known
        assert cache.partition_count == 2

    def test_what_gave_records_comes_last(self) -> None:
        session = Told().create(ANN, rows_of(0, 1, 2), "connection")
        session.move_to_end((TOPIC, 0))
        assert partitions_of(session.rows) == [1, 2, 0]

    def test_all_sessions_together_have_so_many_partitions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(share_session, "MAX_PARTITIONS", 4)
        cache = Told()
        session = cache.create(ANN, rows_of(0, 1), "one")
        with pytest.raises(KafkaError) as caught:
            cache.create(BOB, rows_of(0, 1, 2), "two")
        assert caught.value.code == ErrorCode.SHARE_SESSION_LIMIT_REACHED
        cache.create(BOB, rows_of(0, 1), "two")
        with pytest.raises(KafkaError) as caught:
            cache.update(session, rows_of(5).values(), [])
        assert caught.value.code == ErrorCode.SHARE_SESSION_LIMIT_REACHED
        assert partitions_of(session.rows) == [0, 1]
        cache.remove(BOB)
        cache.update(session, rows_of(5).values(), [])
        assert cache.partition_count == 3


class TestLimit:
    def test_no_more_than_that(self) -> None:
        cache = Told(max_sessions=1)
        cache.create(ANN, rows_of(0), "one")
        with pytest.raises(KafkaError) as caught:
            cache.create(BOB, rows_of(0), "two")
        assert caught.value.code == ErrorCode.SHARE_SESSION_LIMIT_REACHED
        assert (len(cache), cache.get(BOB)) == (1, None)

    def test_a_new_one_takes_the_place_of_its_members_old_one(self) -> None:
        cache = Told(max_sessions=1)
        cache.advance(cache.create(ANN, rows_of(0, 1), "one"))
        session = cache.create(ANN, rows_of(7), "two")
        assert (cache.get(ANN), session.epoch, len(cache), cache.partition_count) == (session, 1, 1, 1)


class TestConnections:
    def test_a_session_goes_with_its_connection(self) -> None:
        cache = Told()
        cache.create(ANN, rows_of(0), "one")
        cache.create(BOB, rows_of(0), "two")
        cache.create(EVE, rows_of(0), "three")
        cache.disconnected("one")
        assert (cache.left, cache.empty, cache.get(ANN), len(cache)) == ([ANN], [], None, 2)
        cache.disconnected("two")
        assert (cache.left, cache.empty) == ([ANN, BOB], ["group"])
        cache.disconnected("two")
        cache.disconnected("never seen")
        assert (cache.left, cache.empty, len(cache), cache.partition_count) == ([ANN, BOB], ["group"], 1, 1)

    def test_a_member_that_has_come_back_elsewhere_stays(self) -> None:
        cache = Told()
        cache.create(ANN, rows_of(0), "old")
        session = cache.create(ANN, rows_of(0), "new")
        cache.disconnected("old")
        assert (cache.left, cache.empty, cache.get(ANN)) == ([], [], session)
        cache.disconnected("new")
        assert (cache.left, cache.empty, cache.get(ANN)) == ([ANN], ["group"], None)

    def test_a_session_that_was_closed_leaves_its_group_empty_when_the_connection_goes(self) -> None:
        cache = Told()
        cache.create(ANN, rows_of(0), "one")
        removed = cache.remove(ANN)
        assert removed is not None
        assert removed.key == ANN
        assert cache.remove(ANN) is None
        assert cache.empty == []
        cache.disconnected("one")
        assert (cache.left, cache.empty) == ([], ["group"])

    def test_nobody_leaves_after_all_was_cleared(self) -> None:
        cache = Told()
        cache.create(ANN, rows_of(0, 1), "one")
        cache.clear()
        assert (len(cache), cache.partition_count) == (0, 0)
        cache.disconnected("one")
        assert (cache.left, cache.empty) == ([], ["group"])
