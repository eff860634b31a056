"""One process of a simulated broker: the real data side, joined to others by the network of the simulation.

What its loops do in a real broker is done here by events: registration and heartbeats, metadata, fetchers, ISR changes.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.errors import KafkaError
from pykbroker.handlers.broker.fetch import Fetch, error_response
from pykbroker.ids import TopicPartition, Uuid
from pykbroker.log.log_manager import LogManager
from pykbroker.metadata.delta import MetadataDelta, full_delta, replacement_delta
from pykbroker.metadata.features import SUPPORTED_FEATURES
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.fast_fetch_request import decode_fetch_request
from pykbroker.protocol.messages.alter_partition import AlterPartitionRequest
from pykbroker.protocol.messages.broker_heartbeat import BrokerHeartbeatRequest, BrokerHeartbeatResponse
from pykbroker.protocol.messages.broker_registration import (
    BrokerRegistrationRequest,
    BrokerRegistrationResponse,
    Feature,
    Listener,
)
from pykbroker.protocol.messages.fetch import FetchRequest, FetchResponse
from pykbroker.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from pykbroker.replica.delayed_fetch import DelayedFetch
from pykbroker.replica.delayed_produce import DelayedProduce
from pykbroker.replica.fetch_session import FetchSessionCache
from pykbroker.replica.fetcher import Fetcher, FetcherSettings
from pykbroker.replica.list_offsets import offset_for
from pykbroker.replica.partition import ACKS_ALL, Partition
from pykbroker.replica.replica_manager import ReplicaManager
from pykbroker.replica.replication import Replication, ReplicationSettings
from pykbroker.request import RequestContext
from tests.cluster.disk import Disk
from tests.cluster.quorum import CLUSTER_ID, CONTROLLER, Quorum
from tests.cluster.world import Connection, Network, NodeClock, Reply, World
from tests.replica.cluster import _bytes_of

if TYPE_CHECKING:
    from pykbroker.log.unified_log import UnifiedLog
    from pykbroker.protocol.message import Message
    from tests.cluster.ledger import Ledger

MAX_LAG = 3.0
HEARTBEAT = 1.0
SETTINGS = ReplicationSettings(
    max_lag=MAX_LAG, fetchers=FetcherSettings(wait_max_ms=1200, backoff=0.3, timeout=2.0), num_fetchers=1
)
CONFIG = BrokerConfig({})
FEATURES = [Feature(name, low, high) for name, (low, high) in SUPPORTED_FEATURES.items()]
STARTING, RUNNING, LEAVING, OVER = "starting", "running", "leaving", "over"


class WatchedLogs(LogManager):
    """Tells the ledger before anything is cut."""

    on_truncation: Callable[["UnifiedLog", int], None]

    def truncate_to(self, log: "UnifiedLog", offset: int) -> bool:
        self.on_truncation(log, offset)
        return super().truncate_to(log, offset)

    def truncate_fully_and_start_at(self, log: "UnifiedLog", offset: int) -> None:
        self.on_truncation(log, offset)
        super().truncate_fully_and_start_at(log, offset)


class Process:
    """From its start to its end. Implements what the fetch handler uses of Services."""

    def __init__(
        self,
        node_id: int,
        folder: Path,
        world: World,
        network: Network,
        quorum: Quorum,
        ledger: "Ledger",
        log_config: Any,
        find: "Callable[[int], Process | None]",
        disk: Disk | None = None,
    ) -> None:
        """`disk`: of the process before it, unless the power went."""
        self.node_id = node_id
        self.folder = folder
        self.world = world
        self.network = network
        self.quorum = quorum
        self.ledger = ledger
        self.log_config = log_config
        self.find = find
        self.phase = STARTING
        self.config = CONFIG
        self.clock = NodeClock(world, base=1000.0 * world.random.randint(1, 9))
        self.broker_epoch = -1
        self.image = MetadataImage.empty(CLUSTER_ID)
        self.on_gone: Callable[[], object] = _nobody
        self._cursor = 0
        self.on_alteration: Callable[[AlterPartitionRequest], object] = lambda _: None
        self._heartbeats = self._connection(CONTROLLER)
        self.metadata = self._connection(CONTROLLER)
        self.alterations = self._connection(CONTROLLER)
        self._timers: dict[object, float] = {}
        self.files = Disk(folder, world.random, disk)
        self.logs = WatchedLogs([str(folder / "data")], clock=self.clock, files=self.files)
        self.logs.on_truncation = lambda log, offset: ledger.truncates(self, log, offset)
        self.logs.open(node_id=node_id, cluster_id=CLUSTER_ID, new_cluster_id=lambda: CLUSTER_ID)
        self.previous_epoch = self.logs.previous_broker_epoch()
        self.replicas = ReplicaManager(
            node_id=node_id, logs=self.logs, clock=self.clock, config_for=lambda _: self.log_config
        )
        self.replicas.replication_settings = lambda: SETTINGS
        self.replicas.on_replication = self._begin_replication
        self.fetch_sessions = FetchSessionCache(1000, self.clock, seed=world.random.randrange(1 << 30))
        self._incarnation = Uuid.random()
        self._register()

    @property
    def is_alive(self) -> bool:
        return self.phase != OVER

    def _connection(self, target: int) -> Connection:
        return Connection(self.network, self.node_id, target)

    def as_long_as_alive(self, action: Callable[..., object]) -> Callable[..., None]:
        """`action`, as long as this process lives, and not while it is stopped."""
        return partial(self._if_alive, action)

    def _if_alive(self, action: Callable[..., object], *args: object) -> None:
        if self.phase == OVER:
            return
        stopped = self.network.stopped
        if stopped and stopped.get(self.node_id, 0.0) > self.world.now:
            self.world.after(stopped[self.node_id] - self.world.now, partial(self._if_alive, action, *args))
            return
        action(*args)

    def end(self) -> None:
        """The process is gone; what it has written is still in the files."""
        self.phase = OVER
        self.network.stopped.pop(self.node_id, None)
        self.logs.release()
        self.files.is_dead = True

    def sync(self) -> None:
        """All logs, and the checkpoint tells it."""
        for log in self.logs.all():
            log.flush()
        self.logs.checkpoint_recovery_points()

    def endpoint_for(self, ctx: RequestContext, node_id: int) -> tuple[str, int]:
        return f"broker-{node_id}", 9092

    # Life in the cluster

    def _call(self, channel: Connection, request: "Message", on_answer: Any, on_failure: Any) -> None:
        channel.request(
            lambda reply: self.quorum.serve(request, reply),
            self.as_long_as_alive(on_answer),
            self.as_long_as_alive(on_failure),
        )

    def _register(self) -> None:
        request = BrokerRegistrationRequest(
            broker_id=self.node_id,
            cluster_id=CLUSTER_ID,
            incarnation_id=self._incarnation,
            listeners=[Listener(name="PLAINTEXT", host=f"broker-{self.node_id}", port=9092)],
            features=FEATURES,
            log_dirs=self.logs.directory_ids,
            previous_broker_epoch=self.previous_epoch,
        )

        def again() -> None:
            self.world.after(0.4, self.as_long_as_alive(self._register))

        def answered(answer: BrokerRegistrationResponse | KafkaError) -> None:
            if isinstance(answer, KafkaError):
                assert answer.code == ErrorCode.DUPLICATE_BROKER_REGISTRATION, answer
                again()
                return
            self.broker_epoch = answer.broker_epoch
            self._poll()

        self._call(self._heartbeats, request, answered, again)

    def _poll(self) -> None:
        """Metadata from where this broker is."""
        cursor = self._cursor

        def serve(reply: Reply) -> bool:
            def answer() -> None:
                if len(self.quorum.history) > cursor:
                    reply(self.quorum.history[cursor:])
                else:
                    self.quorum.wait(answer)

            answer()
            return True

        def answered(changes: list[tuple[MetadataDelta, MetadataImage]]) -> None:
            if cursor == self._cursor:
                self._cursor += len(changes)
                self._publish(changes)
            self._poll()

        def failed() -> None:
            self.world.after(0.2, self.as_long_as_alive(self._poll))

        self.metadata.request(serve, self.as_long_as_alive(answered), self.as_long_as_alive(failed), 2.0)

    def _publish(self, changes: list[tuple[MetadataDelta, MetadataImage]]) -> None:
        """One by one, or at once as after a snapshot."""
        newest = changes[-1][1]
        if self.phase == STARTING:
            if newest.offset >= self.broker_epoch:
                self._load(newest)
            return
        if self.world.random.random() < 0.3:
            changes = [(replacement_delta(self.image, newest), newest)]
        for delta, image in changes:
            self.image = image
            for _ in self.replicas.on_metadata_update(delta, image):
                pass
            self._watch_partitions()

    def _load(self, image: MetadataImage) -> None:
        self.image = image
        self.logs.load(lambda _: self.log_config)
        self.phase = RUNNING
        self.ledger.loaded(self)
        for _ in self.replicas.on_metadata_update(full_delta(image), image):
            pass
        self._watch_partitions()
        self._heartbeat()

    def _watch_partitions(self) -> None:
        for partition in self.replicas:
            self.ledger.watch(self, partition)

    def _heartbeat(self) -> None:
        wants_to_leave = self.phase == LEAVING
        request = BrokerHeartbeatRequest(
            broker_id=self.node_id,
            broker_epoch=self.broker_epoch,
            current_metadata_offset=self.image.offset,
            want_shut_down=wants_to_leave,
        )

        def answered(answer: BrokerHeartbeatResponse | KafkaError) -> None:
            if isinstance(answer, BrokerHeartbeatResponse) and answer.should_shut_down:
                self._leave()
                return
            again()

        def again() -> None:
            pause = 0.1 if self.phase == LEAVING else HEARTBEAT
            self.world.after(pause, self.as_long_as_alive(self._heartbeat))

        self._call(self._heartbeats, request, answered, again)

    def begin_to_leave(self) -> None:
        """Controlled shutdown (KIP-841)."""
        if self.phase == RUNNING:
            self.phase = LEAVING
            self.replicas.begin_controlled_shutdown()

    def _leave(self) -> None:
        self.replicas.shut_down()
        self.logs.shutdown(self.broker_epoch)
        self.on_gone()

    # Replication

    def _begin_replication(self, replication: Replication) -> None:
        def start(fetcher: Fetcher) -> None:
            channel = self._connection(fetcher.leader_id)
            pump = self.as_long_as_alive(lambda: self._pump(fetcher, channel))
            fetcher.on_work = lambda: self.world.soon(pump)
            self.world.soon(pump)

        replication.fetchers.on_fetcher = start
        alter = self.as_long_as_alive(self._alter)
        replication.alterations.on_work = lambda: self.world.soon(alter)
        self.world.after(MAX_LAG / 2, self.as_long_as_alive(self._shrink))

    def _at(self, who: object, moment: float, action: Callable[[], object]) -> None:
        """One timer for each of `who`."""
        if moment == float("inf") or self._timers.get(who) == moment:
            return
        self._timers[who] = moment
        delay = max(moment - self.clock.monotonic(), 0) + 1e-6
        self.world.after(delay, self.as_long_as_alive(action))

    def _pump(self, fetcher: Fetcher, channel: Connection) -> None:
        asked = fetcher.next_request(self.clock.monotonic())
        if asked is None:
            when = fetcher.next_time(self.clock.monotonic())
            self._at(fetcher, when, lambda: self._pump(fetcher, channel))
            return
        request = asked.request
        body = bytes(request.encode(asked.version))

        def serve(reply: Reply) -> bool:
            leader = self.find(fetcher.leader_id)
            if leader is None:
                return False
            if isinstance(request, ListOffsetsRequest):
                reply(list_offsets(leader, request))
            else:
                leader.serve_fetch(body, asked.version, reply)
            return True

        def answered(answer: Any) -> None:
            if isinstance(answer, bytes):
                answer = FetchResponse.decode(answer, asked.version)[0]
            fetcher.on_response(answer, self.clock.monotonic())
            self._pump(fetcher, channel)

        def failed() -> None:
            fetcher.on_failure("broken", self.clock.monotonic())
            self._pump(fetcher, channel)

        channel.request(serve, self.as_long_as_alive(answered), self.as_long_as_alive(failed), asked.timeout)

    def _shrink(self) -> None:
        for partition in self.replicas:
            partition.shrink_isr()
        self.world.after(MAX_LAG / 2, self.as_long_as_alive(self._shrink))

    def _alter(self) -> None:
        replication = self.replicas.replication
        assert replication is not None
        alterations = replication.alterations
        request = alterations.next_request(self.clock.monotonic())
        if request is None:
            self._at(alterations, alterations.next_time(), self._alter)
            return
        self.on_alteration(request)

        def answered(answer: Any) -> None:
            if isinstance(answer, KafkaError):
                alterations.on_failure(answer, self.clock.monotonic())
            else:
                alterations.on_response(answer, self.clock.monotonic())
            self._alter()

        def failed() -> None:
            alterations.on_failure("broken", self.clock.monotonic())
            self._alter()

        self._call(self.alterations, request, answered, failed)

    # What others ask

    def partition(self, topic: str, index: int = 0) -> Partition:
        """Raises KafkaError."""
        return self.replicas.partition(TopicPartition(topic, index))

    def serve_fetch(self, body: bytes, version: int, reply: Reply) -> None:
        """Of a follower or a consumer, waiting if it may."""
        ctx = RequestContext(ApiKey.FETCH, version, received_at=self.clock.monotonic())
        query, _ = decode_fetch_request(memoryview(body), version, 0)
        try:
            fetch = Fetch(self, ctx, query)  # type: ignore[arg-type]
            result = fetch.read()
        except KafkaError as error:
            request = FetchRequest.decode(body, version)[0]
            reply(bytes(error_response(request, error, version).encode(version)))
            return
        deadline = self.world.now + query.max_wait_ms / 1000
        self.answer_or_wait(fetch, result, deadline, reply)

    def answer_or_wait(self, fetch: Fetch, result: Any, deadline: float, reply: Reply) -> None:
        if fetch.is_enough(result) or self.world.now >= deadline:
            reply(b"".join(_bytes_of(part) for part in fetch.answer(result).parts))
            return
        WaitingFetch(self, fetch, result, deadline, reply)

    def serve_produce(self, topic: str, index: int, batch: bytearray, acks: int, reply: Reply) -> None:
        """As the produce handler does it. Answers with (error code, first offset)."""
        try:
            partition = self.partition(topic, index)
            info = partition.append(batch, acks, self.clock.wall_ms())
        except KafkaError as error:
            reply((error.code, -1))
            return
        self.ledger.appended(self, partition, info)
        end = info.last_offset + 1
        if acks != ACKS_ALL or partition.log.high_watermark >= end:
            reply((0, info.first_offset))
            return
        WaitingProduce(self, partition, end, info.first_offset, reply)


class WaitingFetch:
    """Looks again when it is woken, and at its deadline."""

    def __init__(self, process: Process, fetch: Fetch, result: Any, deadline: float, reply: Reply) -> None:
        self._process = process
        self._fetch = fetch
        self._result = result
        self._deadline = deadline
        self._reply = reply
        self._serial = process.world.serial()
        params = fetch.params
        self._waiting: DelayedFetch | None = DelayedFetch(
            result.awaited(),
            params.min_bytes - result.size,
            params.is_read_committed,
            self._wake,
            reads_to_end=params.replica_id >= 0,
        )
        self._waiting.arm()
        process.world.after(deadline - process.world.now, process.as_long_as_alive(self._go_on))

    def _wake(self) -> None:
        self._process.world.soon(self._process.as_long_as_alive(self._go_on), self._serial)

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        waiting.disarm()
        again = self._fetch.read(is_first=False)
        deadline = 0.0 if again.count < self._result.count else self._deadline
        self._process.answer_or_wait(self._fetch, again, deadline, self._reply)


class WaitingProduce:
    """Answers with (error code, first offset) when all in sync have it, or time is over."""

    def __init__(self, process: Process, partition: Partition, end: int, first_offset: int, reply: Reply) -> None:
        self._process = process
        self._partition = partition
        self._first_offset = first_offset
        self._reply = reply
        self._serial = process.world.serial()
        self._waiting: DelayedProduce | None = DelayedProduce({partition: end}, self._wake)
        self._waiting.arm()
        process.world.after(1.5, process.as_long_as_alive(self._done))

    def _wake(self) -> None:
        self._process.world.soon(self._process.as_long_as_alive(self._done), self._serial)

    def _done(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.disarm()
            self._reply((waiting.errors[self._partition], self._first_offset))


def list_offsets(leader: Process, request: ListOffsetsRequest) -> ListOffsetsResponse:
    response = ListOffsetsResponse()
    for topic in request.topics:
        rows = [_offset_of(leader, topic.name, wanted, request.replica_id) for wanted in topic.partitions]
        response.topics.append(ListOffsetsTopicResponse(topic.name, rows))
    return response


def _offset_of(leader: Process, topic: str, wanted: ListOffsetsPartition, who: int) -> ListOffsetsPartitionResponse:
    row = ListOffsetsPartitionResponse(partition_index=wanted.partition_index)
    try:
        row.offset = offset_for(
            leader.partition(topic, wanted.partition_index),
            wanted.timestamp,
            isolation_level=0,
            replica_id=who,
            current_leader_epoch=wanted.current_leader_epoch,
        ).offset
    except KafkaError as error:
        row.error_code = error.code
    return row


def _nobody() -> None:
    return
