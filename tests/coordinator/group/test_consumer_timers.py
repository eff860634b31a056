"""Deadlines of members."""

from pykbroker.clock import ManualClock
from pykbroker.coordinator.group.consumer_member import ConsumerMember, MemberState
from pykbroker.coordinator.group.consumer_timers import JOIN, REBALANCE, SESSION, SYNC, MemberTimers
from pykbroker.coordinator.timers import Timers


def made() -> tuple[ManualClock, Timers, MemberTimers]:
    clock, timers = ManualClock(), Timers()
    return clock, timers, MemberTimers(clock, timers)


def test_a_member_that_must_give_back_has_a_deadline_in_its_epoch() -> None:
    clock, timers, members = made()
    member = ConsumerMember("m", epoch=4, state=MemberState.UNREVOKED_PARTITIONS, rebalance_timeout_ms=2000)
    members.after_step("g", member)
    assert timers.deadline((REBALANCE, "g", "m")) == clock.monotonic() + 2
    assert (members.rebalance_epoch("g", "m"), members.rebalance_epoch("g", "m")) == (4, None)
    members.after_step("g", member)
    members.after_step("g", member._replace(state=MemberState.STABLE))
    assert timers.deadline((REBALANCE, "g", "m")) is None
    assert members.rebalance_epoch("g", "m") is None


def test_hearing_twice_of_a_rebalance_gives_no_more_time() -> None:
    clock, timers, members = made()
    member = ConsumerMember("m", rebalance_timeout_ms=2000)
    members.expect_join("g", member)
    first = timers.deadline((JOIN, "g", "m"))
    clock.advance(1)
    members.expect_join("g", member)
    assert timers.deadline((JOIN, "g", "m")) == first
    members.joined("g", "m")
    assert timers.deadline((JOIN, "g", "m")) is None


def test_all_of_them_go() -> None:
    _, timers, members = made()
    members.restart_session("g", "m", 1)
    members.expect_sync("g", "m", 1)
    assert timers.deadline((SYNC, "g", "m")) is not None
    members.synced("g", "m")
    assert timers.deadline((SYNC, "g", "m")) is None
    members.expect_join("g", ConsumerMember("m", rebalance_timeout_ms=1))
    members.forget("g", "m")
    assert not len(timers)
    assert timers.deadline((SESSION, "g", "m")) is None
