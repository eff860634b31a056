"""Several brokers' data sides, one partition, and a controller made by hand; joined by calls, stepped one by one."""

import inspect
import os
from collections.abc import Sequence
from pathlib import Path

from pykbroker.clock import ManualClock
from pykbroker.errors import KafkaError
from pykbroker.handlers.broker import fetch
from pykbroker.ids import DIRECTORY_UNASSIGNED, Uuid
from pykbroker.metadata.image import BrokerRegistration
from pykbroker.metadata.topics import PartitionImage, TopicImage
from pykbroker.network.file_region import FileRegion
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.alter_partition import (
    AlterPartitionRequest,
    AlterPartitionResponse,
    AlterPartitionResponsePartitionData,
    AlterPartitionResponseTopicData,
    PartitionData,
)
from pykbroker.protocol.messages.fetch import FetchRequest, FetchResponse
from pykbroker.protocol.messages.list_offsets import (
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from pykbroker.record.batch import iterate_batches
from pykbroker.record.builder import build_batch
from pykbroker.record.reader import iterate_records
from pykbroker.replica.fetcher import Asked
from pykbroker.replica.list_offsets import offset_for
from pykbroker.replica.partition import ACKS_ALL, Partition
from pykbroker.replica.replication import Replication
from tests.replica.stand import Stand, context

TOPIC = "t"
TOPIC_ID = Uuid.parse("PEXy-nNgToGi2RBdUPHsjQ")
LAG = 30.0


class Cluster:
    """`state`: what the controller has decided; a broker knows it after publish()."""

    def __init__(self, folder: Path, ids: Sequence[int] = (1, 2, 3), **configs: str) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.configs = {name.replace("_", "."): value for name, value in configs.items()}
        self.nodes: dict[int, Stand] = {}
        self.brokers: dict[int, BrokerRegistration] = {}
        self.state = PartitionImage(tuple(ids), (DIRECTORY_UNASSIGNED,) * len(ids), tuple(ids), (), (), ids[0], 0, 0, 0)
        self._next_epoch = 100
        for node_id in ids:
            self._register(node_id, fenced=False)
        for node_id in ids:
            self._boot(node_id)
        self.publish()

    def close(self) -> None:
        for node in self.nodes.values():
            node.close()

    # Brokers

    def _boot(self, node_id: int) -> None:
        node = self.nodes[node_id] = Stand(self.folder / str(node_id), node_id, self.clock)
        node.overrides[TOPIC] = self.configs
        node.logs.update_config(TOPIC, node.config_for(TOPIC))

    def _register(self, node_id: int, *, fenced: bool) -> None:
        self._next_epoch += 1
        self.brokers[node_id] = BrokerRegistration(
            node_id, self._next_epoch, Uuid.random(), (), {}, f"rack-{node_id}", fenced, False
        )

    def publish(self, *node_ids: int) -> None:
        """What the controller has decided comes to these brokers, or to all."""
        for node_id in node_ids or list(self.nodes):
            node = self.nodes[node_id]
            node.image.brokers = dict(self.brokers)
            node.set_topic(TopicImage(TOPIC, TOPIC_ID, {0: self.state}))

    def partition(self, node_id: int) -> Partition:
        return self.nodes[node_id].partition(TOPIC)

    def replication(self, node_id: int) -> Replication:
        replication = self.nodes[node_id].replicas.replication
        assert replication is not None
        return replication

    def crash(self, node_id: int, *, keep: int | None = None) -> None:
        """The process dies; of its log what lies before `keep` is on disk, else all of it."""
        node = self.nodes.pop(node_id)
        if keep is not None:
            node.partition(TOPIC).log.truncate_to(keep)
        node.close()

    def start(self, node_id: int) -> None:
        """It comes back after a crash: the controller takes it out of the ISR if others are in it, and unfences it."""
        if len(self.state.isr) > 1:
            self.fence(node_id)
        self._register(node_id, fenced=False)
        if self.state.leader < 0 and node_id in self.state.isr:
            self.elect(node_id)
        self._boot(node_id)
        self.publish(node_id)

    # The controller

    def decide(self, **fields: object) -> None:
        """One PartitionChange; naming a leader begins an epoch."""
        epoch = self.state.leader_epoch + ("leader" in fields)
        self.state = self.state._replace(leader_epoch=epoch, partition_epoch=self.state.partition_epoch + 1, **fields)

    def elect(self, node_id: int, **fields: object) -> None:
        self.decide(leader=node_id, **fields)

    def fence(self, node_id: int) -> None:
        """Its session is over. The last one in sync stays so, without a leader."""
        self.brokers[node_id] = self.brokers[node_id]._replace(fenced=True)
        rest = tuple(id_ for id_ in self.state.isr if id_ != node_id)
        alive = [id_ for id_ in self.state.replicas if id_ in rest and not self.brokers[id_].fenced]
        if node_id in self.state.isr and rest:
            self.decide(isr=rest, **({"leader": alive[0] if alive else -1} if self.state.leader == node_id else {}))
        elif self.state.leader == node_id:
            self.decide(leader=-1)

    def alter(self, *node_ids: int) -> None:
        """Those ask for what they want of ISRs, and are answered."""
        for node_id in node_ids or list(self.nodes):
            replication = self.nodes[node_id].replicas.replication
            if replication is None:
                continue
            request = replication.alterations.next_request(self.clock.monotonic())
            if request is not None:
                replication.alterations.on_response(self.answer(request), self.clock.monotonic())

    def answer(self, request: AlterPartitionRequest) -> AlterPartitionResponse:
        if self.brokers[request.broker_id].epoch != request.broker_epoch:
            return AlterPartitionResponse(error_code=ErrorCode.STALE_BROKER_EPOCH)
        wanted = request.topics[0].partitions[0]
        row = AlterPartitionResponsePartitionData(partition_index=0, error_code=self._alter(request.broker_id, wanted))
        if not row.error_code:
            state = self.state
            row.leader_id, row.leader_epoch, row.isr = state.leader, state.leader_epoch, list(state.isr)
            row.partition_epoch = state.partition_epoch
        return AlterPartitionResponse(topics=[AlterPartitionResponseTopicData(TOPIC_ID, [row])])

    def _alter(self, broker_id: int, wanted: PartitionData) -> int:
        state = self.state
        if wanted.leader_epoch < state.leader_epoch or broker_id != state.leader:
            return ErrorCode.FENCED_LEADER_EPOCH
        if wanted.partition_epoch < state.partition_epoch:
            return ErrorCode.INVALID_UPDATE_VERSION
        assert (wanted.leader_epoch, wanted.partition_epoch) == (state.leader_epoch, state.partition_epoch)
        isr = {member.broker_id: member.broker_epoch for member in wanted.new_isr_with_epochs}
        assert broker_id in isr
        assert isr.keys() <= set(state.replicas)
        if any(self.brokers[id_].fenced or epoch not in (-1, self.brokers[id_].epoch) for id_, epoch in isr.items()):
            return ErrorCode.INELIGIBLE_REPLICA
        if set(isr) != set(state.isr):
            self.decide(isr=tuple(id_ for id_ in state.replicas if id_ in isr))
        return 0

    # Followers

    def fetch(self, *node_ids: int, rounds: int = 1) -> None:
        """Each asks its leader so many times, and takes the answer; nobody waits."""
        for _ in range(rounds):
            for node_id in node_ids or list(self.nodes):
                replication = self.nodes[node_id].replicas.replication
                for fetcher in list(replication.fetchers.fetchers.values()) if replication is not None else ():
                    asked = fetcher.next_request(self.clock.monotonic())
                    if asked is None:
                        continue
                    leader = self.nodes.get(fetcher.leader_id)
                    if leader is None:
                        fetcher.on_failure("it is not there", self.clock.monotonic())
                    else:
                        fetcher.on_response(ask(leader, asked), self.clock.monotonic())

    def settle(self) -> None:
        """Until everybody knows, has and agrees on everything."""
        for _ in range(8):
            self.publish()
            self.fetch()
            self.alter()
            self.pass_time(1.5)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def shrink(self) -> None:
        for node in self.nodes.values():
            for partition in node.replicas:
                partition.shrink_isr()

    # Clients

    def produce(self, value: str, acks: int = ACKS_ALL, node_id: int | None = None) -> int:
        """The offset. Raises KafkaError."""
        partition = self.partition(self.state.leader if node_id is None else node_id)
        records = build_batch([(None, value.encode(), [], self.clock.wall_ms())])
        return partition.append(records, acks, self.clock.wall_ms()).first_offset

    def values(self, node_id: int, *, committed: bool = False) -> list[str]:
        """What is in the log of a broker, or what a consumer may read of it."""
        log = self.partition(node_id).log
        end = log.high_watermark if committed else log.log_end_offset
        found = []
        offset = log.log_start_offset
        while offset < end:
            for region in log.read(offset, 1 << 20, upper_bound=end, min_one=True).segments:
                data = os.pread(region.file.fileno(), region.length, region.position)
                for header, position in iterate_batches(data):
                    found += [(record.value or b"").decode() for record in iterate_records(data, position)]
                    offset = header.next_offset
        return found

    def high_watermarks(self) -> dict[int, int]:
        return {node_id: self.partition(node_id).log.high_watermark for node_id in self.nodes}


def ask(leader: Stand, asked: Asked) -> FetchResponse | ListOffsetsResponse:
    """The leader's answer, at once."""
    if isinstance(asked.request, ListOffsetsRequest):
        return list_offsets(leader, asked.request)
    assert isinstance(asked.request, FetchRequest)
    asked.request.max_wait_ms = 0
    frame = memoryview(bytearray(asked.request.encode(asked.version)))
    ctx = context(ApiKey.FETCH, asked.version)
    try:
        raw = fetch.handle_frame(leader, ctx, frame, 0)  # type: ignore[arg-type]
    except KafkaError as error:
        return fetch.error_response(asked.request, error, asked.version)
    assert not inspect.iscoroutine(raw)
    body = b"".join(_bytes_of(part) for part in raw.parts)
    return FetchResponse.decode(body, asked.version)[0]


def _bytes_of(part: "bytes | bytearray | memoryview | FileRegion") -> bytes:
    if isinstance(part, bytes | bytearray | memoryview):
        return bytes(part)
    return os.pread(part.file.fileno(), part.length, part.position)


def list_offsets(leader: Stand, request: ListOffsetsRequest) -> ListOffsetsResponse:
    wanted = request.topics[0].partitions[0]
    row = ListOffsetsPartitionResponse(partition_index=0)
    try:
        found = offset_for(
            leader.partition(TOPIC),
            wanted.timestamp,
            isolation_level=0,
            replica_id=request.replica_id,
            current_leader_epoch=wanted.current_leader_epoch,
        )
        row.offset = found.offset
    except KafkaError as error:
        row.error_code = error.code
    return ListOffsetsResponse(topics=[ListOffsetsTopicResponse(TOPIC, [row])])
