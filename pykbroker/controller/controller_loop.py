"""The controller's clockwork: fsync in a thread, then publish and answer; fence on deadline; snapshots.

Kafka: the event queue of QuorumController, SnapshotGenerator.
"""

import trio

from pykbroker.controller.controller import Controller

# At least this long between two looks at the deadlines: a deadline is never missed by more, and nothing spins.
MINIMUM_PAUSE = 0.01
# Who looks at a deadline so much later was held up, and whoever reads heartbeats too: they get so many turns to do so.
LATE = 0.2
TURNS = 20


class ControllerLoop:
    """Requests are decided and appended by their callers at once; this loop makes them count.

    While an fsync runs, later requests gather; the next fsync serves them all. A snapshot holds up nobody.
    There are no NoOpRecords every metadata.max.idle.interval.ms: they move the watermark of voters that are not here.
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._wake = trio.Event()
        self._is_snapshotting = False

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Runs until cancelled. An OSError of the metadata log ends it: the node must stop."""
        self._controller.on_write = self._on_write
        task_status.started()
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    await self._wait()
                    if self._controller.has_writes:
                        await self._commit()
                    await self._on_deadline()
                    self._maybe_snapshot(nursery)
        finally:
            self._controller.on_write = None

    def _on_write(self) -> None:
        self._wake.set()

    async def _wait(self) -> None:
        if not self._controller.has_writes:
            self._wake = trio.Event()
            pause = self._controller.next_deadline() - self._controller.clock.monotonic()
            with trio.move_on_after(max(pause, MINIMUM_PAUSE)):
                await self._wake.wait()

    async def _commit(self) -> None:
        offset = await trio.to_thread.run_sync(self._controller.sync_job())
        self._controller.commit(offset)

    async def _on_deadline(self) -> None:
        clock = self._controller.clock
        if clock.monotonic() - self._controller.next_deadline() > LATE:
            for _ in range(TURNS):
                await trio.lowlevel.checkpoint()
        now = clock.monotonic()
        if now >= self._controller.next_deadline():
            self._controller.on_deadline(now)

    def _maybe_snapshot(self, nursery: trio.Nursery) -> None:
        if not self._is_snapshotting and self._controller.is_snapshot_due(self._controller.clock.monotonic()):
            self._is_snapshotting = True
            nursery.start_soon(self._snapshot, name="metadata snapshot")

    async def _snapshot(self) -> None:
        snapshot_id = await trio.to_thread.run_sync(self._controller.snapshot_job())
        self._controller.snapshot_done(snapshot_id)
        self._is_snapshotting = False
