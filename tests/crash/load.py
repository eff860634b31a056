"""A load that outlives its broker: an idempotent producer that never gives up, and a group that commits what it read.

So each partition must hold the numbers 0, 1, 2 ... at just those offsets, whatever became of the broker meanwhile.
"""

import threading
import time
from collections import Counter
from random import Random
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

SECONDS = 30
PER_TURN = 10
# Small ones, so that kills meet rolls; internal: below what segment.bytes allows.
CONFIGS = {"internal.segment.bytes": "60000", "index.interval.bytes": "1000"}
QUICK = {
    "socket.timeout.ms": 3000,
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 200,
    "topic.metadata.refresh.interval.ms": 1000,
    "log_level": 0,
}


class Load:
    """Runs from start() to stop(); the broker may be killed and come back on its port as it likes.

    `in_flight`: of several batches under way Kafka, when it was killed, knows the last one alone: it takes one.
    """

    def __init__(self, bootstrap: str, seed: int, topic: str = "load", partitions: int = 2, in_flight: int = 5) -> None:
        self.bootstrap = bootstrap
        self.topic = topic
        self.partitions = partitions
        self.in_flight = in_flight
        self.random = Random(seed)
        self.broken: list[str] = []
        # Of each partition, how many numbers were acknowledged, at their offsets; and the last commit that was.
        self.acknowledged: Counter[int] = Counter()
        self.committed: Counter[int] = Counter()
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._produce, self._consume)]

    def start(self) -> None:
        client = AdminClient({"bootstrap.servers": self.bootstrap})
        client.create_topics([NewTopic(self.topic, self.partitions, 1, config=CONFIGS)])[self.topic].result(SECONDS)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """When all that was sent is acknowledged."""
        self._ends.set()
        for thread in self._threads:
            thread.join(2 * SECONDS)
            assert not thread.is_alive(), "the load does not come to its end"
        assert not self.broken, self.broken[:10]

    def await_more(self, count: int = 1) -> None:
        """Until so many more records are acknowledged."""
        wanted = self.acknowledged.total() + count
        deadline = time.monotonic() + SECONDS
        while self.acknowledged.total() < wanted:
            assert not self.broken, self.broken[:10]
            assert time.monotonic() < deadline, f"nothing is acknowledged any more: {self.acknowledged}"
            time.sleep(0.01)

    # -- its threads

    def _produce(self) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "enable.idempotence": True,
                "acks": "all",
                "message.timeout.ms": 0,  # never
                "linger.ms": 1,
                "batch.size": 10_000,
                "retry.backoff.ms": 20,
                "max.in.flight.requests.per.connection": self.in_flight,
                **QUICK,
            }
        )
        sent: Counter[int] = Counter()
        while not self._ends.wait(0.01) and not self.broken:
            for _ in range(self.random.randint(1, PER_TURN)):
                partition = self.random.randrange(self.partitions)
                value = b"%d %s" % (sent[partition], b"x" * self.random.randint(0, 400))
                try:
                    producer.produce(self.topic, value, partition=partition, on_delivery=self._delivered)
                except KafkaException as error:  # a fatal error: the producer has given up
                    self.broken.append(str(error))
                    break
                sent[partition] += 1
            producer.poll(0)
        if left := producer.flush(SECONDS):
            self.broken.append(f"{left} records are not acknowledged")
        if self.acknowledged != sent:
            self.broken.append(f"sent {sent}, acknowledged {self.acknowledged}")

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        value = message.value()
        assert value is not None
        number = int(value.split()[0])
        partition = message.partition()
        assert partition is not None
        if error is not None:
            self.broken.append(f"{partition}, number {number}: {error}")
        # A record that was there already when it was sent again may have no offset told (-1).
        elif message.offset() not in (number, -1) or number != self.acknowledged[partition]:
            self.broken.append(f"{partition}, number {number}: acknowledged at {message.offset()}")
        self.acknowledged[partition] += 1

    def _consume(self) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": f"{self.topic}-group",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "session.timeout.ms": 45_000,  # longer than any restart: the member stays one
                "heartbeat.interval.ms": 300,
                **QUICK,
            }
        )
        consumer.subscribe([self.topic])
        while not self._ends.is_set():
            for message in consumer.consume(200, 0.05):
                if message.error() is None:
                    self._check(message)
            self._commit(consumer)
        consumer.close()

    def _check(self, message: Message) -> None:
        value = message.value() or b""
        if int(value.split()[0]) != message.offset():
            self.broken.append(f"read {value[:10]!r} at {message.partition()}-{message.offset()}")

    def _commit(self, consumer: Consumer) -> None:
        try:
            for row in consumer.commit(asynchronous=False) or ():
                if row.error is None and row.offset >= 0:
                    self._note_commit(row.partition, row.offset)
        except KafkaException:
            return  # nothing new, no broker, another generation: nobody was promised anything

    def _note_commit(self, partition: int, offset: int) -> None:
        if offset < self.committed[partition]:
            self.broken.append(f"{partition}: {offset} committed after {self.committed[partition]}")
        self.committed[partition] = offset

    # -- what must be true whenever a broker serves

    def check_commits(self, promised: Counter[int]) -> None:
        """`promised`: a copy of `committed` of before."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": f"{self.topic}-group", **QUICK})
        asked = [TopicPartition(self.topic, partition) for partition in range(self.partitions)]
        for row in consumer.committed(asked, SECONDS):
            assert row.error is None, row
            assert row.offset >= promised[row.partition] or not promised[row.partition], (row, promised)
        consumer.close()

    def check_records(self) -> None:
        """Every number that was acknowledged is there, at its offset, in order, once."""
        promised = Counter(self.acknowledged)
        settings: dict[str, Any] = {"group.id": "checker", "enable.partition.eof": True, **QUICK}
        consumer = Consumer({"bootstrap.servers": self.bootstrap, **settings})
        consumer.assign([TopicPartition(self.topic, each, OFFSET_BEGINNING) for each in range(self.partitions)])
        found: Counter[int] = Counter()
        ended: set[int | None] = set()
        deadline = time.monotonic() + SECONDS
        while len(ended) < self.partitions:
            assert time.monotonic() < deadline, f"only {found} read"
            for message in consumer.consume(1000, 0.1):
                if (error := message.error()) is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    ended.add(message.partition())
                    continue
                partition = message.partition()
                assert partition is not None
                number = int((message.value() or b"").split()[0])
                assert (message.offset(), number) == (found[partition], found[partition])
                found[partition] += 1
        consumer.close()
        assert all(found[partition] >= count for partition, count in promised.items()), (found, promised)
