"""The tasks of the share partitions: locks that run out, and what is asked of the persister, a task each."""

import trio

from pykbroker.clock import Clock
from pykbroker.share.share_partition_manager import Job, SharePartitionManager


class ShareLoop:
    """run() until cancelled."""

    def __init__(self, manager: SharePartitionManager, clock: Clock) -> None:
        self._manager = manager
        self._clock = clock
        self._wakeup = trio.Event()
        manager.on_work = self._wake

    def _wake(self) -> None:
        self._wakeup.set()

    async def run(self) -> None:
        manager = self._manager
        async with trio.open_nursery() as nursery:
            while True:
                self._wakeup = trio.Event()
                while manager.jobs:
                    nursery.start_soon(_run, manager.jobs.popleft(), name="share partition state")
                with trio.move_on_after(max(manager.deadline - self._clock.monotonic(), 0)):
                    await self._wakeup.wait()
                if manager.deadline <= self._clock.monotonic():
                    manager.on_deadline()


async def _run(job: Job) -> None:
    await job()
