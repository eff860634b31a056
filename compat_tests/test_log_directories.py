"""Several log directories: replicas move between them while they are written and read, and through SIGKILL."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition, TopicPartitionReplica
from kafka.errors import NoError

from compat_tests.brokers import PykbrokerProcess, pykbroker

pytestmark = pytest.mark.own_broker
SECONDS = 20


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    return [str(tmp_path / "one"), str(tmp_path / "two")]


@pytest.fixture
def broker(tmp_path: Path, paths: list[str]) -> Iterator[PykbrokerProcess]:
    with pykbroker(tmp_path / "unused", f"log.dirs={','.join(paths)}") as broker:
        yield broker


def places(broker: PykbrokerProcess, topic: str) -> list[tuple[str, bool]]:
    """(directory, whether it is on its way there) of partition 0."""
    with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
        (answer,) = admin.describe_log_dirs()
    return [
        (directory["log_dir"], row["is_future_key"])
        for directory in answer["log_dirs"]
        for found in directory["topics"]
        for row in found["partitions"]
        if found["name"] == topic
    ]


def move(broker: PykbrokerProcess, topic: str, path: str) -> object:
    replica = TopicPartitionReplica(topic, 0, 1)
    with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
        return admin.alter_replica_log_dirs({replica: path})[replica]


def await_place(broker: PykbrokerProcess, topic: str, path: str) -> None:
    deadline = time.monotonic() + SECONDS
    while (found := places(broker, topic)) != [(path, False)]:
        assert time.monotonic() < deadline, found


def produce(broker: PykbrokerProcess, topic: str, first: int, count: int) -> None:
    with KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all") as producer:
        sent = [producer.send(topic, b"%d " % number * 200) for number in range(first, first + count)]
        producer.flush()
    assert [future.get(10).offset for future in sent] == list(range(first, first + count))


def consumed(broker: PykbrokerProcess, topic: str) -> list[int]:
    partition = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, consumer_timeout_ms=SECONDS * 1000)
    consumer.assign([partition])
    consumer.seek_to_beginning()
    (end,) = consumer.end_offsets([partition]).values()
    numbers = []
    while len(numbers) < end:
        numbers.append(int(next(consumer).value.split()[0]))
    consumer.close()
    return numbers


def test_a_replica_is_made_where_it_is_wanted(
    broker: PykbrokerProcess, paths: list[str], unique: Callable[[str], str]
) -> None:
    for path in reversed(paths):
        topic = unique("wanted")
        assert move(broker, topic, path) is not NoError, "it is not there yet"
        with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
            admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
        await_place(broker, topic, path)


def test_moves_survive_kills(broker: PykbrokerProcess, paths: list[str], topic: str) -> None:
    with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
        admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
    count = 0
    for number in range(4):
        produce(broker, topic, count, 2000)
        ((source, _),) = places(broker, topic)
        target = paths[1 - paths.index(source)]
        assert move(broker, topic, target) is NoError
        if number % 2:
            await_place(broker, topic, target)
        else:
            produce(broker, topic, count + 2000, 500)
            count += 500
        count += 2000
        broker.kill()
        broker.start()
        # Either it had moved, or it goes on moving by itself.
        await_place(broker, topic, target)
        assert consumed(broker, topic) == list(range(count))
