"""The sockets of an observer: asks one controller after the other, publishes what came, snapshots in a thread."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import trio

from pykbroker.errors import KafkaError, MalformedFrame, NodeUnreachable
from pykbroker.metadata.delta import ReplayError
from pykbroker.protocol.apis import API_TABLE
from pykbroker.raft.metadata_loader import MetadataLoader
from pykbroker.raft.observer import Address, Observer, RaftRequest, WrongCluster
from pykbroker.raft.observer_log import MetadataLost
from pykbroker.raft.snapshot import SnapshotId
from pykbroker.raft.snapshot_generator import SnapshotGenerator

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.protocol.message import Message
    from pykbroker.request import Connect, NodeChannel

# What an observer cannot go on with: the errors of its own log among them.
FATAL = (WrongCluster, MetadataLost, ReplayError, MalformedFrame, KafkaError, OSError)


class ObserverLoop:
    """`versions`: which APIs the controller asked last has in which versions; None before the first."""

    def __init__(
        self,
        observer: Observer,
        loader: MetadataLoader,
        snapshots: SnapshotGenerator,
        connect: "Connect",
        clock: "Clock",
        client_id: str,
    ) -> None:
        self.versions: Mapping[int, tuple[int, int]] | None = None
        self._observer = observer
        self._loader = loader
        self._snapshots = snapshots
        self._connect = connect
        self._clock = clock
        self._client_id = client_id
        self._where: Address | None = None
        self._channel: NodeChannel | None = None
        self._is_snapshotting = False
        self._failure: Exception | None = None

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Started once all that the quorum has committed is published. Raises one of FATAL."""
        self._failure = None
        try:
            async with trio.open_nursery() as nursery:
                try:
                    await self._follow(nursery, task_status)
                except FATAL as error:
                    self._fail(error, nursery)
        finally:
            if self._channel is not None:
                self._channel.close()
        if self._failure is not None:  # as it is, not in a group of one
            raise self._failure

    def _fail(self, error: Exception, nursery: trio.Nursery) -> None:
        self._failure = error
        nursery.cancel_scope.cancel()

    async def _follow(self, nursery: trio.Nursery, task_status: trio.TaskStatus[None]) -> None:
        is_started = False
        while True:
            await self._ask_once()
            if self._loader.catch_up():
                self._snapshots.published()
            if not is_started and self._observer.is_accepted and self._loader.is_current:
                is_started = True
                task_status.started()
            self._maybe_snapshot(nursery)

    async def _ask_once(self) -> None:
        pause = self._observer.next_deadline() - self._clock.monotonic()
        if pause > 0:
            await trio.sleep(pause)
        request = self._observer.next_request(self._clock.monotonic())
        if request is None:
            return
        try:
            response = await self._send(request)
        except (NodeUnreachable, MalformedFrame) as error:
            self._observer.on_error(str(error), self._clock.monotonic())
        else:
            self._observer.on_response(request, response, self._clock.monotonic())

    async def _send(self, request: RaftRequest) -> "Message":
        channel = self._channel_to(request.where)
        self.versions = await channel.api_versions(timeout=request.timeout)
        low, high = self.versions.get(request.api_key, (0, -1))
        own = API_TABLE[request.api_key]
        version = min(own.max_version, high)
        if version < max(own.min_version, low):
            raise NodeUnreachable(
                f"{request.where[0]}:{request.where[1]} has no version of {own.name} that this node has: it offers "
                f"{low} to {high}. Is it a Kafka controller (its controller listener)?"
            )
        return await channel.send(request.api_key, version, request.message, timeout=request.timeout)

    def _channel_to(self, where: Address) -> "NodeChannel":
        if self._channel is None or where != self._where:
            if self._channel is not None:
                self._channel.close()
            self._where, self._channel = where, self._connect(where, self._client_id)
        return self._channel

    def _maybe_snapshot(self, nursery: trio.Nursery) -> None:
        if not self._is_snapshotting and self._snapshots.is_due():
            self._is_snapshotting = True
            nursery.start_soon(self._snapshot, self._snapshots.job(), nursery, name="metadata snapshot")

    async def _snapshot(self, job: Callable[[], SnapshotId], nursery: trio.Nursery) -> None:
        try:
            self._snapshots.done(await trio.to_thread.run_sync(job))
        except FATAL as error:
            self._fail(error, nursery)
        self._is_snapshotting = False
