"""pykbroker as broker 2 of a real Apache Kafka 4.3.1, whose node 1 is broker and controller."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from compat_tests.brokers import PykbrokerProcess, pykbroker
from compat_tests.cluster.real_nodes import DYNAMIC, STATIC, RealNode, real_node
from compat_tests.disk.handover import asking
from pykbroker.protocol.hashes import partition_for_id
from pykbroker.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from pykbroker.protocol.messages.describe_cluster import DescribeClusterRequest
from pykbroker.protocol.messages.describe_quorum import DescribeQuorumRequest, PartitionData, TopicData
from tools.oracle.cluster import CLUSTER_ID

pytestmark = [pytest.mark.own_broker, pytest.mark.timeout(300)]
OURS, THEIRS = 2, 1
INTERNAL_PARTITIONS = 10
SECONDS = 30


class Pair:
    def __init__(self, kafka: RealNode, ours: PykbrokerProcess) -> None:
        self.kafka = kafka
        self.ours = ours
        self.admin = AdminClient({"bootstrap.servers": ours.bootstrap})

    def create(self, name: str, *leaders: int) -> str:
        """A topic with one partition for each leader, its only replica; created at our broker, assigned by hand."""
        assignment = [[leader] for leader in leaders]
        done(self.admin.create_topics([NewTopic(name, len(leaders), replica_assignment=assignment)]))
        eventually(lambda: self.leaders(name) == list(leaders))
        return name

    def leaders(self, topic: str) -> list[int]:
        """As our broker knows them; -1: none."""
        known = self.admin.list_topics(topic, timeout=SECONDS).topics[topic].partitions
        return [known[index].leader for index in sorted(known)]

    def unfenced(self) -> set[int]:
        """Brokers that the real one knows and that are not fenced."""
        with asking(self.kafka.bootstrap) as asker:
            rows = asker.ask(DescribeClusterRequest(include_fenced_brokers=True), 2).brokers
        return {row.broker_id for row in rows if not row.is_fenced}


def done(futures: dict[Any, Any]) -> None:
    for future in futures.values():
        future.result(SECONDS)


def eventually(holds: Callable[[], bool], seconds: float = SECONDS) -> float:
    """How long it took. A question that fails is no answer yet."""
    start = time.monotonic()
    while True:
        try:
            if holds():
                return time.monotonic() - start
        except (KafkaException, KeyError, OSError):
            pass
        assert time.monotonic() - start < seconds, "it never came true"
        time.sleep(0.05)


def send(pair: Pair, topic: str, *values: str, partition: int = 0, **config: object) -> None:
    producer = Producer({"bootstrap.servers": pair.ours.bootstrap, "acks": "all", **config})
    for value in values:
        producer.produce(topic, value, partition=partition)
    assert producer.flush(SECONDS) == 0


def read(pair: Pair, topic: str, count: int, partition: int = 0, group: str = "reader") -> list[str]:
    consumer = Consumer({"bootstrap.servers": pair.ours.bootstrap, "group.id": group, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, 0)])
    found: list[str] = []
    deadline = time.monotonic() + SECONDS
    while len(found) < count and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None:
            assert message.error() is None, message.error()
            found.append(message.value().decode())
    consumer.close()
    return found


def name_on(partition_leaders: list[int], leader: int, prefix: str) -> str:
    """A group or transactional id whose coordinator is that broker."""
    names = (f"{prefix}-{number}" for number in range(1000))
    return next(name for name in names if partition_leaders[partition_for_id(name, INTERNAL_PARTITIONS)] == leader)


@pytest.fixture(scope="module", params=[STATIC, DYNAMIC])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("cluster")
    with (
        real_node(folder / "n1", request.param) as kafka,
        pykbroker(folder / "n2", *kafka.settings(OURS)) as ours,
    ):
        yield Pair(kafka, ours)


def test_it_takes_its_place(pair: Pair) -> None:
    assert pair.unfenced() == {THEIRS, OURS}
    assert f"cluster.id={CLUSTER_ID}" in (pair.ours.data_dir / "meta.properties").read_text()
    told = pair.admin.list_topics(timeout=SECONDS)
    assert {broker.id: broker.port for broker in told.brokers.values()} == {
        THEIRS: pair.kafka.port,
        OURS: pair.ours.port,
    }
    assert told.cluster_id == CLUSTER_ID


def test_its_metadata_log_is_the_controllers(pair: Pair) -> None:
    name = f"__cluster_metadata-0/{0:020}.log"
    theirs = pair.kafka.folder / "data" / name
    ours = pair.ours.data_dir / name

    def caught_up() -> bool:
        size = theirs.stat().st_size
        return ours.stat().st_size >= size > 0

    eventually(caught_up)
    size = min(theirs.stat().st_size, ours.stat().st_size)
    assert ours.read_bytes()[:size] == theirs.read_bytes()[:size]


def test_topics_on_it_are_written_and_read(pair: Pair, topic: str) -> None:
    pair.create(topic, OURS, THEIRS)
    for partition in (0, 1):
        send(pair, topic, *map(str, range(50)), partition=partition)
        assert read(pair, topic, 50, partition) == list(map(str, range(50)))


def test_an_idempotent_producer_gets_its_id_from_their_controller(pair: Pair, topic: str) -> None:
    pair.create(topic, OURS)
    send(pair, topic, "a", "b", **{"enable.idempotence": True})
    assert read(pair, topic, 2) == ["a", "b"]


def test_configs_altered_here_are_theirs(pair: Pair, topic: str) -> None:
    pair.create(topic, OURS)
    entry = ConfigEntry("retention.ms", "12345", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    done(pair.admin.incremental_alter_configs([resource]))
    asked = ConfigResource(ResourceType.TOPIC, topic)
    for bootstrap in (pair.kafka.bootstrap, pair.ours.bootstrap):
        admin = AdminClient({"bootstrap.servers": bootstrap})
        eventually(
            lambda admin=admin: admin.describe_configs([asked])[asked].result(9)["retention.ms"].value == "12345"
        )


def test_a_refusal_of_the_controller_reaches_the_client(pair: Pair, topic: str) -> None:
    pair.create(topic, OURS)
    with pytest.raises(KafkaException, match="already exists"):
        done(pair.admin.create_topics([NewTopic(topic, 1, 1)]))
    with pytest.raises(KafkaException, match="replication factor of 9 cannot be reached because only 2 broker"):
        done(pair.admin.create_topics([NewTopic(f"{topic}-more", 1, 9)]))


def test_deleted_topics_go_here_too(pair: Pair, topic: str) -> None:
    pair.create(topic, OURS)
    assert (pair.ours.data_dir / f"{topic}-0").is_dir()
    done(pair.admin.delete_topics([topic]))
    eventually(lambda: not (pair.ours.data_dir / f"{topic}-0").exists())


def test_groups_are_coordinated_here(pair: Pair, topic: str) -> None:
    pair.create(topic, OURS)
    send(pair, topic, "a", "b", "c")
    read(pair, topic, 1)  # a group anywhere: the topic of the groups is made
    eventually(lambda: len(pair.leaders("__consumer_offsets")) == INTERNAL_PARTITIONS)
    group = name_on(pair.leaders("__consumer_offsets"), OURS, topic)
    consumer = Consumer({"bootstrap.servers": pair.ours.bootstrap, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found: list[bytes] = []
    eventually(
        lambda: (message := consumer.poll(0.2)) is not None and not found.append(message.value()) and len(found) == 3
    )
    consumer.commit(asynchronous=False)
    described = pair.admin.describe_consumer_groups([group])[group].result(SECONDS)
    assert (described.coordinator.id, described.state.name) == (OURS, "STABLE")
    assert consumer.committed([TopicPartition(topic, 0)], SECONDS)[0].offset == 3
    consumer.close()


def test_transactions_are_coordinated_here(pair: Pair, topic: str) -> None:
    pair.create(topic, OURS)
    warm = Producer({"bootstrap.servers": pair.ours.bootstrap, "transactional.id": f"{topic}-first"})
    warm.init_transactions(SECONDS)
    eventually(lambda: len(pair.leaders("__transaction_state")) == INTERNAL_PARTITIONS)
    identity = name_on(pair.leaders("__transaction_state"), OURS, topic)
    producer = Producer({"bootstrap.servers": pair.ours.bootstrap, "transactional.id": identity})
    producer.init_transactions(SECONDS)
    for value, end in (("committed", producer.commit_transaction), ("aborted", producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce(topic, value, partition=0)
        producer.flush(SECONDS)
        end(SECONDS)
    send(pair, topic, "after")
    assert read(pair, topic, 2) == ["committed", "after"]


def test_the_quorum_sees_it_as_an_observer(pair: Pair) -> None:
    request = DescribeQuorumRequest(topics=[TopicData("__cluster_metadata", [PartitionData(0)])])

    def lag() -> int:
        with asking(pair.ours.bootstrap) as asker:  # forwarded
            (row,) = asker.ask(request, 2).topics[0].partitions
        assert [voter.replica_id for voter in row.current_voters] == [THEIRS]
        (observer,) = [each for each in row.observers if each.replica_id == OURS]
        assert f"directory.id={observer.replica_directory_id}" in (pair.ours.data_dir / "meta.properties").read_text()
        return int(row.high_watermark - observer.log_end_offset)

    eventually(lambda: lag() <= 1, 5)


def test_reassignments_are_forwarded(pair: Pair, topic: str) -> None:
    pair.create(topic, OURS)
    partition = ReassignablePartition(partition_index=0, replicas=[99])
    request = AlterPartitionReassignmentsRequest(topics=[ReassignableTopic(topic, [partition])], timeout_ms=9000)
    with asking(pair.ours.bootstrap) as asker:
        (row,) = asker.ask(request, 1).responses
    assert "includes broker 99, but no such broker is registered" in row.partitions[0].error_message


def test_it_leaves_in_order_and_comes_back(pair: Pair, topic: str) -> None:
    pair.create(topic, OURS)
    send(pair, topic, "before")
    assert pair.ours.stop() == 0
    assert OURS not in pair.unfenced()
    assert (pair.ours.data_dir / ".kafka_cleanshutdown").exists()
    pair.ours.start()  # its session may have to end first, as with real brokers
    eventually(lambda: pair.leaders(topic) == [OURS])
    send(pair, topic, "after")
    assert read(pair, topic, 2) == ["before", "after"]


def test_killed_it_waits_for_its_old_session_and_has_everything(pair: Pair, topic: str) -> None:
    pair.create(topic, OURS)
    send(pair, topic, *map(str, range(100)))
    said = len(pair.ours.errors.read_text())
    pair.ours.kill()
    start = time.monotonic()
    pair.ours.start()
    waited = time.monotonic() - start
    assert waited < 30
    assert "another process is registered with node.id=2" in pair.ours.errors.read_text()[said:]
    eventually(lambda: pair.leaders(topic) == [OURS])
    assert read(pair, topic, 100) == list(map(str, range(100)))


def test_the_controller_restarts_and_nobody_registers_again(pair: Pair, topic: str) -> None:
    pair.create(topic, OURS)
    said = len(pair.ours.errors.read_text())
    pair.kafka.stop()
    send(pair, topic, "without a controller")
    pair.kafka.start()
    eventually(lambda: pair.unfenced() == {THEIRS, OURS})
    entry = ConfigEntry("retention.ms", "777", incremental_operation=AlterConfigOpType.SET)
    done(pair.admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])]))
    assert read(pair, topic, 1) == ["without a controller"]
    assert "registering anew" not in pair.ours.errors.read_text()[said:]


def test_it_leaves_a_controller_that_is_gone(pair: Pair, topic: str) -> None:
    """The last one of this cluster."""
    pair.create(topic, OURS)
    pair.kafka.kill()
    start = time.monotonic()
    assert pair.ours.stop() == 0
    assert time.monotonic() - start < 25
    assert "Stopping without the controller's leave" in pair.ours.errors.read_text()


def test_without_any_controller_it_says_so(tmp_path: Path) -> None:
    settings = ["process.roles=broker", "node.id=2", "controller.quorum.bootstrap.servers=127.0.0.1:1"]
    broker = PykbrokerProcess(
        tmp_path / "data",
        *settings,
        "controller.listener.names=CONTROLLER",
        "initial.broker.registration.timeout.ms=1000",
    )
    with pytest.raises(RuntimeError) as caught:
        broker.start()
    assert broker.process is not None
    assert broker.process.wait(10) != 0
    assert broker.process.stdout is not None
    broker.process.stdout.close()
    assert "no controller has told the cluster.id within 1 s; the last attempt: 127.0.0.1:1: Connection refused" in str(
        caught.value
    )
    assert "Traceback" not in str(caught.value)
