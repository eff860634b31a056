"""The controller's clockwork: fsync in a thread, then publish and answer; fence on deadline; snapshots.

Kafka: the event queue of QuorumController, SnapshotGenerator.
"""

import trio

from pykbroker.controller.controller import Controller

# At least this long between two looks at the deadlines: a deadline is never missed by more, and nothing spins.
MINIMUM_PAUSE = 0.01


class ControllerLoop:
    """One task. Requests are decided and appended by their callers at once; this loop makes them count.

    While an fsync runs, later requests gather; the next fsync serves them all.
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._wake = trio.Event()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Runs until cancelled. An OSError of the metadata log ends it: the node must stop."""
        controller = self._controller
        controller.on_write = self._on_write
        task_status.started()
        try:
            while True:
                await self._wait()
                if controller.has_writes:
                    await self._commit()
                self._on_deadline()
                if controller.is_snapshot_due(controller.clock.monotonic()):
                    await self._snapshot()
        finally:
            controller.on_write = None

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

    def _on_deadline(self) -> None:
        now = self._controller.clock.monotonic()
        if now >= self._controller.next_deadline():
            self._controller.on_deadline(now)

    async def _snapshot(self) -> None:
        snapshot_id = await trio.to_thread.run_sync(self._controller.snapshot_job())
        self._controller.snapshot_done(snapshot_id)
