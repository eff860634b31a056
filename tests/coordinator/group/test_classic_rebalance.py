"""The pieces of a rebalance that plays of whole groups do not single out."""

from pykbroker.coordinator.group.classic_rebalance import Rebalancer, joined
from pykbroker.coordinator.shard import Outcome
from pykbroker.coordinator.timers import Timers
from tests.coordinator.group.plays import GROUP, GroupPlay, in_state, join, leave, stable, sync
from tests.playbook import after, answered


def test_the_leader_hears_of_all_members() -> None:
    play = GroupPlay()
    play << stable("a", "b", protocols={"range": b"meta"})
    told = joined(play.group, play.ids["a"], with_members=True)
    assert [(row.member_id, row.metadata) for row in told.members] == [(play.ids[name], b"meta") for name in "ab"]
    assert (told.generation_id, told.protocol_type, told.protocol_name, told.leader) == (1, "consumer", "range", "a-1")


def test_a_deleted_group_leaves_no_timers() -> None:
    play = GroupPlay()
    play << stable("a", "b") << join("c")
    play.inbox.clear()
    assert len(play.shard._timers) == 4
    play.shard.classic.rebalancer.forget(play.group)
    assert len(play.shard._timers) == 1


def test_nobody_waits_for_an_answer() -> None:
    play = GroupPlay()
    play << stable("a")
    rebalancer = Rebalancer(play.clock, Timers(), 0)
    out: Outcome[None] = Outcome()
    member = play.group.members[play.ids["a"]]
    assert not rebalancer.reply_join(play.group, member, joined(play.group, "a", with_members=False), out)
    assert out.replies == []


def test_deadlines_of_groups_that_moved_on_mean_nothing() -> None:
    play = GroupPlay()
    play << stable("a")
    out: Outcome[None] = Outcome()
    rebalancer = play.shard.classic.rebalancer
    rebalancer.on_sync_expired(play.group, out)
    rebalancer.on_session_expired(play.group, "nobody", out)
    rebalancer.maybe_complete(play.group, out)
    assert (out.records, out.replies, play.group.state) == ([], [], "Stable")


def test_sessions_begin_anew_with_the_assignment() -> None:
    play = GroupPlay()
    play << join("a", version=1, session=10_000) << join("b", version=1, session=6000) << after(6)
    play.take("a"), play.take("b")
    play << sync("b") << after(5.9) << sync("a", {}) >> answered("a", error_code=0) >> answered("b", error_code=0)
    play << after(5.9) >> in_state("Stable")


def test_an_emptied_group_starts_over_with_the_initial_delay() -> None:
    play = GroupPlay()
    play << stable("a") << leave("a") >> answered("a", error_code=0) << join("b", version=1) << after(2.9)
    play >> in_state("PreparingRebalance") << after(0.2) >> answered("b", generation_id=3)
    assert play.shard.groups.get(GROUP) is play.group
