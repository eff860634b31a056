"""Eviction and the bounds of sessions; what clients see is in tests/handlers/broker/test_fetch_sessions.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pykbroker.clock import ManualClock
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.replica import fetch_session
from pykbroker.replica.fetch_session import (
    MIN_EVICTION_SECONDS,
    NO_SESSION,
    FetchRow,
    FetchSessionCache,
    RowKey,
)


def rows(count: int) -> dict[RowKey, FetchRow]:
    return {("t", index): FetchRow("t", index, -1, 0, -1, 100) for index in range(count)}


class Cache:
    def __init__(self, slots: int) -> None:
        self.clock = ManualClock()
        self.sessions = FetchSessionCache(slots, self.clock, seed=1)

    def create(self, size: int = 1, *, follower: bool = False) -> int:
        return self.sessions.create(rows(size), False, follower)

    def use(self, session_id: int, epoch: int, asked: dict[RowKey, FetchRow] | None = None) -> None:
        self.sessions.resume(session_id, epoch, False, asked or {}, [])

    def has(self, session_id: int) -> bool:
        return session_id in self.sessions._sessions


def test_young_sessions_stay() -> None:
    cache = Cache(2)
    first, second = cache.create(1), cache.create(1)
    assert cache.create(9) == NO_SESSION
    assert cache.has(first)
    assert cache.has(second)


def test_a_stale_session_goes_first() -> None:
    cache = Cache(2)
    first, second = cache.create(5), cache.create(1)
    cache.clock.advance(MIN_EVICTION_SECONDS)
    cache.use(second, 1)
    assert cache.create(1) == NO_SESSION, "not longer than that"
    cache.clock.advance(1)
    third = cache.create(1)
    assert third != NO_SESSION
    assert [cache.has(one) for one in (first, second, third)] == [False, True, True]


def test_an_old_one_goes_for_a_larger_one() -> None:
    cache = Cache(2)
    small, large = cache.create(2), cache.create(4)
    cache.clock.advance(MIN_EVICTION_SECONDS + 1)
    cache.use(small, 1)
    cache.use(large, 1)
    assert cache.create(2) == NO_SESSION, "as large is not larger"
    assert cache.create(3) != NO_SESSION
    assert [cache.has(small), cache.has(large)] == [False, True]
    assert cache.create(4) == NO_SESSION, "the other one is young"


def test_followers_push_consumers_out() -> None:
    cache = Cache(2)
    small, large = cache.create(1), cache.create(9)
    follower = cache.create(1, follower=True)
    assert [cache.has(one) for one in (small, large, follower)] == [False, True, True]
    cache.create(1, follower=True)
    assert not cache.has(large)
    assert cache.create(9, follower=True) == NO_SESSION, "followers among themselves: only the old"
    cache.clock.advance(MIN_EVICTION_SECONDS + 1)
    cache.use(follower, 1)
    assert cache.create(9) != NO_SESSION, "the other follower was idle"


def test_no_slots_no_sessions() -> None:
    assert Cache(0).create() == NO_SESSION


def test_epochs_wrap_to_one() -> None:
    cache = Cache(1)
    session_id = cache.create()
    session = cache.sessions._sessions[session_id]
    session.epoch = 0x7FFFFFFF
    cache.use(session_id, 0x7FFFFFFF)
    assert session.epoch == 1


def test_a_session_knows_its_size() -> None:
    """It may grow after it was opened; then it is worth more."""
    cache = Cache(1)
    session_id = cache.create(1)
    cache.clock.advance(MIN_EVICTION_SECONDS + 1)
    cache.use(session_id, 1, rows(5))
    assert cache.create(5) == NO_SESSION
    assert cache.create(6) != NO_SESSION


@given(st.lists(st.tuples(st.sampled_from("cfur"), st.integers(0, 9), st.integers(0, 90)), max_size=60))
def test_keys_follow_the_sessions(steps: list[tuple[str, int, int]]) -> None:
    cache = Cache(4)
    for what, number, seconds in steps:
        cache.clock.advance(seconds)
        known = list(cache.sessions._sessions)
        if what in "cf":
            cache.create(number, follower=what == "f")
        elif known:
            chosen = known[number % len(known)]
            if what == "u":
                cache.use(chosen, cache.sessions._sessions[chosen].epoch, rows(number))
            else:
                cache.sessions.remove(chosen)
        sessions = cache.sessions._sessions
        assert len(sessions) <= 4
        assert cache.sessions.partitions == sum(key[1] for key in (one.eviction_key for one in sessions.values()))
        assert [one.last_used for one in sessions.values()] == sorted(one.last_used for one in sessions.values())
        for keys in (cache.sessions._evictable_by_all, cache.sessions._evictable_by_privileged):
            assert keys == sorted(keys)
            assert all(sessions[key[2]].eviction_key == key for key in keys)
        unprivileged = {one.id for one in sessions.values() if not one.is_privileged}
        assert unprivileged <= {key[2] for key in cache.sessions._evictable_by_privileged}


def test_partitions_are_bounded_over_all_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_session, "MAX_PARTITIONS", 10)
    cache = Cache(5)
    first = cache.create(4)
    assert cache.create(7) == NO_SESSION
    second = cache.create(6)
    assert cache.sessions.partitions == 10
    with pytest.raises(KafkaError) as caught:
        cache.use(first, 1, rows(5))
    assert caught.value.code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert [cache.has(one) for one in (first, second)] == [False, True]
    assert cache.sessions.partitions == 6


def test_what_is_wrong_with_a_session_comes_in_kafkas_order() -> None:
    cache = Cache(1)
    session_id = cache.create()
    for arguments, code in (
        ((session_id ^ 1, 9, True), ErrorCode.FETCH_SESSION_ID_NOT_FOUND),
        ((session_id, 9, True), ErrorCode.INVALID_FETCH_SESSION_EPOCH),
        ((session_id, 1, True), ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR),
    ):
        with pytest.raises(KafkaError) as caught:
            cache.sessions.resume(*arguments, {}, [])
        assert caught.value.code == code
