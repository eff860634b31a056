"""Clients as real ones: idempotent producers that never give a batch up, consumers that follow leaders."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from pykbroker.record.batch import iterate_batches
from pykbroker.record.builder import build_batch
from pykbroker.record.reader import iterate_records
from pykbroker.replica.partition import ACKS_ALL
from tests.cluster.ledger import TOPIC
from tests.cluster.world import START_MS, Connection, Network, Reply, World

if TYPE_CHECKING:
    from pykbroker.ids import Uuid
    from tests.cluster.broker import Process

Find = Callable[[int], "Process | None"]
FETCH_VERSION = 17
RETRY = 0.1


class Leader(NamedTuple):
    node_id: int = -1
    epoch: int = -1


class Client:
    """Knows leaders by the metadata of any broker; newer epochs win."""

    def __init__(self, number: int, world: World, network: Network, find: Find, nodes: list[int], index: int) -> None:
        self.number = number
        self.world = world
        self.network = network
        self.find = find
        self.nodes = nodes
        self.index = index
        self.leader = Leader()
        self._connections: dict[int, Connection] = {}

    def connection(self, node_id: int) -> Connection:
        if node_id not in self._connections:
            self._connections[node_id] = Connection(self.network, self.number, node_id)
        return self._connections[node_id]

    def refresh(self, then: Callable[[], object]) -> None:
        """Asks anybody who leads, a moment later."""
        node_id = self.world.random.choice(self.nodes)

        def serve(reply: Reply) -> bool:
            process = self.find(node_id)
            if process is not None:
                image = process.image.topics.partition(TOPIC, self.index)
                reply(None if image is None else Leader(image.leader, image.leader_epoch))
            return process is not None

        def answered(leader: Leader | None) -> None:
            if leader is not None and leader.epoch >= self.leader.epoch:
                self.leader = leader
            then()

        self.world.after(RETRY, lambda: self.connection(node_id).request(serve, answered, then))


# Of records: from no broker's future, however its clock jumps (INVALID_TIMESTAMP), and not so old that it forgets who
# wrote them (producer.id.expiration.ms).
RECORDED_MS = START_MS - 6 * 3_600_000


class Sent(NamedTuple):
    """A batch: its records, and where in the producer's sequence it is."""

    values: tuple[str, ...]
    sequence: int


class Producer(Client):
    """Of one partition. `acked`: first offset of each batch that was acknowledged; `dropped`: values of which nobody
    knows whether they were written. acks=1 has no producer id, and gives up when there is no answer."""

    def __init__(self, *args: Any, acks: int, in_flight: int) -> None:
        super().__init__(*args)
        self.acks = acks
        self.in_flight = in_flight
        self.epoch = 0
        self.acked: list[tuple[int, Sent]] = []
        self.dropped: set[str] = set()
        self.is_resting = False
        self._sequence = 0
        self._count = 0
        self._waiting: deque[Sent] = deque()
        self._flying: deque[Sent] = deque()
        self._attempt = 0
        self._is_asking = False
        self._is_known = False

    @property
    def is_idle(self) -> bool:
        return not self._waiting and not self._flying

    def write(self, count: int) -> None:
        """One batch."""
        values = tuple(f"{self.number}-{self._count + each}" for each in range(count))
        self._count += count
        self._waiting.append(Sent(values, self._sequence))
        self._sequence += count
        self._send()

    def _send(self) -> None:
        if self._is_asking:
            return
        if self.leader.node_id < 0:
            if self._waiting:
                self._ask()
            return
        # A leader that does not know a producer lets it begin with any batch: the first must have arrived.
        limit = self.in_flight if self._is_known else 1
        while self._waiting and len(self._flying) < limit:
            sent = self._waiting.popleft()
            self._flying.append(sent)
            self._transmit(sent, self.leader.node_id)

    def _transmit(self, sent: Sent, node_id: int) -> None:
        attempt = self._attempt
        identity = {"producer_id": self.number, "producer_epoch": self.epoch, "base_sequence": sent.sequence}
        records = [(None, value.encode(), [], RECORDED_MS) for value in sent.values]
        batch = build_batch(records, **(identity if self.acks == ACKS_ALL else {}))

        def serve(reply: Reply) -> bool:
            process = self.find(node_id)
            if process is not None:
                process.serve_produce(TOPIC, self.index, bytearray(batch), self.acks, reply)
            return process is not None

        def answered(answer: tuple[int, int]) -> None:
            if attempt == self._attempt and sent in self._flying:
                self._answered(sent, *answer)

        def failed() -> None:
            if attempt == self._attempt and sent in self._flying:
                self._retry()

        self.connection(node_id).request(serve, answered, failed, 2.0)

    def _answered(self, sent: Sent, code: int, offset: int) -> None:
        if sent is not self._flying[0]:
            self._retry()  # answers come in order: the one before is lost, and with it the connection
        elif code in (ErrorCode.NONE, ErrorCode.DUPLICATE_SEQUENCE_NUMBER):
            self._flying.remove(sent)
            self._is_known = True
            if code == ErrorCode.NONE:
                self.acked.append((offset, sent))
            else:
                self.dropped.update(sent.values)  # written, nobody remembers where
            self._send()
        elif code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER:
            self._begin_anew()
        else:
            self._retry()

    def _begin_anew(self) -> None:
        """The log has lost what was before this batch: a new epoch, whose sequence begins at zero (KIP-360)."""
        lost = self._flying.popleft()
        self.dropped.update(lost.values)
        self.epoch += 1
        self._is_known = False
        self._retry()
        self._sequence = 0
        waiting, self._waiting = self._waiting, deque()
        for sent in waiting:
            self._waiting.append(sent._replace(sequence=self._sequence))
            self._sequence += len(sent.values)

    def _retry(self) -> None:
        """All that is under way, in order, when the leader is known."""
        self._attempt += 1
        if self.acks == ACKS_ALL:
            self._waiting.extendleft(reversed(self._flying))
        else:
            self.dropped.update(value for sent in self._flying for value in sent.values)
        self._flying.clear()
        self._ask()

    def _ask(self) -> None:
        if self._is_asking:
            return
        self._is_asking = True

        def known() -> None:
            self._is_asking = False
            self._send()

        self.refresh(known)


class Consumer(Client):
    """Of one partition. `seen`: value by offset; `on_seen(offset, value)` is asked whether that may be;
    `on_reset(offset)` whether its position may be gone."""

    def __init__(
        self, *args: Any, topic_id: "Uuid", on_seen: Callable[[int, str], None], on_reset: Callable[[int], int]
    ) -> None:
        super().__init__(*args)
        self.position = 0
        self.last_epoch = -1
        self._topic_id = topic_id
        self._on_seen = on_seen
        self._on_reset = on_reset

    def poll(self) -> None:
        if self.leader.node_id < 0:
            self.refresh(self.poll)
            return
        node_id = self.leader.node_id
        row = FetchPartition(
            partition=self.index,
            current_leader_epoch=self.leader.epoch,
            fetch_offset=self.position,
            last_fetched_epoch=self.last_epoch,
            partition_max_bytes=400,
        )
        topic = FetchTopic(topic_id=self._topic_id, partitions=[row])
        request = FetchRequest(max_wait_ms=900, min_bytes=1, session_epoch=-1, topics=[topic])
        body = bytes(request.encode(FETCH_VERSION))

        def serve(reply: Reply) -> bool:
            process = self.find(node_id)
            if process is not None:
                process.serve_fetch(body, FETCH_VERSION, reply)
            return process is not None

        self.connection(node_id).request(serve, self._answered, lambda: self.refresh(self.poll), 2.0)

    def _answered(self, body: bytes) -> None:
        row = FetchResponse.decode(body, FETCH_VERSION)[0].responses[0].partitions[0]
        if row.diverging_epoch.epoch >= 0:
            self._reset(row.diverging_epoch.end_offset)
        elif row.error_code == ErrorCode.OFFSET_OUT_OF_RANGE:
            self._reset(row.log_start_offset)
        elif row.error_code:
            self.refresh(self.poll)
            return
        else:
            self._take(row.records or b"")
        self.world.after(0.6 * self.world.random.random(), self.poll)

    def _reset(self, hint: int) -> None:
        self.position = self._on_reset(self.position)
        self.last_epoch = -1

    def _take(self, data: bytes) -> None:
        for header, at in iterate_batches(data):
            if header.next_offset <= self.position:
                continue
            for offset, record in enumerate(iterate_records(data, at), header.base_offset):
                if offset >= self.position:
                    self._on_seen(offset, (record.value or b"").decode())
            self.position = header.next_offset
            self.last_epoch = header.partition_leader_epoch
