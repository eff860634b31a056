"""Readiness of many connections by one epoll of our own: waiting costs no system call and wakes come in bunches.

Each socket is registered once, edge-triggered, where trio arms it anew for every wait. Only for reading, which is what
connections do all day; writers wait by trio. Without epoll (not Linux) there is no such poller.
"""

import select
from typing import Any

import outcome
import trio

_EVENTS = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET if hasattr(select, "epoll") else 0
_ENDED = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR if _EVENTS else 0
_BUNCH = 256  # wakes between two looks at everything else


def make_poller() -> "ReadyPoller | None":
    """None where the system has no epoll."""
    return ReadyPoller() if _EVENTS else None


class ReadyPoller:
    """Sockets are added once and forgotten before they are closed; run() is one task of the server, close() its end."""

    __slots__ = ("_ended", "_epoll", "_ready", "_waiting")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._waiting: dict[int, trio.lowlevel.Task] = {}
        # Woken while nobody waited: who waits next looks again.
        self._ready: set[int] = set()
        # Told once, but bytes may come before it: whoever waits looks again until the end is read.
        self._ended: set[int] = set()

    def add(self, fd: int) -> None:
        """Raises OSError."""
        self._epoll.register(fd, _EVENTS)

    def wake(self, fd: int) -> None:
        """Whoever waits gets trio.ClosedResourceError."""
        task = self._waiting.pop(fd, None)
        if task is not None:
            trio.lowlevel.reschedule(task, outcome.Error(trio.ClosedResourceError("another task closed this socket")))

    def forget(self, fd: int) -> None:
        """The socket is about to be closed: its number may soon be another's."""
        self.wake(fd)
        self._ready.discard(fd)
        self._ended.discard(fd)
        self._epoll.unregister(fd)

    async def wait_readable(self, fd: int) -> None:
        """Returns when bytes or the end have come since the socket was read empty; one task per socket.

        Always a checkpoint. Raises trio.ClosedResourceError after wake() and forget().
        """
        if fd in self._ready or fd in self._ended:
            self._ready.discard(fd)
            await trio.lowlevel.checkpoint()
            return
        self._waiting[fd] = trio.lowlevel.current_task()

        def abort(_: Any) -> trio.lowlevel.Abort:
            del self._waiting[fd]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    async def run(self) -> None:
        """Until cancelled."""
        poll, waiting, ready, reschedule = self._epoll.poll, self._waiting, self._ready, trio.lowlevel.reschedule
        ended, own = self._ended, self._epoll.fileno()
        while True:
            await trio.lowlevel.wait_readable(own)
            for fd, events in poll(0, _BUNCH):
                task = waiting.pop(fd, None)
                if task is not None:
                    reschedule(task)
                if events & _ENDED:
                    ended.add(fd)
                elif task is None:
                    ready.add(fd)

    def close(self) -> None:
        """When run() and all who waited have ended."""
        self._epoll.close()
