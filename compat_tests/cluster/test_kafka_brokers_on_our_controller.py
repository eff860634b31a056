"""Two real Kafka brokers on our controller: they replicate, die, come back, leave in order; Kafka's tools look on."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer
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


def consume(bootstrap: str, count: int) -> list[int]:
    consumer = KafkaConsumer(
        TOPIC, bootstrap_servers=bootstrap, group_id="readers", auto_offset_reset="earliest", consumer_timeout_ms=30_000
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

    cluster.brokers[2].start()
    cluster.await_isr(1, 2)
    cluster.brokers[1].stop()  # by controlled shutdown: the leaders go to 2
    cluster.await_unfenced(2, asked=2)
    assert {state.leader for state in partitions(two, TOPIC).values()} == {2}
    produce(two, 150, 50)
    cluster.brokers[1].start()
    cluster.await_isr(1, 2, asked=2)
    assert consume(two, 200) == list(range(200))
    look(cluster)

    epochs = {index: state.epoch for index, state in partitions(one, TOPIC).items()}
    assert cluster.controller.stop() == 0
    produce(one, 200, 50)  # leaders need no controller
    cluster.controller.start()
    cluster.await_unfenced(1, 2)
    admin = KafkaAdminClient(bootstrap_servers=one)
    admin.create_topics([NewTopic("after", num_partitions=1, replication_factor=2)])
    admin.close()
    assert {index: state.epoch for index, state in partitions(one, TOPIC).items()} == epochs


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
