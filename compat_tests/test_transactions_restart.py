"""Transactions over stops and SIGKILL: read_committed sees all of a transaction or nothing of it."""

import random
import threading
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from compat_tests.brokers import PykbrokerProcess, pykbroker
from compat_tests.confluent.settings import KEEP_BROKERS
from compat_tests.confluent.test_confluent import create

pytestmark = pytest.mark.own_broker

PARTITIONS = 3
KILLS = 6


class Writer(threading.Thread):
    """Commits and aborts as long as it is let; every transaction writes its number to all partitions.

    `committed`, `aborted`: acknowledged so; of the others nobody knows.
    """

    def __init__(self, bootstrap: str, topic: str, name: str) -> None:
        super().__init__(daemon=True)
        self.settings = {
            "bootstrap.servers": bootstrap,
            "transactional.id": f"{name}-{topic}",
            "linger.ms": 0,
            "message.timeout.ms": 4000,
            "transaction.timeout.ms": 5000,
            "socket.timeout.ms": 2000,
            "reconnect.backoff.max.ms": 100,
            "log_level": 0,
            **KEEP_BROKERS,
        }
        self.topic = topic
        self.label = name
        self.ends = threading.Event()
        self.committed: set[str] = set()
        self.aborted: set[str] = set()
        self.begun = 0

    def run(self) -> None:
        client: Producer | None = None
        while not self.ends.is_set():
            try:
                if client is None:
                    client = Producer(self.settings)
                    client.init_transactions(10)
                self.one_transaction(client)
            except KafkaException:
                client = None  # whatever became of it: start over, as a crashed program would
                time.sleep(0.05)

    def one_transaction(self, client: Producer) -> None:
        self.begun += 1
        value = f"{self.label}-{self.begun}"
        client.begin_transaction()
        for partition in range(PARTITIONS):
            client.produce(self.topic, value, partition=partition)
        if self.begun % 3:
            client.commit_transaction(10)
            self.committed.add(value)
        else:
            client.abort_transaction(10)
            self.aborted.add(value)


def read(broker: PykbrokerProcess, topic: str) -> list[list[str]]:
    """The values of each partition, in order, to the end."""
    reader = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": "reader",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
    )
    reader.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    values: list[list[str]] = [[] for _ in range(PARTITIONS)]
    open_partitions = set(range(PARTITIONS))
    deadline = time.monotonic() + 30
    while open_partitions and time.monotonic() < deadline:
        message = reader.poll(1)
        if message is None:
            continue
        if message.error():
            open_partitions.discard(message.partition())
        else:
            values[message.partition()].append(message.value().decode())
    reader.close()
    assert not open_partitions
    return values


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_all_or_nothing_after(how: str, tmp_path: Path, topic: str) -> None:
    numbers = random.Random(how)
    with pykbroker(
        tmp_path / "data",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms=500",
        "transaction.state.log.num.partitions=3",
    ) as broker:
        create(broker.bootstrap, topic, PARTITIONS)
        writers = [Writer(broker.bootstrap, topic, name) for name in ("a", "b")]
        for writer in writers:
            writer.start()
        for _ in range(KILLS):
            time.sleep(numbers.uniform(0.3, 1.0))
            if how == "stop":
                broker.stop()
            else:
                broker.kill()
            broker.start()
        time.sleep(1.0)
        for writer in writers:
            writer.ends.set()
        for writer in writers:
            writer.join(30)
        # Whoever takes the id over ends what is open.
        for writer in writers:
            Producer(writer.settings).init_transactions(20)
        values = read(broker, topic)
        for writer in writers:
            assert len(writer.committed) > 2 * KILLS
            for partition in values:
                mine = [value for value in partition if value.startswith(f"{writer.label}-")]
                assert len(mine) == len(set(mine)), "a record twice"
                assert mine == sorted(mine, key=lambda value: int(value.split("-")[1])), "out of order"
                assert writer.committed <= set(mine), "an acknowledged transaction is lost"
                assert not writer.aborted & set(mine), "an aborted transaction is read"
            assert len({frozenset(partition) for partition in map(set, values)}) == 1, "half a transaction"
