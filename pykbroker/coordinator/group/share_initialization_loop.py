"""New partitions of share groups, told to the persister beside the heartbeats that found them (KIP-932)."""

from collections import deque
from collections.abc import Awaitable, Callable

import trio

Job = Callable[[], Awaitable[None]]


class ShareInitializationLoop:
    """Each job in a task of its own: members need not wait, they are told of the partitions by a later heartbeat."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self._wakeup = trio.Event()

    def soon(self, job: Job) -> None:
        """`job` must not raise."""
        self._jobs.append(job)
        self._wakeup.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                await self._wakeup.wait()
                self._wakeup = trio.Event()
                while self._jobs:
                    nursery.start_soon(self._jobs.popleft())
