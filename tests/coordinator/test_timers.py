"""Deadlines that are put off all the time, with bounded memory."""

from math import inf

from pykbroker.coordinator.timers import Timers


def due(timers: Timers, now: float) -> list[object]:
    keys = []
    while (key := timers.pop_due(now)) is not None:
        keys.append(key)
    return keys


def test_keys_come_in_the_order_of_their_deadlines() -> None:
    timers = Timers()
    for key, deadline in (("b", 2.0), ("a", 1.0), ("c", 3.0)):
        timers.schedule(key, deadline)
    assert timers.next_deadline() == 1.0
    assert due(timers, 0.9) == []
    assert due(timers, 2.0) == ["a", "b"]
    assert (len(timers), timers.next_deadline()) == (1, 3.0)


def test_put_off() -> None:
    timers = Timers()
    timers.schedule("a", 1.0)
    timers.schedule("a", 5.0)
    assert timers.next_deadline() <= 5.0
    assert due(timers, 1.0) == []
    assert timers.next_deadline() == 5.0
    assert due(timers, 5.0) == ["a"]
    assert timers.next_deadline() == inf


def test_brought_forward() -> None:
    timers = Timers()
    timers.schedule("a", 5.0)
    timers.schedule("a", 1.0)
    assert timers.deadline("a") == 1.0
    assert due(timers, 1.0) == ["a"]
    assert due(timers, 9.0) == []


def test_cancelled_keys_never_come() -> None:
    timers = Timers()
    timers.schedule("a", 1.0)
    timers.cancel("a")
    timers.cancel("b")
    assert due(timers, 2.0) == []
    timers.schedule("a", 3.0)
    assert due(timers, 3.0) == ["a"]


def test_scheduled_again_after_cancellation_before_the_old_entry_came_up() -> None:
    timers = Timers()
    timers.schedule("a", 1.0)
    timers.cancel("a")
    timers.schedule("a", 4.0)
    assert due(timers, 2.0) == []
    assert due(timers, 4.0) == ["a"]


def test_absurd_timeouts_that_are_cancelled_take_no_memory() -> None:
    timers = Timers()
    for number in range(10_000):
        timers.schedule(number, 1e9)
        timers.cancel(number)
    assert len(timers) == 0
    assert len(timers._heap) < 100


def test_deadlines_brought_forward_for_ever_take_no_memory() -> None:
    timers = Timers()
    for number in range(10_000):
        timers.schedule("a", 1e9 - number)
    assert len(timers._heap) < 100
    assert due(timers, 1e9) == ["a"]
