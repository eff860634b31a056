"""Controller: one request at a time is decided, replayed, appended, made durable, published, answered.

Kafka: QuorumController.
"""

import os
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from logging import getLogger
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pykbroker.clock import Clock
from pykbroker.controller import activation
from pykbroker.controller.broker_heartbeats import BrokerHeartbeats
from pykbroker.controller.cluster_control import ClusterControl
from pykbroker.controller.periodic_elections import PeriodicElections
from pykbroker.controller.result import MAX_RECORDS_PER_USER_OP, ControllerResult
from pykbroker.ids import ZERO_UUID, Endpoint, Uuid
from pykbroker.metadata.delta import MetadataDelta, full_delta
from pykbroker.metadata.features import SUPPORTED_FEATURES, allows_controller_registration, record_version
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.publisher import MetadataPublisher
from pykbroker.pending import Pending
from pykbroker.raft.formatting import read_bootstrap
from pykbroker.raft.image_snapshot import snapshot_job
from pykbroker.raft.leader_state import LeaderState
from pykbroker.raft.metadata_log import MetadataLog
from pykbroker.raft.single_voter import become_leader, first_voters
from pykbroker.raft.snapshot import SnapshotId

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.controller_apis import ControllerDispatcher
    from pykbroker.protocol.message import Message

T = TypeVar("T")
logger = getLogger(__name__)


class _Write(NamedTuple):
    """Decided, appended and replayed, but not yet known to be durable. `delta` None: a decision without records."""

    end_offset: int
    delta: MetadataDelta | None
    image: MetadataImage
    pending: Pending[Any] | None
    response: object


class QuorumStatus(NamedTuple):
    """What DescribeQuorum tells. `directory_id`: of the only voter, zero where voters are static."""

    leader_id: int
    leader_epoch: int
    high_watermark: int
    log_end_offset: int
    kraft_version: int
    directory_id: Uuid
    endpoints: tuple[Endpoint, ...]


class Controller:
    """The embedded controller: leader of a quorum of one. Knows files through MetadataLog, no sockets and no trio.

    image: the newest one, with what is not yet durable; the publisher follows it. heartbeats: sessions of brokers.
    on_write: called when something waits to be made durable; ControllerLoop sets it. Without it everything is made
    durable at once. leader_state: what other nodes see of it; dispatcher: for what they forward.
    """

    def __init__(
        self,
        *,
        node_id: int,
        cluster_id: str,
        config: "BrokerConfig",
        clock: Clock,
        log: MetadataLog,
        publisher: MetadataPublisher,
        directory_id: Uuid = ZERO_UUID,
        endpoints: Sequence[Endpoint] = (),
        advertised: Mapping[str, tuple[str, int]] = MappingProxyType({}),
        incarnation_id: Uuid | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """`directory_id`: of the metadata log directory. `endpoints`: of the controller's listeners, if any;
        `advertised`: host and port by listener, where they are configured."""
        self.node_id = node_id
        self.config = config
        self.clock = clock
        self.rng = rng or random.Random()
        self.image = MetadataImage.empty(cluster_id)
        self.heartbeats = BrokerHeartbeats(config.broker_session_timeout_ms / 1000)
        self.on_write: Callable[[], None] | None = None
        self.leader_state = LeaderState(log, node_id, cluster_id, advertised)
        self.dispatcher: ControllerDispatcher
        self._elections = PeriodicElections(config, clock.monotonic())
        self._own_broker = node_id if "broker" in config.process_roles else None
        self._log = log
        self._publisher = publisher
        self._directory_id = directory_id
        self._endpoints = endpoints
        self._incarnation_id = incarnation_id or Uuid.random()
        self._writes: deque[_Write] = deque()
        self._snapshot_offset = -1
        self._changed_at: float | None = None
        self._registered_at: dict[int, int] = {}
        self._loaded_offset = -1

    # Start and stop

    def start(self) -> None:
        """Loads the log, leads a new epoch, writes what a new leader has to, publishes the image. Synchronous.

        Raises NotTheOnlyVoter, QuorumStateError, ReplayError, MalformedFrame, KafkaError, OSError.
        """
        delta = MetadataDelta(self.image)
        offset, epoch = self._load(delta)
        become_leader(self._log, self.node_id, epoch, self._endpoints)
        if delta.in_transaction:
            aborted = activation.abort_transaction()
            delta.replay(aborted)
            offset, epoch = self._log.append([aborted], lambda _record: 0), self._log.epoch
        self.image = delta.apply(offset, epoch)
        self._loaded_offset = offset
        if not self.image.features.metadata_version:
            features = read_bootstrap(os.path.dirname(os.path.abspath(self._log.directory)))
            self._write(activation.bootstrap_records(features, self.config.min_insync_replicas))
        if allows_controller_registration(self.image.features.metadata_version):
            registration = activation.controller_registration(
                self.node_id, self._incarnation_id, self._endpoints, SUPPORTED_FEATURES
            )
            self._write([registration])
        self._log.sync()
        self._writes.clear()
        for broker in self.image.brokers.values():
            if not broker.fenced and broker.id != self._own_broker:
                self.heartbeats.adopt(broker.id, broker.epoch, self.clock.monotonic())
        self._publisher.publish(full_delta(self.image), self.image)

    def _load(self, delta: MetadataDelta) -> tuple[int, int]:
        offset, epoch = -1, -1
        for batch in self._log.load():
            for record in batch.records:
                delta.replay(record)
            offset, epoch = batch.last_offset, batch.epoch
        newest = self._log.latest_snapshot()
        self._snapshot_offset = newest.end_offset - 1 if newest is not None else -1
        return offset, epoch

    def close(self) -> None:
        """Makes everything durable, answers who waits, closes the log; who followed the image is closed already."""
        self._log.sync()
        self.leader_state.close()
        for write in self._writes:
            if write.pending is not None:
                write.pending.try_complete(write.response)
        self._writes.clear()
        self._log.close()

    # Requests

    async def execute(self, decide: Callable[[MetadataImage], ControllerResult[T]]) -> T:
        """The response of decide(newest image), once its records are durable and published. Raises as decide does."""
        return await self.submit(decide).wait()

    def submit(self, decide: Callable[[MetadataImage], ControllerResult[T]]) -> Pending[T]:
        """As execute(), for a caller that awaits later. A decision that raises has no effect."""
        result = decide(self.image)
        pending: Pending[T] = Pending()
        if result.records:
            self._write(result.records, pending, result.response)
            self._changed()
        elif self._writes:
            # It was decided on an image that may still be lost, so it waits too.
            self._writes.append(_Write(self._log.end_offset, None, self.image, pending, result.response))
        else:
            pending.complete(result.response)
        return pending

    @property
    def next_offset(self) -> int:
        """The offset that the next record will get: the epoch of a broker registered by it."""
        return self._log.end_offset

    @property
    def published_image(self) -> MetadataImage:
        """The newest one of which all is durable."""
        return self._publisher.newest

    @property
    def cluster(self) -> ClusterControl:
        """Decisions about brokers on the newest image."""
        return ClusterControl(self.image, self.config)

    @property
    def quorum(self) -> QuorumStatus:
        """The quorum of one that this controller leads."""
        log, endpoints = self._log, tuple(self._endpoints)
        directory_id = self._directory_id if log.quorum.kraft_version else ZERO_UUID
        return QuorumStatus(
            self.node_id,
            log.epoch,
            log.high_watermark,
            log.end_offset,
            log.quorum.kraft_version,
            directory_id,
            endpoints,
        )

    def upgrade_quorum(self, kraft_version: int) -> None:
        """To a dynamic one, whose only voter is known by its endpoints. Records must follow in the same decision: who
        asked for it waits for them."""
        self._log.upgrade_quorum(kraft_version, first_voters(self.node_id, self._directory_id, self._endpoints))

    def registered(self, broker_id: int, offset: int) -> None:
        """`offset` is that of its RegisterBrokerRecord."""
        self._registered_at[broker_id] = offset

    def registration_offset(self, broker_id: int) -> int:
        """How far a broker must have replayed to be unfenced: its registration, or what was there at our start."""
        return self._registered_at.get(broker_id, self._loaded_offset)

    def _write(
        self, records: "Sequence[Message]", pending: Pending[Any] | None = None, response: object = None
    ) -> None:
        """Replays before it appends: a record that does not fit must never reach the log."""
        for start in range(0, len(records), MAX_RECORDS_PER_USER_OP):
            part = records[start : start + MAX_RECORDS_PER_USER_OP]
            is_last = start + len(part) == len(records)
            delta = MetadataDelta(self.image)
            for record in part:
                delta.replay(record)
            offset = self._log.append(part, self._version_of(part))
            self.image = delta.apply(offset, self._log.epoch)
            waiting = pending if is_last else None
            self._writes.append(_Write(offset + 1, delta, self.image, waiting, response))

    def _version_of(self, records: "Sequence[Message]") -> "Callable[[Message], int]":
        level = self.image.features.metadata_version
        for record in records:
            if type(record).__name__ == "FeatureLevelRecord" and getattr(record, "name", "") == "metadata.version":
                level = getattr(record, "feature_level", level)
        return lambda record: record_version(record, level)

    def _changed(self) -> None:
        if self._changed_at is None:
            self._changed_at = self.clock.monotonic()
        if self.on_write is None:
            self.commit(self._log.sync())
        else:
            self.on_write()

    # Durability

    @property
    def has_writes(self) -> bool:
        """Whether something waits to be made durable."""
        return bool(self._writes)

    def sync_job(self) -> Callable[[], int]:
        """A function for a thread: makes durable what was appended until now and returns the offset for commit()."""
        return self._log.sync_job()

    def commit(self, offset: int) -> None:
        """Everything below `offset` is durable: publishes and answers it, in order."""
        self._log.advance_high_watermark(offset)
        while self._writes and self._writes[0].end_offset <= offset:
            write = self._writes.popleft()
            if write.delta is not None:
                self._publisher.publish(write.delta, write.image)
            if write.pending is not None:
                write.pending.try_complete(write.response)
        self.leader_state.committed()

    # Time

    def next_deadline(self) -> float:
        """When on_deadline() has something to do, in clock.monotonic seconds; infinity when nothing is due."""
        deadline = self.heartbeats.next_deadline(self._watched())
        if len(self.image.brokers) > 1:  # alone a broker leads what it can, and the node sleeps
            deadline = min(deadline, self._elections.next_deadline())
        return min(deadline, self._snapshot_deadline())

    def on_deadline(self, now: float) -> None:
        """Fences brokers that were not heard, one at a time, so that each sees the effect of the one before. Elects."""
        for broker_id in self.heartbeats.expired(self._watched(), now):
            logger.info("Fencing broker %d: it was not heard for its whole session", broker_id)
            self.submit(partial(self._fence, broker_id))
            self.heartbeats.remove(broker_id)
        for decide in self._elections.due(now):
            self.submit(decide)

    def broker_died(self, broker_id: int) -> None:
        """Whoever has seen its process end need not wait for the end of its session, and nor need its successor."""
        self.heartbeats.remove(broker_id)
        if broker_id in self._watched():
            logger.info("Fencing broker %d: its process has ended", broker_id)
            self.submit(partial(self._fence, broker_id))

    def _fence(self, broker_id: int, image: MetadataImage) -> ControllerResult[None]:
        return ControllerResult(self.cluster.fence(image.brokers[broker_id]), None)

    def _watched(self) -> list[int]:
        """Unfenced brokers; not our own: it shares our event loop, so its silence would be ours."""
        return [b.id for b in self.image.brokers.values() if not b.fenced and b.id != self._own_broker]

    # Snapshots

    def _snapshot_deadline(self) -> float:
        interval = self.config.metadata_log_max_snapshot_interval_ms
        if self._changed_at is None or not interval:
            return float("inf")
        return self._changed_at + interval / 1000

    def is_snapshot_due(self, now: float) -> bool:
        """By time since the first change after the last one, or by bytes written (SnapshotGenerator)."""
        if self._publisher.newest.offset <= self._snapshot_offset:
            return False
        limit = self.config.metadata_log_max_record_bytes_between_snapshots
        return self._log.bytes_since_snapshot >= limit or now >= self._snapshot_deadline()

    def snapshot_job(self) -> Callable[[], SnapshotId]:
        """A function for a thread: writes a snapshot of the published image. Then call snapshot_done()."""
        self._changed_at = None
        return snapshot_job(self._publisher.newest, self._log, self.clock.wall_ms())

    def snapshot_done(self, snapshot_id: SnapshotId) -> None:
        """Drops what the retention settings no longer keep."""
        self._snapshot_offset = snapshot_id.end_offset - 1
        self._log.snapshot_written(snapshot_id)
        self._log.trim(
            max_bytes=self.config.metadata_max_retention_bytes,
            max_ms=self.config.metadata_max_retention_ms,
            now_ms=self.clock.wall_ms(),
        )
