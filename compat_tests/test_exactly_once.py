"""A pipeline that consumes, transforms and produces in transactions while the broker is killed: all of it once."""

import random
import threading
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from compat_tests.brokers import pykbroker
from compat_tests.confluent.reading import read_all
from compat_tests.confluent.settings import KEEP_BROKERS
from compat_tests.confluent.test_confluent import create, produce

pytestmark = pytest.mark.own_broker

RECORDS = 600
KILLS = 8


class Pipeline(threading.Thread):
    """Every value of `source` becomes one of `target`, its offset part of the same transaction."""

    def __init__(self, bootstrap: str, source: str, target: str) -> None:
        super().__init__(daemon=True)  # a client that hangs must not hang the tests
        self.bootstrap = bootstrap
        self.source = source
        self.target = target
        self.deadline = time.monotonic() + 80
        self.restarts = 0
        self.position = 0

    def run(self) -> None:
        while self.position < RECORDS and time.monotonic() < self.deadline:
            reader = Consumer(
                {
                    "bootstrap.servers": self.bootstrap,
                    "group.id": "pipeline",
                    "enable.auto.commit": False,
                    "isolation.level": "read_committed",
                    "auto.offset.reset": "earliest",
                    "reconnect.backoff.max.ms": 100,
                    "log_level": 0,
                    **KEEP_BROKERS,
                }
            )
            try:
                self.process(reader)
            except KafkaException:
                self.restarts += 1  # as a crashed program: start over from what is committed
                time.sleep(0.05)
            finally:
                reader.close()

    def process(self, reader: Consumer) -> None:
        client = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "transactional.id": "pipeline",
                "linger.ms": 0,
                "message.timeout.ms": 4000,
                "transaction.timeout.ms": 5000,
                "socket.timeout.ms": 2000,
                "reconnect.backoff.max.ms": 100,
                "log_level": 0,
                **KEEP_BROKERS,
            }
        )
        client.init_transactions(10)
        (committed,) = reader.committed([TopicPartition(self.source, 0)], 10)
        self.position = max(committed.offset, 0)
        reader.assign([TopicPartition(self.source, 0, self.position)])
        while self.position < RECORDS and time.monotonic() < self.deadline:
            messages = [each for each in reader.consume(random.randint(1, 10), 1.0) if not each.error()]
            if not messages:
                continue
            client.begin_transaction()
            for message in messages:
                client.produce(self.target, b"<" + message.value() + b">")
            offsets = [TopicPartition(self.source, 0, messages[-1].offset() + 1)]
            client.send_offsets_to_transaction(offsets, reader.consumer_group_metadata(), 10)
            client.commit_transaction(10)
            self.position = messages[-1].offset() + 1


@pytest.mark.timeout(120)
def test_everything_once_though_the_broker_is_killed(tmp_path: Path, topic: str) -> None:
    numbers = random.Random(1)
    with pykbroker(
        tmp_path / "data", "offsets.topic.num.partitions=3", "transaction.state.log.num.partitions=3"
    ) as broker:
        target = f"target-of-{topic}"
        create(broker.bootstrap, topic)
        create(broker.bootstrap, target)
        values = [b"%d" % number for number in range(RECORDS)]
        produce(broker.bootstrap, topic, values)
        pipeline = Pipeline(broker.bootstrap, topic, target)
        pipeline.start()
        for _ in range(KILLS):
            time.sleep(numbers.uniform(0.1, 0.6))
            broker.kill()
            broker.start()
        pipeline.join(90)
        assert pipeline.position == RECORDS
        assert read_all(broker.bootstrap, target) == [[b"<" + value + b">" for value in values]]
