"""Pending[T]: the one awaitable that a sans-I/O core may complete; and how handlers leave the loop to others. Knows
trio, so that they need not."""

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, cast

import outcome
import trio

T = TypeVar("T")

# Rows that a handler makes between two pauses: a few milliseconds.
SLICE: Final = 1000
_WAITING = object()


class Pending(Generic[T]):
    """A result that somebody will have later: completed once, from the loop's thread, awaited by any number of tasks.

    Completing needs no running loop as long as nobody waits, so state machines are tested without trio.
    """

    __slots__ = ("_callbacks", "_error", "_tasks", "_value")

    def __init__(self) -> None:
        self._value: object = _WAITING
        self._error: BaseException | None = None
        self._tasks: list[trio.lowlevel.Task] | None = None
        self._callbacks: list[Callable[[Pending[T]], None]] | None = None

    @property
    def done(self) -> bool:
        return self._value is not _WAITING or self._error is not None

    def complete(self, value: T) -> None:
        """Raises RuntimeError when it is done already: completing twice is a bug; a race says try_complete."""
        if not self.try_complete(value):
            raise RuntimeError("Pending completed twice")

    def fail(self, error: BaseException) -> None:
        """Every waiter gets `error` raised. Raises RuntimeError when it is done already."""
        if not self.try_fail(error):
            raise RuntimeError("Pending completed twice") from error

    def try_complete(self, value: T) -> bool:
        """False, and no effect, when it is done already."""
        if self.done:
            return False
        self._value = value
        self._wake()
        return True

    def try_fail(self, error: BaseException) -> bool:
        """False, and no effect, when it is done already."""
        if self.done:
            return False
        self._error = error
        self._wake()
        return True

    def result(self) -> T:
        """The value, or the error raised. Raises RuntimeError when it is not done."""
        if self._error is not None:
            raise self._error
        if self._value is _WAITING:
            raise RuntimeError("Pending is not done")
        return cast(T, self._value)

    def add_callback(self, callback: Callable[["Pending[T]"], None]) -> None:
        """Calls callback(self) once when done, at once if it is done now; inside complete(), so it must not raise."""
        if self.done:
            callback(self)
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    async def wait(self) -> T:
        """The value, or the error raised; no checkpoint when it is done already."""
        if not self.done:
            await self._park()
        return self.result()

    async def wait_until(self, deadline: float) -> bool:
        """Waits for completion until `deadline` (seconds of the broker's clock.monotonic). False: timed out.

        Does not raise the error of fail(): ask result().
        """
        if not self.done:
            with trio.CancelScope(deadline=deadline):
                await self._park()
        return self.done

    async def _park(self) -> None:
        task = trio.lowlevel.current_task()
        if self._tasks is None:
            self._tasks = [task]
        else:
            self._tasks.append(task)

        def abort(_raise_cancel: Any) -> trio.lowlevel.Abort:
            if self._tasks is not None:
                self._tasks.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _wake(self) -> None:
        tasks, self._tasks = self._tasks, None
        callbacks, self._callbacks = self._callbacks, None
        for task in tasks or ():
            trio.lowlevel.reschedule(task, outcome.Value(None))
        for callback in callbacks or ():
            callback(self)


async def pause_after(count: int) -> None:
    """For who makes very many rows, after each of them, `count` so far: every SLICE rows all others have their turn.
    What is not the caller's own may be another afterwards."""
    if count % SLICE == 0:
        await trio.lowlevel.checkpoint()


async def in_thread(function: Callable[[], T]) -> T:
    """What takes long and touches nothing that others see: the loop goes on meanwhile."""
    return await trio.to_thread.run_sync(function)
