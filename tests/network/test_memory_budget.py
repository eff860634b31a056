"""MemoryBudget: bounded, fair, and never stuck."""

from pykbroker.network.buffer_pool import SMALL
from pykbroker.network.memory_budget import PATIENCE, Claim, MemoryBudget


class Waiter:
    def __init__(self) -> None:
        self.woken = 0
        self.claim = Claim(self.wake)

    def wake(self) -> None:
        self.woken += 1


def test_gives_until_the_limit_then_queues() -> None:
    budget = MemoryBudget(100)
    a, b, c, d = Waiter(), Waiter(), Waiter(), Waiter()
    assert budget.take(a.claim, 60, 0.0)
    assert budget.take(b.claim, 40, 0.0)
    assert budget.take(c.claim, 50, 0.0)  # the first in the queue may overdraw
    assert not budget.take(d.claim, 10, 0.0)  # but only one
    assert (budget.used, budget.waiting) == (150, 1)
    budget.release(a.claim, 1.0)
    assert d.woken == 1
    assert (budget.used, budget.waiting) == (100, 0)
    budget.release(b.claim, 1.0)
    budget.release(c.claim, 1.0)
    budget.release(d.claim, 1.0)
    assert budget.used == 0


def test_nobody_overtakes() -> None:
    budget = MemoryBudget(100)
    holder, overdrawer, large, small = Waiter(), Waiter(), Waiter(), Waiter()
    budget.take(holder.claim, 90, 0.0)
    budget.take(overdrawer.claim, 90, 0.0)
    assert not budget.take(large.claim, 50, 0.0)
    assert not budget.take(small.claim, 1, 0.0)
    budget.release(holder.claim, 0.0)
    assert (large.woken, small.woken) == (0, 0)
    budget.release(overdrawer.claim, 0.0)
    assert (large.woken, small.woken) == (1, 1)


def test_frames_that_all_grow_end_one_by_one() -> None:
    """Hold and wait without deadlock: ten frames of 100, each already holding 25 of a budget of 200."""
    budget = MemoryBudget(200)
    waiters = [Waiter() for _ in range(10)]
    for waiter in waiters:
        budget.hold(waiter.claim, 25, 0.0)
    unfinished = {waiter for waiter in waiters if not budget.take(waiter.claim, 75, 0.0)}
    running = [waiter for waiter in waiters if waiter not in unfinished]
    assert len(running) == 1
    while running:
        waiter = running.pop()
        woken_before = {one for one in unfinished if one.woken}
        budget.release(waiter.claim, 0.0)
        running += [one for one in unfinished if one.woken and one not in woken_before]
        unfinished -= {one for one in unfinished if one.claim.held == 0 and one.woken}
    assert budget.used == 0
    assert budget.waiting == 0


def test_who_overdraws_goes_on_although_others_queue() -> None:
    budget = MemoryBudget(100)
    a, b, c = Waiter(), Waiter(), Waiter()
    assert budget.take(a.claim, 90, 0.0)
    assert budget.take(b.claim, 20, 0.0)
    assert not budget.take(c.claim, 20, 0.0)
    assert not budget.take(a.claim, 20, 0.0)
    assert budget.take(b.claim, 1000, 0.0)


def test_leaving_the_queue() -> None:
    budget = MemoryBudget(10)
    a, b, c, d = Waiter(), Waiter(), Waiter(), Waiter()
    budget.take(a.claim, 10, 0.0)
    budget.take(b.claim, 10, 0.0)
    budget.take(c.claim, 30, 0.0)
    budget.take(d.claim, 5, 0.0)
    budget.release(c.claim, 0.0)
    assert budget.waiting == 1
    budget.release(d.claim, 0.0)
    assert budget.waiting == 0
    assert budget.used == 20


def test_hold_counts_what_is_there_and_never_waits() -> None:
    budget = MemoryBudget(10)
    a = Waiter()
    budget.hold(a.claim, 1000, 0.0)
    assert budget.used == 1000
    assert not budget.has_room(1)
    budget.hold(a.claim, 4, 0.0)
    assert budget.used == 4
    budget.hold(a.claim, 0, 0.0)
    assert budget.used == 0


def test_the_oldest_large_frame_is_given_up_when_others_wait_too_long() -> None:
    budget = MemoryBudget(SMALL * 4)
    tiny, old, young, waiting = Waiter(), Waiter(), Waiter(), Waiter()
    budget.hold(tiny.claim, 100, 0.0)
    budget.take(old.claim, SMALL * 3, 1.0)
    budget.take(young.claim, SMALL * 2, 2.0)
    assert budget.to_close(100.0) is None
    assert not budget.take(waiting.claim, SMALL * 3, 100.0)
    assert budget.to_close(100.0 + PATIENCE - 1) is None
    assert budget.to_close(100.0 + PATIENCE) is old.claim
    budget.release(old.claim, 110.0)
    budget.release(young.claim, 110.0)
    assert waiting.woken == 1
    assert budget.to_close(200.0) is None
