"""JoinGroup in detail: what of a request counts, and how much is remembered of members that never come."""

import pytest

from pykbroker.coordinator.group.classic_join import Join
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from pykbroker.request import RequestContext
from tests.coordinator.group.plays import GroupPlay, Inbox, in_state, join, stable
from tests.playbook import after, answered, nothing


def joining(version: int, **fields: object) -> Join:
    request = JoinGroupRequest(session_timeout_ms=7000, rebalance_timeout_ms=9000, **fields)  # type: ignore[arg-type]
    return Join(RequestContext(11, version, client_host="10.1.1.1"), request, Inbox(GroupPlay(), "x"))


def test_a_request() -> None:
    protocols = [JoinGroupRequestProtocol(name=name, metadata=name.encode()) for name in "aab"]
    join = joining(9, protocols=protocols, reason="r" * 300)
    assert join.protocols == (("a", b"a"), ("a", b"a"), ("b", b"b"))
    assert (join.client_id, join.client_host, join.rebalance_timeout_ms) == ("", "/10.1.1.1", 9000)
    assert join.reason == "r" * 255
    assert joining(0).rebalance_timeout_ms == 7000
    assert joining(9).reason == "not provided"


def test_member_ids_begin_with_the_client_id() -> None:
    play = GroupPlay()
    play << join("a", client="my client") >> answered("a", member_id="my client-1", error_code=E.MEMBER_ID_REQUIRED)


def test_only_so_many_pending_members_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pykbroker.coordinator.group.classic_join.MAX_PENDING_JOIN", 3)
    play = GroupPlay()
    for name in "abcdef":
        play << join(name) >> answered(name, error_code=E.MEMBER_ID_REQUIRED)
    assert list(play.group.pending_join) == ["d-4", "e-5", "f-6"]
    assert len(play.shard._timers) == 4  # theirs and the expiration of offsets
    play << join("a") >> answered("a", error_code=E.UNKNOWN_MEMBER_ID) << join("f") >> nothing


def test_a_member_id_that_no_record_can_hold() -> None:
    play = GroupPlay()
    play << join("a", instance="i" * 32767) >> answered("a", error_code=E.UNKNOWN_SERVER_ERROR) >> in_state("Empty")


def test_who_is_refused_holds_nobody_up() -> None:
    """Kafka leaves the others waiting until their rebalance timeout here."""
    play = GroupPlay(group_max_size=2)
    play << stable("a", session=90_000) << join("b") << join("c")
    play.inbox.clear()
    play << join("a", session=90_000) << join("b") >> nothing << join("c")
    play >> answered("c", error_code=E.GROUP_MAX_SIZE_REACHED)
    play >> answered("a", generation_id=2) >> answered("b", generation_id=2)


def test_a_second_join_of_the_same_member_ends_the_first() -> None:
    play = GroupPlay()
    play << stable("a", "b") << join("b", protocols={"range": b"1"}) << join("b", protocols={"range": b"1"})
    play >> answered("b", error_code=E.REBALANCE_IN_PROGRESS) >> nothing
    play << join("a") >> answered("a", generation_id=2) >> answered("b", generation_id=2)


def test_a_new_member_may_wait_longer_than_its_session() -> None:
    play = GroupPlay()
    play << stable("a", session=100_000, rebalance=200_000)
    play << join("b", version=1, session=6000) << after(90) >> nothing >> in_state("PreparingRebalance")


def test_but_not_for_ever() -> None:
    """Five minutes: a client that gave up must not hold up all further rebalances."""
    play = GroupPlay()
    play << stable("a", session=1_800_000, rebalance=1_800_000) << join("b", version=1, session=6000) << after(299)
    play >> nothing << after(2) >> answered("b", error_code=E.UNKNOWN_MEMBER_ID)
