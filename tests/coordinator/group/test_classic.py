"""Classic groups as members see them: every transition, every error. Kafka: GroupMetadataManagerTest, classic part."""

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.leave_group import MemberIdentity
from tests.coordinator.group.plays import (
    GROUP,
    GroupPlay,
    alive,
    heartbeat,
    in_state,
    join,
    leave,
    members,
    registered,
    reload,
    stable,
    sync,
)
from tests.playbook import after, answered, nothing

E = ErrorCode


def test_two_members_form_a_group() -> None:
    play = GroupPlay()
    play << join("a") >> answered("a", error_code=E.MEMBER_ID_REQUIRED) << join("a") >> nothing
    play << after(1) << join("b") >> answered("b", error_code=E.MEMBER_ID_REQUIRED) << join("b") >> nothing
    play << after(2) >> nothing << after(3)
    a, b = play.take("a"), play.take("b")
    assert (a.error_code, a.generation_id, a.leader, a.protocol_name) == (0, 1, a.member_id, "range")
    assert {member.member_id for member in a.members} == {a.member_id, b.member_id}
    assert (b.generation_id, b.leader, b.members) == (1, a.member_id, [])
    play >> in_state("CompletingRebalance") << sync("b") >> nothing << sync("a", {"a": b"1", "b": b"2"})
    play >> answered("a", assignment=b"1", protocol_type="consumer", protocol_name="range", error_code=0)
    play >> answered("b", assignment=b"2", error_code=0) >> in_state("Stable") >> alive("a") >> alive("b")


def test_new_members_prolong_the_initial_rebalance_up_to_the_rebalance_timeout() -> None:
    play = GroupPlay()
    registered(play, "a", "b", "c", rebalance=5000)
    play << join("a", rebalance=5000) << after(2) << join("b", rebalance=5000) << after(2) << join("c", rebalance=5000)
    play << after(0.9) >> nothing << after(0.2) >> answered("a", generation_id=1) >> answered("b", generation_id=1)
    play >> answered("c", generation_id=1)


def test_the_initial_rebalance_of_one_member_takes_the_delay() -> None:
    play = GroupPlay()
    registered(play, "a")
    play << join("a") << after(2.9) >> nothing << after(0.2) >> answered("a", generation_id=1, error_code=0)


def test_older_clients_need_no_member_id() -> None:
    play = GroupPlay()
    play << join("a", version=3) >> nothing << after(3) >> answered("a", generation_id=1)
    assert play.ids["a"] == "a-1"


def test_version_0_has_the_session_timeout_for_rebalances() -> None:
    play = GroupPlay()
    play << join("a", version=0, session=7000, rebalance=-1) << after(3)
    assert play.group.members[play.ids["a"]].rebalance_timeout_ms == 7000


def test_join_of_an_unknown_group_or_member() -> None:
    play = GroupPlay()
    play << join("x", member_id="nobody") >> answered("x", error_code=E.UNKNOWN_MEMBER_ID, member_id="nobody")
    assert play.group is None
    play << stable("a") << join("x", member_id="nobody") >> answered("x", error_code=E.UNKNOWN_MEMBER_ID)


@pytest.mark.parametrize(
    ("protocol_type", "protocols"),
    [("connect", {"range": b""}), ("consumer", {"sticky": b""}), ("consumer", {}), ("", {"range": b""})],
)
def test_protocols_must_fit_those_of_the_group(protocol_type: str, protocols: dict[str, bytes]) -> None:
    play = GroupPlay()
    play << stable("a") << join("b", protocol_type=protocol_type, protocols=protocols)
    play >> answered("b", error_code=E.INCONSISTENT_GROUP_PROTOCOL, member_id="") >> in_state("Stable") >> alive("a")


def test_a_first_member_without_protocols_leaves_an_empty_group() -> None:
    play = GroupPlay()
    play << join("a", protocols={}) >> answered("a", error_code=E.INCONSISTENT_GROUP_PROTOCOL) >> in_state("Empty")


def test_the_protocol_with_most_votes_among_the_common_ones_wins() -> None:
    play = GroupPlay()
    for name, protocols in {"a": "xyz", "b": "zyq", "c": "zy"}.items():
        registered(play, name, protocols=dict.fromkeys(protocols, b""))
        play << join(name, protocols=dict.fromkeys(protocols, b""))
    play << after(6) >> answered("a", protocol_name="z") >> answered("b", protocol_name="z")


def test_a_third_member_makes_the_others_rejoin() -> None:
    play = GroupPlay()
    play << stable("a", "b")
    registered(play, "c")
    play << join("c") >> nothing >> in_state("PreparingRebalance") >> alive("a", E.REBALANCE_IN_PROGRESS)
    play << join("a") << join("b") >> answered("a", generation_id=2) >> answered("b", generation_id=2)
    play >> answered("c", generation_id=2) << sync("b") << sync("c") << sync("a", {"a": b"A"})
    play >> answered("a", assignment=b"A") >> answered("b", assignment=b"") >> answered("c", assignment=b"")


def test_who_does_not_rejoin_in_time_is_removed() -> None:
    play = GroupPlay()
    play << stable("a", "b", session=30_000, rebalance=20_000)
    play << join("a", session=30_000, rebalance=20_000) >> nothing << after(19) >> nothing << after(2)
    play >> answered("a", generation_id=2) >> members("a") >> alive("b", E.UNKNOWN_MEMBER_ID)


def test_a_leader_that_does_not_rejoin_is_replaced() -> None:
    play = GroupPlay()
    play << stable("a", "b", session=90_000)
    registered(play, "c")
    play << join("b", protocols={"range": b"new"}, session=90_000) << after(61)
    b = play.take("b")
    assert b.leader == b.member_id == play.ids["b"]
    play >> members("b")


def test_follower_with_the_same_metadata_is_told_the_generation_again() -> None:
    play = GroupPlay()
    play << stable("a", "b") << join("b") >> answered("b", generation_id=1, members=[], leader=play.ids["a"])
    play >> in_state("Stable")


def test_leader_rejoining_forces_a_rebalance() -> None:
    play = GroupPlay()
    play << stable("a", "b") << join("a") >> nothing >> in_state("PreparingRebalance")


def test_changed_metadata_forces_a_rebalance() -> None:
    play = GroupPlay()
    play << stable("a", "b") << join("b", protocols={"range": b"other"}) >> in_state("PreparingRebalance")


def test_rejoining_while_assignments_are_awaited() -> None:
    play = GroupPlay()
    play << join("a", version=1) << join("b", version=1) << after(6)
    play.take("a"), play.take("b")
    play << join("a") >> answered("a", generation_id=1)
    play << join("b", protocols={"range": b"x"}) >> in_state("PreparingRebalance") >> nothing


def test_sync_errors() -> None:
    play = GroupPlay()
    play << sync("x", group_id="none", member_id="x") >> answered("x", error_code=E.UNKNOWN_MEMBER_ID)
    play << stable("a", "b") << sync("a", generation=7) >> answered("a", error_code=E.ILLEGAL_GENERATION)
    play << sync("x", member_id="x", generation=1) >> answered("x", error_code=E.UNKNOWN_MEMBER_ID)
    play << sync("a", protocol_type="connect") >> answered("a", error_code=E.INCONSISTENT_GROUP_PROTOCOL)
    play << sync("a", protocol_name="sticky") >> answered("a", error_code=E.INCONSISTENT_GROUP_PROTOCOL)
    play << sync("a", protocol_name="range", protocol_type="consumer") >> answered("a", assignment=b"a", error_code=0)
    play << join("a") << sync("b") >> answered("b", error_code=E.REBALANCE_IN_PROGRESS)


def test_sync_of_an_empty_group() -> None:
    play = GroupPlay()
    play << stable("a") << leave("a") >> answered("a", error_code=0)
    play << sync("a") >> answered("a", error_code=E.UNKNOWN_MEMBER_ID)


def test_a_rebalance_sends_back_those_who_await_their_assignment() -> None:
    play = GroupPlay()
    play << join("a", version=1) << join("b", version=1) << after(6)
    play.take("a"), play.take("b")
    play << sync("b") >> nothing << join("c", version=1) >> answered("b", error_code=E.REBALANCE_IN_PROGRESS)


def test_members_that_never_ask_for_their_assignment_are_removed() -> None:
    play = GroupPlay()
    play << join("a", version=1, session=90_000) << join("b", version=1, session=90_000) << after(6)
    play.take("a"), play.take("b")
    play << sync("a", {"a": b"1"}) >> answered("a", assignment=b"1") << after(61) >> in_state("PreparingRebalance")
    play >> members("a")


def test_a_second_sync_of_the_same_member_ends_the_first() -> None:
    play = GroupPlay()
    play << join("a", version=1) << join("b", version=1) << after(6)
    play.take("a"), play.take("b")
    play << sync("b") << sync("b") >> answered("b", error_code=E.REBALANCE_IN_PROGRESS) >> nothing


def test_heartbeat_errors() -> None:
    play = GroupPlay()
    play << heartbeat("x", group_id="none") >> answered("x", error_code=E.UNKNOWN_MEMBER_ID)
    play << stable("a") << heartbeat("a", generation=0) >> answered("a", error_code=E.ILLEGAL_GENERATION)
    play << heartbeat("x", member_id="x", generation=1) >> answered("x", error_code=E.UNKNOWN_MEMBER_ID)


def test_heartbeats_keep_the_session() -> None:
    play = GroupPlay()
    play << stable("a", session=10_000) << after(9) >> alive("a") << after(9) >> alive("a") >> in_state("Stable")


def test_a_session_ends_without_heartbeats() -> None:
    play = GroupPlay()
    play << stable("a", "b", session=10_000) << after(9) >> alive("b") << after(2) >> in_state("PreparingRebalance")
    play >> members("b")


def test_the_last_session_ends() -> None:
    play = GroupPlay()
    play << stable("a", session=10_000) << after(11) >> in_state("Empty") >> alive("a", E.UNKNOWN_MEMBER_ID)
    assert (play.group.generation_id, play.group.leader_id, play.group.protocol_name) == (2, None, None)


def test_pending_members_are_forgotten_after_their_session() -> None:
    play = GroupPlay()
    play << join("a", session=6000) >> answered("a", error_code=E.MEMBER_ID_REQUIRED) << after(7) << join("a")
    play >> answered("a", error_code=E.UNKNOWN_MEMBER_ID)


def test_a_pending_member_holds_up_the_rebalance() -> None:
    play = GroupPlay()
    play << stable("a", rebalance=300_000, session=90_000)
    play << join("b", session=6000) >> answered("b", error_code=E.MEMBER_ID_REQUIRED)
    play << join("a", rebalance=300_000, session=90_000) >> nothing << after(7) >> answered("a", generation_id=2)


def test_leave() -> None:
    play = GroupPlay()
    play << leave("x") >> answered("x", error_code=E.UNKNOWN_MEMBER_ID)
    play << stable("a", "b") << leave("b")
    (row,) = play.take("b").members
    assert row.error_code == 0
    play >> in_state("PreparingRebalance") >> members("a") << leave("b")
    assert play.take("b").members[0].error_code == E.UNKNOWN_MEMBER_ID


def test_leaving_ends_what_the_member_waits_for() -> None:
    play = GroupPlay()
    play << stable("a", "b") << join("a") << leave("x", MemberIdentity(member_id=play.ids["a"]))
    play >> answered("a", error_code=E.UNKNOWN_MEMBER_ID, member_id="")
    play >> answered("x", error_code=0) >> members("b")


def test_pending_members_may_leave() -> None:
    play = GroupPlay()
    play << join("a") >> answered("a", error_code=E.MEMBER_ID_REQUIRED) << leave("a") >> answered("a", error_code=0)
    play << join("a") >> answered("a", error_code=E.UNKNOWN_MEMBER_ID)


def test_several_leave_at_once() -> None:
    play = GroupPlay()
    play << stable("a", "b", "c")
    ids = [MemberIdentity(member_id=play.ids[name]) for name in "ab"]
    play << leave("x", *ids, MemberIdentity(member_id="nobody"))
    assert [row.error_code for row in play.take("x").members] == [0, 0, E.UNKNOWN_MEMBER_ID]
    play >> members("c") >> in_state("PreparingRebalance")


def test_everybody_leaves() -> None:
    play = GroupPlay()
    play << stable("a", "b") << leave("x", *(MemberIdentity(member_id=play.ids[name]) for name in "ab"))
    play >> answered("x", error_code=0) >> in_state("Empty")
    assert play.group.generation_id == 2


def test_a_full_group_refuses_new_members() -> None:
    play = GroupPlay(group_max_size=2)
    play << stable("a", "b")
    play << join("c") >> answered("c", error_code=E.GROUP_MAX_SIZE_REACHED, member_id="") >> in_state("Stable")


def test_only_so_many_may_rejoin() -> None:
    play = GroupPlay(group_max_size=2)
    play << stable("a", "b")
    registered(play, "c")  # refused
    play << join("a") >> nothing << join("c") >> answered("c", error_code=E.MEMBER_ID_REQUIRED)
    play << join("b") << join("c") >> answered("c", error_code=E.GROUP_MAX_SIZE_REACHED)


def test_a_loaded_group_beyond_the_limit_rebalances() -> None:
    play = GroupPlay()
    play << stable("a", "b")
    play.config.group_max_size = 1
    play << reload >> in_state("PreparingRebalance")


def test_a_group_survives_its_coordinator() -> None:
    play = GroupPlay()
    play << stable("a", "b") << reload >> in_state("Stable") >> alive("a") >> alive("b")
    play << sync("a") >> answered("a", assignment=b"a")
    play << after(11) >> in_state("Empty")


def test_unloading_sends_away_who_waits() -> None:
    play = GroupPlay()
    play << stable("a", "b") << join("a") << reload >> answered("a", error_code=E.NOT_COORDINATOR)
    play << join("c", version=1) << join("a") << join("b") << after(1)
    play.inbox.clear()
    play << sync("b") << reload >> answered("b", error_code=E.NOT_COORDINATOR)


def test_group_of_absurd_timeouts() -> None:
    play = GroupPlay()
    play << join("a", version=1, rebalance=-(2**31)) << after(3) >> answered("a", generation_id=1)
    play << join("b", version=1, rebalance=2**31 - 1) << after(1)
    assert play.group.rebalance_timeout_ms == 2**31 - 1


def test_the_group_id_is_in_the_first_record_as_soon_as_it_exists() -> None:
    play = GroupPlay()
    play << join("a") << reload >> in_state("Empty")
    assert [group.group_id for group in play.shard.groups.committed()] == [GROUP]
