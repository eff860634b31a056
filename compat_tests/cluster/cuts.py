"""A cluster whose nodes are in namespaces, under a load that is judged, and clients that reach one broker alone."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    ElectionType,
    KafkaError,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from compat_tests.cluster.mixed import CONTROLLER, THREE, MixedCluster, eventually
from compat_tests.cluster.mixed_runs import await_same_bytes
from compat_tests.cluster.namespaces import Network
from compat_tests.cluster.replicated_load import PARTITIONS, QUICK, ReplicatedLoad
from compat_tests.wire.raw_client import RawClient
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.hashes import partition_for_id
from pykbroker.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pykbroker.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from pykbroker.record.builder import build_batch

# Everybody else's client, and one that reaches a single broker when that is cut off.
CLIENT, ASIDE = "client", "aside"
SESSION = 4.0  # seconds; Kafka's 9 make runs long
LAG = 3.0
# Silence is noticed soon.
SETTINGS = {
    **THREE,
    "broker.session.timeout.ms": f"{SESSION * 1000:.0f}",
    "replica.lag.time.max.ms": f"{LAG * 1000:.0f}",
    "replica.socket.timeout.ms": "1500",
    "offsets.commit.timeout.ms": "500",
}
QUICKER = {**QUICK, "socket.timeout.ms": 1500, "request.timeout.ms": 1500}
SECONDS = 60
OFFSETS = "__consumer_offsets"


class State(NamedTuple):
    """`leaders` with their epochs and `isr`, by partition; `unfenced`: brokers."""

    leaders: dict[int, tuple[int, int]]
    isr: dict[int, set[int]]
    unfenced: set[int]

    def led_by(self, broker: int) -> list[int]:
        return [number for number, (leader, _) in self.leaders.items() if leader == broker]


class CutCluster(MixedCluster):
    """The test is at CLIENT, outside every cut but that of a broker from everybody."""

    def __init__(self, folder: Path, controller: str, kinds: Mapping[int, str], net: Network) -> None:
        super().__init__(folder, controller, kinds, network=net, settings=SETTINGS)
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap, **QUICK, "socket.timeout.ms": 10_000})
        self.net = net

    def start(self) -> None:
        super().start()
        self.create(OFFSETS, [1, 2, 3], [2, 3, 1], [3, 1, 2], **{"cleanup.policy": "compact"})

    @contextmanager
    def load(self, name: str) -> Iterator[ReplicatedLoad]:
        """Under way, with something acknowledged in every partition; judged at the end, when all have come back."""
        load = ReplicatedLoad(self.bootstrap, name, members=1, settings=QUICKER)
        load.create(among=(1, 2, 3))
        eventually(lambda: all(len(self.state(name, each).leaders) == PARTITIONS for each in self.brokers))
        load.start()
        load.await_progress()
        self.await_all_in_sync(name)
        try:
            yield load
        finally:
            self.net.heal()
        self.await_unfenced(*self.brokers)
        load.await_progress()
        load.stop()
        self.await_all_in_sync(name, OFFSETS)
        load.check()
        for topic in (name, OFFSETS):
            self.await_same_copies(topic)

    def await_same_copies(self, topic: str) -> None:
        for number, replicas in self.replicas(topic).items():
            await_same_bytes(self, topic, number, replicas)

    def state(self, topic: str, asked: int) -> State:
        """As that broker knows it."""
        with RawClient(self.addresses[asked]) as client:
            told = client.ask(MetadataRequest(topics=[MetadataRequestTopic(name=topic)]), 12)
        rows = {row.partition_index: row for row in told.topics[0].partitions}
        return State(
            {number: (row.leader_id, row.leader_epoch) for number, row in rows.items()},
            {number: set(row.isr_nodes) for number, row in rows.items()},
            {row.node_id for row in told.brokers},
        )

    def another(self, broker: int) -> int:
        return next(number for number in self.brokers if number != broker)

    def create_on(self, name: str, leader: int) -> str:
        """One partition that it leads, with three copies."""
        others = [number for number in (1, 2, 3) if number != leader]
        return self.create(name, [leader, *others], **{"min.insync.replicas": "2"})

    def lead_as_before(self, topic: str) -> None:
        """Each partition by the first of its replicas, when all are in sync."""
        self.await_all_in_sync(topic)
        rows = [TopicPartition(topic, number) for number in self.replicas(topic)]
        self.admin.elect_leaders(ElectionType.PREFERRED, rows).result(SECONDS)
        wanted = [replicas[0] for replicas in self.replicas(topic).values()]
        eventually(lambda: self.leaders(topic) == wanted, lambda: self.leaders(topic))

    def await_others_lead(self, topic: str, broker: int) -> None:
        """Until everything is led, and nothing by this one."""

        asked = self.another(broker)

        def is_so() -> bool:
            found = self.state(topic, asked)
            return not found.led_by(broker) and not found.led_by(-1)

        eventually(is_so, lambda: self.state(topic, asked), SECONDS)

    def file_contains(self, broker: int, topic: str, value: bytes) -> bool:
        """In the only partition of it, as this broker has it on disk."""
        return any(value in path.read_bytes() for path in (self.data(broker) / f"{topic}-0").glob("*.log"))

    def produce_at(self, broker: int, topic: str, value: bytes, acks: int) -> int:
        """One record, by a client that knows no other broker and asks it once; the error code."""
        with self.net.inside(ASIDE), RawClient(self.addresses[broker]) as client:
            response = client.ask(one_record(topic, value, acks), 9)
        code: int = response.responses[0].partition_responses[0].error_code
        return code

    def seconds_to_connect(self, one: int, other: int) -> float:
        """There and back."""
        with self.net.inside(str(one)):
            started = time.monotonic()
            RawClient(self.addresses[other]).close()
            return time.monotonic() - started

    def group_at(self, broker: int) -> str:
        """Whose coordinator it is."""
        found = self.state(OFFSETS, broker)
        led, count = found.led_by(broker), len(found.leaders)
        return next(name for name in map("group-{}".format, range(1000)) if partition_for_id(name, count) in led)

    def commit_at(self, broker: int, group: str, topic: str, offset: int) -> int:
        """By a client that is no member and knows no other broker; the error code."""
        row = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
        request = OffsetCommitRequest(group_id=group, topics=[OffsetCommitRequestTopic(name=topic, partitions=[row])])
        with self.net.inside(ASIDE), RawClient(self.addresses[broker]) as client:
            code: int = client.ask(request, 8).topics[0].partitions[0].error_code
        return code

    def committed(self, group: str, topic: str) -> int:
        asked = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0)])
        (row,) = self.admin.list_consumer_group_offsets([asked])[group].result(SECONDS).topic_partitions
        offset: int = row.offset
        return offset

    def values(self, topic: str) -> list[bytes]:
        """All records of the only partition."""
        settings: dict[str, Any] = {"bootstrap.servers": self.bootstrap, "group.id": "looking", **QUICKER}
        consumer = Consumer({**settings, "enable.partition.eof": True, "enable.auto.commit": False})
        consumer.assign([TopicPartition(topic, 0, 0)])
        found: list[bytes] = []
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is None:
                continue
            error = message.error()
            if error is None:
                found.append(message.value() or b"")
            elif error.code() == KafkaError._PARTITION_EOF:
                consumer.close()
                return found
        raise AssertionError(f"{topic} cannot be read to its end")


def one_record(topic: str, value: bytes, acks: int) -> ProduceRequest:
    """To the only partition."""
    batch = bytes(build_batch([(None, value, [], time.time_ns() // 1_000_000)]))
    row = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=batch)])
    return ProduceRequest(acks=acks, timeout_ms=500, topic_data=[row])


class Insistent:
    """An idempotent producer at ASIDE that never gives up; `acknowledged`: what the cluster took."""

    def __init__(self, cluster: CutCluster, topic: str) -> None:
        self.acknowledged: list[bytes] = []
        self._topic = topic
        settings = {"bootstrap.servers": cluster.bootstrap, "enable.idempotence": True, "message.timeout.ms": 0}
        with cluster.net.inside(ASIDE):  # its threads too
            self._producer = Producer({**settings, **QUICKER})
        self.send(b"before")
        self.await_all()

    def send(self, value: bytes) -> None:
        self._producer.produce(self._topic, value, partition=0, on_delivery=self._delivered)
        self._producer.poll(0)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        self.acknowledged.append(message.value() or b"")

    def wait(self, seconds: float) -> None:
        self._producer.poll(0)
        self._producer.flush(seconds)

    def await_all(self) -> None:
        assert self._producer.flush(SECONDS) == 0


@contextmanager
def cut_cluster(folder: Path, controller: str, kinds: Mapping[int, str]) -> Iterator[CutCluster]:
    """The caller is at CLIENT as long as it is there."""
    with Network((CONTROLLER, *map(str, kinds), CLIENT, ASIDE)) as net, net.inside(CLIENT):
        cluster = CutCluster(folder, controller, kinds, net)
        try:
            cluster.start()
            yield cluster
        finally:
            net.heal()
            cluster.stop()
    assert cluster.complaints() == []


def await_code(ask: Callable[[], int], wanted: int) -> None:
    eventually(lambda: ask() == wanted, lambda: ErrorCode(ask()).name, SECONDS)


# What happens to one broker, of either kind, that leads partitions of the load


def a_leader_is_cut_off_from_everything(cluster: CutCluster, load: ReplicatedLoad, victim: int) -> float:
    """But one client stays on its side. Seconds from the cut until others lead."""
    lonely = cluster.create_on(f"{load.topic}-lonely", victim)
    insistent = Insistent(cluster, lonely)
    group = cluster.group_at(victim)
    await_code(lambda: cluster.commit_at(victim, group, lonely, 1), ErrorCode.NONE)
    eventually(lambda: bool(cluster.state(load.topic, victim).led_by(victim)), seconds=SECONDS)
    cut_at = time.monotonic()
    cluster.net.cut_off(str(victim), ASIDE)
    cluster.net.cut_off(ASIDE, str(victim))
    insistent.send(b"insisted upon")
    # With acks=1 it promises nothing, and what it takes goes.
    assert cluster.produce_at(victim, lonely, b"taken at first", acks=1) == ErrorCode.NONE
    assert cluster.produce_at(victim, lonely, b"never promised", acks=-1) == ErrorCode.REQUEST_TIMED_OUT
    cluster.await_others_lead(load.topic, victim)
    seconds = time.monotonic() - cut_at
    load.await_progress()
    assert cluster.produce_at(victim, lonely, b"never promised", acks=-1) == ErrorCode.REQUEST_TIMED_OUT
    assert cluster.commit_at(victim, group, lonely, 2) == ErrorCode.COORDINATOR_NOT_AVAILABLE
    insistent.wait(0.5)
    assert insistent.acknowledged == [b"before"], "acknowledged by a leader that is none"
    for value in (b"insisted upon", b"taken at first", b"never promised"):
        assert cluster.file_contains(victim, lonely, value)
    cluster.net.heal()
    insistent.await_all()
    cluster.await_all_in_sync(lonely)
    assert cluster.values(lonely) == [b"before", b"insisted upon"]
    assert cluster.committed(group, lonely) == 1
    cluster.await_same_copies(lonely)
    return seconds


def a_broker_is_cut_off_from_the_controller(cluster: CutCluster, load: ReplicatedLoad, victim: int) -> float:
    """Everybody else reaches it. Seconds from the cut until others lead."""
    stale = cluster.create_on(f"{load.topic}-stale", victim)
    eventually(lambda: bool(cluster.state(load.topic, victim).led_by(victim)), seconds=SECONDS)
    cut_at = time.monotonic()
    cluster.net.cut(str(victim), CONTROLLER)
    cluster.await_others_lead(load.topic, victim)
    seconds = time.monotonic() - cut_at
    load.await_progress()
    assert victim not in cluster.state(load.topic, cluster.another(victim)).unfenced
    # It does not know, and nobody follows it.
    assert cluster.produce_at(victim, stale, b"never promised", acks=-1) == ErrorCode.REQUEST_TIMED_OUT
    cluster.net.heal()
    cluster.await_unfenced(*cluster.brokers)
    await_code(lambda: cluster.produce_at(victim, stale, b"to another", acks=-1), ErrorCode.NOT_LEADER_OR_FOLLOWER)
    cluster.await_all_in_sync(stale)
    assert cluster.values(stale) == []
    cluster.await_same_copies(stale)
    return seconds
