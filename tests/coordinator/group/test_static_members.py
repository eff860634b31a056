"""Static members (KIP-345): they come back under a new id without a rebalance, and fence who they were."""

from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.leave_group import MemberIdentity
from tests.coordinator.group.plays import (
    GroupPlay,
    alive,
    commit,
    commit_answered,
    heartbeat,
    in_state,
    join,
    leave,
    members,
    registered,
    reload,
    sync,
)
from tests.playbook import after, answered, nothing


def static(*names: str, version: int = 9, **options: object) -> object:
    """A stable group of static members, instance ids like their names, the first one leading."""

    def scene(play: GroupPlay) -> None:
        for name in names:
            play << join(name, instance=name, version=version, **options)  # type: ignore[arg-type]
        play.pass_time(6)
        for name in names:
            assert play.take(name).error_code == 0
        for name in names[1:]:
            play << sync(name, group_instance_id=name)
        play << sync(names[0], {name: name.encode() for name in names}, group_instance_id=names[0])
        for name in names:
            assert play.take(name).assignment == name.encode()

    return scene


def again(name: str, instance: str, **options: object) -> object:
    return join(name, instance=instance, member_id="", **options)  # type: ignore[arg-type]


def test_no_member_id_is_required_and_it_begins_with_the_instance() -> None:
    play = GroupPlay()
    play << join("a", instance="i") >> nothing << after(3) >> answered("a", generation_id=1, member_id="i-1")


def test_a_restarted_follower_gets_its_assignment_back() -> None:
    play = GroupPlay()
    play << static("a", "b") << again("b2", "b")
    answer = play.take("b2")
    assert (answer.generation_id, answer.leader, answer.members) == (1, play.ids["a"], [])
    assert not answer.skip_assignment
    play << sync("b2", group_instance_id="b") >> answered("b2", assignment=b"b") >> in_state("Stable")
    play >> members("a", "b2") << reload >> members("a", "b2") >> alive("a") >> alive("b2")


def test_a_restarted_leader_is_told_the_members_and_not_to_assign() -> None:
    """KIP-814: it leads, but skips the assignment."""
    play = GroupPlay()
    play << static("a", "b") << again("a2", "a")
    answer = play.take("a2")
    assert (answer.leader, answer.skip_assignment, len(answer.members)) == (answer.member_id, True, 2)


def test_an_older_client_that_restarts_is_not_told_that_it_leads() -> None:
    play = GroupPlay()
    play << static("a", "b", version=8)
    old = play.ids["a"]
    play << again("a2", "a", version=8)
    answer = play.take("a2")
    assert (answer.leader, answer.members, answer.skip_assignment) == (old, [], False)


def test_who_was_replaced_is_fenced() -> None:
    play = GroupPlay()
    play << static("a", "b") << again("b2", "b") >> answered("b2", error_code=0)
    play << heartbeat("b", group_instance_id="b") >> answered("b", error_code=E.FENCED_INSTANCE_ID)
    play << heartbeat("b") >> answered("b", error_code=E.UNKNOWN_MEMBER_ID)
    play << sync("b", group_instance_id="b") >> answered("b", error_code=E.FENCED_INSTANCE_ID)
    play << join("b", instance="b") >> answered("b", error_code=E.FENCED_INSTANCE_ID)
    play << commit("b", 1, group_instance_id="b") >> commit_answered("b", E.FENCED_INSTANCE_ID)
    play << leave("b", MemberIdentity(member_id=play.ids["b"], group_instance_id="b"))
    assert play.take("b").members[0].error_code == E.FENCED_INSTANCE_ID


def test_an_instance_that_nobody_has() -> None:
    play = GroupPlay()
    play << static("a") << heartbeat("a", group_instance_id="z") >> answered("a", error_code=E.UNKNOWN_MEMBER_ID)
    play << leave("x", MemberIdentity(member_id="", group_instance_id="z"))
    assert play.take("x").members[0].error_code == E.UNKNOWN_MEMBER_ID


def test_a_restart_while_the_group_rebalances() -> None:
    play = GroupPlay()
    play << static("a", "b") << join("a", instance="a") << join("b", instance="b", protocols={"range": b"x"})
    play >> answered("a", generation_id=2) >> answered("b", generation_id=2) << join("a", instance="a", version=9)
    play.inbox.clear()
    play << again("b2", "b") << join("a", instance="a", protocols={"range": b"y"})
    play >> answered("b2", generation_id=3) >> answered("a", generation_id=3)


def test_a_restart_while_its_join_waits_ends_that_join() -> None:
    play = GroupPlay()
    play << static("a", "b") << join("b", instance="b", protocols={"range": b"x"}) >> nothing << again("b2", "b")
    b = play.take("b")
    assert (b.error_code, b.member_id, b.protocol_name) == (E.FENCED_INSTANCE_ID, "b-2", None)
    play << join("a", instance="a") >> answered("a", generation_id=2) >> answered("b2", generation_id=2)


def test_a_restart_while_it_waits_for_its_assignment_starts_over() -> None:
    play = GroupPlay()
    play << join("a", instance="a") << join("b", instance="b") << after(6)
    play.take("a"), play.take("b")
    play << sync("b", group_instance_id="b") >> nothing << again("b2", "b")
    play >> answered("b", error_code=E.FENCED_INSTANCE_ID) >> in_state("PreparingRebalance") >> nothing


def test_a_restart_that_changes_the_common_protocol_rebalances() -> None:
    play = GroupPlay()
    play << static("a", "b", protocols={"range": b"", "sticky": b""})
    play << again("b2", "b", protocols={"sticky": b""}) >> nothing >> in_state("PreparingRebalance")
    play << join("a", instance="a", protocols={"range": b"", "sticky": b""})
    play >> answered("a", protocol_name="sticky") >> answered("b2", protocol_name="sticky")


def test_a_restart_with_other_topics_does_not_rebalance() -> None:
    """As Kafka has it: only the name of the selected protocol matters."""
    play = GroupPlay()
    play << static("a", "b") << again("b2", "b", protocols={"range": b"other"}) >> answered("b2", generation_id=1)
    play >> in_state("Stable")


def test_static_members_stay_when_they_miss_a_rebalance() -> None:
    play = GroupPlay()
    play << static("a", "b", session=600_000, rebalance=20_000) << join("a", instance="a", session=600_000) << after(61)
    play >> answered("a", generation_id=2) >> members("a", "b")


def test_static_members_leave_only_by_their_session_or_an_administrator() -> None:
    play = GroupPlay()
    play << static("a", "b") << leave("admin", MemberIdentity(member_id="", group_instance_id="b"))
    row = play.take("admin").members[0]
    assert (row.member_id, row.group_instance_id, row.error_code) == ("", "b", 0)
    play >> members("a") << after(11) >> in_state("Empty")


def test_nobody_comes_to_a_rebalance_of_static_members() -> None:
    """The join phase is prolonged until their sessions end."""
    play = GroupPlay()
    play << static("a", "b", session=100_000, rebalance=10_000) << leave("x", MemberIdentity(group_instance_id="b"))
    play >> answered("x", error_code=0) >> in_state("PreparingRebalance") << after(50) >> in_state("PreparingRebalance")
    play >> members("a") << after(60) >> in_state("Empty")


def test_a_static_member_in_front_of_a_pending_one() -> None:
    play = GroupPlay()
    registered(play, "a")
    play << join("a", instance="i") >> answered("a", error_code=E.UNKNOWN_SERVER_ERROR)
