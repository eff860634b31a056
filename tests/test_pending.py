"""Pending: completed once, awaited by many; and pauses of those who take long."""

import threading

import pytest
import trio
import trio.testing

from pykbroker.pending import SLICE, Pending, in_thread, pause_after


def test_completes_without_a_loop() -> None:
    pending: Pending[int] = Pending()
    seen: list[int] = []
    pending.add_callback(lambda done: seen.append(done.result()))
    assert not pending.done
    with pytest.raises(RuntimeError):
        pending.result()
    pending.complete(3)
    assert pending.done
    assert pending.result() == 3
    pending.add_callback(lambda done: seen.append(done.result() + 1))
    assert seen == [3, 4]


def test_completing_twice_is_refused() -> None:
    pending: Pending[int | None] = Pending()
    pending.complete(None)
    assert not pending.try_complete(1)
    assert not pending.try_fail(ValueError())
    with pytest.raises(RuntimeError):
        pending.complete(1)
    with pytest.raises(RuntimeError):
        pending.fail(ValueError("no"))
    assert pending.result() is None


async def test_wakes_every_waiter(autojump_clock: trio.testing.MockClock) -> None:
    pending: Pending[str] = Pending()
    seen: list[str] = []

    async def waiter() -> None:
        seen.append(await pending.wait())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiter)
        nursery.start_soon(waiter)
        await trio.testing.wait_all_tasks_blocked()
        pending.complete("x")
    assert seen == ["x", "x"]
    assert await pending.wait() == "x"


async def test_failure_is_raised_in_the_waiter() -> None:
    pending: Pending[str] = Pending()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.testing.wait_all_tasks_blocked)
        pending.fail(ValueError("gone"))
        with pytest.raises(ValueError, match="gone"):
            await pending.wait()


async def test_deadline(autojump_clock: trio.testing.MockClock) -> None:
    pending: Pending[str] = Pending()
    start = trio.current_time()
    assert not await pending.wait_until(start + 5)
    assert trio.current_time() == start + 5
    assert not await pending.wait_until(start)
    pending.complete("late")
    assert await pending.wait_until(start)


async def test_completed_before_the_deadline(autojump_clock: trio.testing.MockClock) -> None:
    pending: Pending[str] = Pending()

    async def complete_later() -> None:
        await trio.sleep(1)
        pending.complete("in time")

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(complete_later)
        assert await pending.wait_until(start + 5)
    assert trio.current_time() == start + 1


async def test_cancelled_waiter_leaves_no_trace(autojump_clock: trio.testing.MockClock) -> None:
    pending: Pending[str] = Pending()
    with trio.move_on_after(1):
        await pending.wait()
    pending.complete("nobody waits")
    assert pending.result() == "nobody waits"


# The loop is left to others


async def test_who_makes_many_rows_pauses_now_and_then() -> None:
    turns = 0

    async def another() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(another)
        for count in range(1, SLICE):
            await pause_after(count)
        assert turns == 0
        for count in range(SLICE, 3 * SLICE + 1):
            await pause_after(count)
        assert turns in (2, 3)  # trio's order within a turn is by chance
        nursery.cancel_scope.cancel()


async def test_the_loop_goes_on_beside_a_thread() -> None:
    done = threading.Event()

    async def another() -> None:
        done.set()

    def work() -> int:
        assert done.wait(10)
        return 3

    async with trio.open_nursery() as nursery:
        nursery.start_soon(another)
        assert await in_thread(work) == 3
