"""Records and questions are routed to the right part of a shard."""

import re

from pykbroker.coordinator.group.group_shard import random_id
from pykbroker.coordinator.shard import CoordinatorRecord, Shard
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.persisted.group.legacy_offset_commit import LegacyOffsetCommitKey, LegacyOffsetCommitValue
from tests.coordinator.group.plays import (
    GROUP,
    GroupPlay,
    commit,
    commit_answered,
    committed,
    fetched,
    in_state,
    stable,
)


def test_it_is_a_shard() -> None:
    shard: Shard = GroupPlay().shard
    assert shard.next_deadline() > 0


def test_random_ids_look_like_javas() -> None:
    made = {random_id() for _ in range(100)}
    assert len(made) == 100
    assert all(
        re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", text) for text in made
    )


def test_offsets_of_the_oldest_format() -> None:
    play = GroupPlay()
    key = LegacyOffsetCommitKey(group=GROUP, topic="t", partition=0)
    play.shard.replay(0, -1, CoordinatorRecord(key, LegacyOffsetCommitValue(offset=7, metadata="m")))
    play.shard.timeline.commit(1)
    play >> committed(7)
    assert fetched(play).metadata == "m"
    play.shard.replay(1, -1, CoordinatorRecord(key, None))
    assert fetched(play, require_stable=True).committed_offset == -1


def test_a_group_record_takes_over_a_simple_group() -> None:
    play = GroupPlay()
    play << commit("x", 5, member=False) >> commit_answered("x") >> in_state("Empty") << stable("a") >> committed(5)


def test_listing_filters() -> None:
    play = GroupPlay()
    play << stable("a") << commit("x", 5, group_id="simple", member=False)
    rows = list(play.shard.list_groups(frozenset(), frozenset()))
    assert {(row.group_id, row.group_state, row.protocol_type) for row in rows} == {
        ("g", "Stable", "consumer"),
        ("simple", "Empty", ""),
    }
    assert [row.group_id for row in play.shard.list_groups(frozenset({"stable"}), frozenset({"classic"}))] == ["g"]
    assert list(play.shard.list_groups(frozenset(), frozenset({"share"}))) == []


def test_describing_by_version() -> None:
    play = GroupPlay()
    old, new = play.shard.describe_groups(5, ["x"])[0], play.shard.describe_groups(6, ["x"])[0]
    assert (old.group_state, old.error_code, old.error_message) == ("Dead", 0, None)
    assert (new.group_state, new.error_code) == ("Dead", E.GROUP_ID_NOT_FOUND)
    assert new.error_message == "Group x not found."


def test_thousands_of_groups_stay_small() -> None:
    play = GroupPlay()
    from tests.coordinator.group.plays import join

    for number in range(2000):
        play.run("x", lambda shard, n=number: _joining(play, shard, f"group-{n}"), wait=False)  # type: ignore[misc]
    assert len(play.shard.groups) == 2000
    assert join is not None
    play.inbox.clear()
    play.pass_time(700)
    assert len(play.shard.groups) == 0
    assert len(play.shard._timers) == 1


def _joining(play: GroupPlay, shard: object, group_id: str) -> object:
    from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
    from pykbroker.request import RequestContext
    from tests.coordinator.group.plays import Inbox

    request = JoinGroupRequest(
        group_id=group_id, session_timeout_ms=6000, protocol_type="p", protocols=[JoinGroupRequestProtocol(name="x")]
    )
    return shard.classic.join(RequestContext(11, 9, client_id="c"), request, Inbox(play, "x"))  # type: ignore[attr-defined]
