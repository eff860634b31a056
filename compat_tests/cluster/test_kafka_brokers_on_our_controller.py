"""Two real Kafka brokers on our controller: they replicate, die, come back, leave in order; Kafka's tools look on."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from compat_tests.cluster.admin import await_true, partitions, tool, unfenced
from compat_tests.cluster.nodes import (
    CONTROLLER_ID,
    KafkaNode,
    OurNode,
    broker_settings,
    controller_settings,
    properties_file,
)
from tools.oracle.cluster import HOST, free_ports

pytestmark = [pytest.mark.own_broker, pytest.mark.timeout(600)]
TOPIC = "replicated"


class Cluster:
    """Our controller and two real brokers."""

    def __init__(self, folder: Path, *, dynamic: bool) -> None:
        self.controller_port, *ports = free_ports(3)
        settings = controller_settings(folder, self.controller_port, dynamic=dynamic)
        settings["metadata.log.max.record.bytes.between.snapshots"] = "2000"
        settings["leader.imbalance.check.interval.seconds"] = "1"
        self.folder = folder
        self.controller = OurNode(properties_file(folder, settings))
        options = ["--no-initial-controllers"] if dynamic else []
        self.brokers = {
            number: KafkaNode(
                properties_file(folder, broker_settings(folder, number, port, self.controller_port, dynamic=dynamic)),
                *options,
            )
            for number, port in enumerate(ports, 1)
        }

    def bootstrap(self, number: int) -> str:
        return f"{HOST}:{self.brokers[number].port}"

    def await_unfenced(self, *numbers: int, asked: int = 1) -> float:
        bootstrap = self.bootstrap(asked)
        return await_true(lambda: unfenced(bootstrap) == set(numbers), 60, lambda: unfenced(bootstrap))

    def metadata_log(self, number: int) -> Path:
        return self.folder / f"node-{number}" / "__cluster_metadata-0"

    def await_leaders(self, *numbers: int) -> float:
        bootstrap = self.bootstrap(numbers[0])

        def is_so() -> bool:
            return {state.leader for state in partitions(bootstrap, TOPIC).values()} == set(numbers)

        return await_true(is_so, 60, lambda: partitions(bootstrap, TOPIC))

    def await_isr(self, *numbers: int, asked: int = 1) -> float:
        bootstrap = self.bootstrap(asked)

        def is_so() -> bool:
            return all(state.isr == set(numbers) for state in partitions(bootstrap, TOPIC).values())

        return await_true(is_so, 60, lambda: partitions(bootstrap, TOPIC))


@pytest.fixture(params=["static", "dynamic"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, dynamic=request.param == "dynamic")
    with ExitStack() as stack:
        stack.callback(lambda: made.controller.process and made.controller.stop())
        made.controller.start()
        for broker in made.brokers.values():
            stack.callback(broker.stop)
            broker.start()
        for broker in made.brokers.values():
            broker.await_port()
        made.await_unfenced(1, 2)
        yield made
    assert made.controller.complaints() == []


def produce(bootstrap: str, first: int, count: int) -> None:
    """Numbered records, acknowledged by all in sync."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", retries=20, retry_backoff_ms=100)
    sent = [producer.send(TOPIC, b"%d" % number, partition=number % 2) for number in range(first, first + count)]
    for each in sent:
        each.get(60)
    producer.close()


def consume(bootstrap: str, count: int, group: str = "readers") -> list[int]:
    consumer = KafkaConsumer(
        TOPIC, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest", consumer_timeout_ms=30_000
    )
    numbers = []
    for record in consumer:
        numbers.append(int(record.value))
        if len(numbers) == count:
            break
    consumer.close()
    return sorted(numbers)


def test_real_brokers_hold_replicas_together(cluster: Cluster) -> None:
    one, two = cluster.bootstrap(1), cluster.bootstrap(2)
    admin = KafkaAdminClient(bootstrap_servers=one)
    admin.create_topics([NewTopic(TOPIC, num_partitions=2, replication_factor=2)])
    admin.close()
    await_true(lambda: len(partitions(one, TOPIC)) == 2, 20, lambda: partitions(one, TOPIC))
    assert {state.leader for state in partitions(one, TOPIC).values()} == {1, 2}
    produce(one, 0, 100)

    cluster.brokers[2].kill()
    cluster.await_isr(1)
    assert {state.leader for state in partitions(one, TOPIC).values()} == {1}
    assert unfenced(one) == {1}
    produce(one, 100, 50)

    # Without its copy of the metadata log it begins with a snapshot.
    assert list(cluster.metadata_log(CONTROLLER_ID).glob("*[1-9]-*.checkpoint"))
    shutil.rmtree(cluster.metadata_log(2))
    cluster.brokers[2].start()
    cluster.await_isr(1, 2)
    assert list(cluster.metadata_log(2).glob("*[1-9]-*.checkpoint"))
    cluster.await_leaders(1, 2)  # by itself, as preferred
    cluster.brokers[1].stop()  # by controlled shutdown: the leaders go to 2
    cluster.await_unfenced(2, asked=2)
    assert {state.leader for state in partitions(two, TOPIC).values()} == {2}
    produce(two, 150, 50)
    cluster.brokers[1].start()
    cluster.await_isr(1, 2, asked=2)
    assert consume(two, 200) == list(range(200))
    look(cluster)

    reassign(cluster)
    cluster.await_leaders(1, 2)
    epochs = {index: state.epoch for index, state in partitions(one, TOPIC).items()}
    assert cluster.controller.stop() == 0
    produce(one, 200, 50)  # leaders need no controller
    cluster.controller.start()
    cluster.await_unfenced(1, 2)
    admin = KafkaAdminClient(bootstrap_servers=one)
    admin.create_topics([NewTopic("after", num_partitions=1, replication_factor=2)])
    admin.close()
    assert {index: state.epoch for index, state in partitions(one, TOPIC).items()} == epochs


def reassign(cluster: Cluster) -> None:
    """One replica goes and comes back, with all the partition holds."""
    one = cluster.bootstrap(1)
    admin = KafkaAdminClient(bootstrap_servers=one)
    for replicas in ([2], [1, 2]):
        admin.alter_partition_reassignments({TopicPartition(TOPIC, 0): replicas})
        await_true(
            lambda expected=frozenset(replicas): partitions(one, TOPIC)[0].isr == expected,  # type: ignore[misc]  # a default binds the turn
            60,
            lambda: partitions(one, TOPIC),
        )
        await_true(lambda: not admin.list_partition_reassignments(), 20, admin.list_partition_reassignments)
    admin.close()
    assert consume(one, 200, group="after reassignments") == list(range(200))


def look(cluster: Cluster) -> None:
    """Kafka's own tools on a broker and on the controller."""
    for option, address in (
        ("--bootstrap-server", cluster.bootstrap(1)),
        ("--bootstrap-controller", f"{HOST}:{cluster.controller_port}"),
    ):
        told = tool("org.apache.kafka.tools.MetadataQuorumCommand", option, address, "describe", "--replication")
        rows = [line.split() for line in told.splitlines()[1:]]
        assert {(int(row[0]), row[-1]) for row in rows} == {(CONTROLLER_ID, "Leader"), (1, "Observer"), (2, "Observer")}
    features = tool("org.apache.kafka.tools.FeatureCommand", "--bootstrap-server", cluster.bootstrap(1), "describe")
    levels = {line.split()[1]: line.split()[-3] for line in features.splitlines() if line.startswith("Feature:")}
    assert (levels["metadata.version"], levels["transaction.version"]) == ("4.3-IV0", "2")
