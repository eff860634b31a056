"""Once a second over all connections: who is idle, who has gone while its request waits, who blocks the memory.

One sweep instead of a timer per connection or request. Kafka: connections.max.idle.ms (Selector.IdleExpiryManager).
"""

import select
from collections.abc import Iterable

import trio

from pykbroker.network.connection import READING, WAITING, WRITING, Connection, SharedState

INTERVAL = 1.0  # seconds
STALL = 0.25  # seconds that the sweep may come late before that is reported
_HANG_UP = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


class Sweep:
    """`connections` is the live set that listeners keep."""

    def __init__(self, connections: Iterable[Connection], shared: SharedState, max_idle: float | None) -> None:
        """`max_idle` in seconds; None: connections may be idle for ever."""
        self._connections = connections
        self._shared = shared
        self._max_idle = max_idle

    async def run(self) -> None:
        clock = self._shared.clock
        while True:
            due = clock.monotonic() + INTERVAL
            await trio.sleep(INTERVAL)
            now = clock.monotonic()
            if now - due > STALL and self._shared.on_slow is not None:
                self._shared.on_slow("the event loop", now - due)
            self.once(now)

    def once(self, now: float) -> None:
        connections = list(self._connections)
        self._close_idle(connections, now)
        self._close_gone([one for one in connections if one.state == WAITING and now - one.last_active >= INTERVAL])
        culprit = self._shared.budget.to_close(now)
        for connection in connections:
            if connection.claim is culprit and culprit is not None:
                connection.close("its incomplete request holds memory that others wait for")
        self._shared.pool.trim()

    def _close_idle(self, connections: list[Connection], now: float) -> None:
        if self._max_idle is None:
            return
        for connection in connections:
            if connection.state in (READING, WRITING) and now - connection.last_active >= self._max_idle:
                connection.close("idle for longer than connections.max.idle.ms")

    def _close_gone(self, waiting: list[Connection]) -> None:
        """A client that hung up must not keep its long poll or rebalance waiting."""
        if not waiting:
            return
        poll = select.poll()
        by_fd = {connection.fileno(): connection for connection in waiting}
        for fd in by_fd:
            poll.register(fd, _HANG_UP)
        for fd, _ in poll.poll(0):
            by_fd[fd].close("the client hung up while its request waited")
