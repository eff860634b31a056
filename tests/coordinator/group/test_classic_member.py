"""A member of a classic group."""

from pykbroker.coordinator.group.classic_member import ClassicMember, heartbeat_timer


def member() -> ClassicMember:
    return ClassicMember("g", "m", None, "c", "/h", 1, 2, (("range", b"r"), ("sticky", b"s"), ("range", b"again")))


def test_what_it_said() -> None:
    assert member().metadata("range") == b"r"
    assert member().metadata("none") is None
    assert member().vote({"sticky"}) == "sticky"
    assert member().vote({"sticky", "range"}) == "range"
    assert not member().is_static


def test_who_waits_need_not_heartbeat() -> None:
    one = member()
    assert not one.has_satisfied_heartbeat
    one.awaiting_sync = []  # type: ignore[assignment]
    assert one.has_satisfied_heartbeat
    one.is_new = True
    assert not one.has_satisfied_heartbeat


def test_timers_are_those_of_group_and_member() -> None:
    assert member().timer == heartbeat_timer("g", "m") != heartbeat_timer("m", "g")
