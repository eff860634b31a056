"""Tells the parts of a broker of new images without holding the event loop. (The thread of Kafka's MetadataLoader)"""

import trio

from pykbroker.clock import Clock
from pykbroker.metadata.publisher import MetadataPublisher

# So long are steps taken, in seconds, before others have their turn: thousands of partitions take seconds.
PIECE = 0.01


class PublisherLoop:
    """What takes less than a piece is done when publish() returns; the rest by the task."""

    def __init__(self, publisher: MetadataPublisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock
        self._backlog = trio.Event()
        self._settled = trio.Event()
        self._settled.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        self._publisher.drive = self._drive
        task_status.started()
        while True:
            await self._backlog.wait()
            while not self._take_piece():
                await trio.lowlevel.checkpoint()
            self._backlog = trio.Event()
            self._settled.set()

    async def settled(self) -> None:
        """Returns when everybody knows the newest image."""
        await self._settled.wait()

    def _drive(self) -> None:
        """Behind a backlog there is nothing to hurry."""
        if not self._backlog.is_set() and not self._take_piece():
            self._settled = trio.Event()
            self._backlog.set()

    def _take_piece(self) -> bool:
        """Whether nothing is left."""
        publisher, now = self._publisher, self._clock.monotonic
        end = now() + PIECE
        while publisher.step():
            if now() >= end:
                return publisher.is_settled
        return True
