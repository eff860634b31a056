"""Stock clients (librdkafka) that write down what they do. Each is a thread; a client that fails is made anew, as a
program that was started over: it is another process of the history then.
"""

import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from random import Random
from types import MappingProxyType
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from compat_tests.confluent.settings import brokers_at
from compat_tests.history.events import (
    History,
    OffsetsCommitted,
    OffsetsFetched,
    Outcome,
    Partition,
    Polled,
    Positioned,
    ReadToEnd,
    Record,
    Refused,
    Sent,
    Transaction,
)

SECONDS = 20
MARGIN = 5.0  # seconds
PATIENCE = 120  # seconds, for what must come to its end on a busy machine too
QUICK: dict[str, Any] = {
    "socket.timeout.ms": 5000,
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 200,
    "topic.metadata.refresh.interval.ms": 1000,
    "log_level": 0,
}
TRANSACTIONAL: dict[str, Any] = {
    **QUICK,
    "linger.ms": 0,
    "message.timeout.ms": 8000,
    "transaction.timeout.ms": 8000,
}


class Client(threading.Thread, ABC):
    """Subclasses open their client, take turns, and close it. `process` names the client object of now."""

    def __init__(self, history: History, bootstrap: str, topic: str, partitions: int, name: str, seed: str) -> None:
        super().__init__(name=name, daemon=True)
        self.history = history
        self.bootstrap = bootstrap
        self.topic = topic
        self.partitions = partitions
        self.random = Random(f"{seed} {name}")
        self.ends = threading.Event()
        self.broken: list[str] = []
        self.incarnations = 0
        self.values = 0

    @property
    def process(self) -> str:
        return f"{self.name}.{self.incarnations}"

    def run(self) -> None:
        try:
            while not self.ends.is_set():
                self.incarnations += 1
                self.live()
            self.finish()
        except Exception:  # of a thread: check() raises it in the test
            self.broken.append(f"{self.process}: {traceback.format_exc()}")

    def live(self) -> None:
        """One incarnation."""
        try:
            self.open()
            while not self.ends.is_set() and not self.turn():
                pass
        except KafkaException:
            self.ends.wait(0.05)
        finally:
            with suppress(KafkaException):
                self.close()

    def stop(self) -> None:
        self.join(2 * PATIENCE)
        assert not self.is_alive(), f"{self.process} hangs"
        self.check()

    def check(self) -> None:
        """Raises AssertionError when it has met what it may not."""
        assert not self.broken, "\n".join(self.broken)

    def open(self) -> None: ...

    @abstractmethod
    def turn(self) -> bool:
        """True: start over. Raises KafkaException to do so as well."""

    def close(self) -> None: ...

    def finish(self) -> None:
        """When all is over, with nothing open."""

    def new_value(self) -> str:
        self.values += 1
        return f"{self.process}:{self.values}"

    def some_partition(self) -> Partition:
        return self.topic, self.random.randrange(self.partitions)


class Onlooker(Client):
    """Reads and asks when it is told to, and is never started."""

    def turn(self) -> bool:
        raise AssertionError(f"{self.name} takes no turns")


class Feeder(Client):
    """Idempotent sends. An error of a delivery leaves open whether it is there."""

    producer: Producer
    pause = 0.0  # seconds between a few sends and the next

    def open(self) -> None:
        self.producer = Producer({**brokers_at(self.bootstrap), "enable.idempotence": True, "linger.ms": 1, **QUICK})

    def turn(self) -> bool:
        for _ in range(self.random.randint(1, 4)):
            self.send(self.some_partition(), self.new_value())
        self.producer.poll(self.random.choice([0, 0.01, 0.03]))
        self.ends.wait(self.pause)
        return self.random.random() < 0.005

    def send(self, partition: Partition, value: str) -> None:
        process, invoked = self.process, self.history.now()

        def delivered(error: KafkaError | None, message: Message) -> None:
            record = record_of(message) if error is None else Record(partition, value)
            outcome = Outcome.OK if error is None else Outcome.UNKNOWN
            self.history.add(Sent(process, invoked, self.history.now(), record, outcome))

        self.producer.produce(partition[0], value, partition=partition[1], on_delivery=delivered)

    def close(self) -> None:
        assert self.producer.flush(PATIENCE) == 0, f"{self.process}: not all is acknowledged"


class Transactional(Client):
    """What writers and pipelines share: one transaction, written down whatever comes of it."""

    producer: Producer

    def open(self) -> None:
        self.producer = self.new_producer()

    def new_producer(self) -> Producer:
        producer = Producer(
            {**brokers_at(self.bootstrap), "transactional.id": f"{self.name}-{self.topic}", **TRANSACTIONAL}
        )
        producer.init_transactions(SECONDS)
        return producer

    def transaction(
        self,
        sends: list[tuple[Partition, str]],
        polled: tuple[Record, ...] = (),
        group: str = "",
        send_offsets: Callable[[], dict[Partition, int]] = dict,
        commits: bool = True,
    ) -> None:
        """Raises KafkaException when this client is of no more use."""
        now = self.history.now
        invoked, ending, outcome = now(), None, Outcome.FAILED
        sent = [Record(partition, value) for partition, value in sends]
        offsets: dict[Partition, int] = {}
        try:
            self.producer.begin_transaction()
            for index, ((topic, partition), value) in enumerate(sends):
                self.producer.produce(topic, value, partition=partition, on_delivery=noting(sent, index))
            offsets = send_offsets()
            if commits:
                ending, outcome = now(), Outcome.UNKNOWN
                self.producer.commit_transaction(SECONDS)
                outcome = Outcome.OK
            else:
                self.producer.abort_transaction(SECONDS)
        finally:
            # Before the history has it, the deliveries must be in; after a failure those may be lost, as on a crash.
            event = Transaction(self.process, invoked, now(), tuple(sent), outcome, ending, polled, group, offsets)
            self.history.add(event)

    def close(self) -> None:
        self.__dict__.pop("producer", None)  # there is none where it could not be opened

    def finish(self) -> None:
        """Nothing stays open: the next producer of this id aborts it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.new_producer()
                return
            except KafkaException:
                if time.monotonic() > deadline:
                    raise


def bounded(call: Callable[[], object]) -> None:
    """Raises KafkaException: the call's, or _TIMED_OUT somewhat behind the timeout that it was given.

    librdkafka's send_offsets_to_transaction overlooks its timeout (librdkafka#5456), and does not end when the group's
    coordinator has left the cluster's metadata meanwhile (librdkafka#5511). Then its thread stays behind.
    """
    raised: list[Exception] = []

    def run() -> None:
        try:
            call()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run, name=f"{threading.current_thread().name} sends offsets", daemon=True)
    thread.start()
    thread.join(SECONDS + MARGIN)
    if thread.is_alive():
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
    if raised:
        raise raised[0]


def noting(sent: list[Record], index: int) -> Callable[[KafkaError | None, Message], None]:
    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is None:
            sent[index] = sent[index]._replace(offset=offset_of(message))

    return delivered


class Writer(Transactional):
    """Commits and aborts; each time to a few partitions."""

    def turn(self) -> bool:
        sends = [(self.some_partition(), self.new_value()) for _ in range(self.random.randint(1, 5))]
        self.transaction(sends, commits=self.random.random() < 0.7)
        self.ends.wait(self.random.choice([0, 0.01, 0.05]))
        return self.random.random() < 0.02


class Subscribed:
    """A consumer of a group, its positions and what it has met since it committed."""

    def __init__(self, client: Client, topic: str, group: str, settings: Mapping[str, Any]) -> None:
        self.client = client
        self.group = group
        self.positions: dict[Partition, int | None] = {}
        self.batch: list[Record] = []
        self.consumer = Consumer(
            {
                **brokers_at(client.bootstrap),
                "group.id": group,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                **QUICK,
                **settings,
            }
        )
        self.consumer.subscribe([topic], on_assign=self.assigned, on_revoke=self.revoked, on_lost=self.revoked)

    def assigned(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self.positions |= {(row.topic, row.partition): None for row in partitions}
        self._note()

    def revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """What was not committed is somebody else's."""
        self.batch.clear()
        for row in partitions:
            self.positions.pop((row.topic, row.partition), None)
        self._note()

    def _note(self) -> None:
        history = self.client.history
        history.add(Positioned(self.client.process, history.now(), dict(self.positions)))

    def poll(self, count: int) -> list[Record]:
        """A batch to commit, all of it still its own."""
        self.batch.clear()
        for number in range(count):
            record = poll_one(self.client, self.consumer, 0 if number else 0.2, True, self.group)
            if record is None:
                break
            self.batch.append(record)
            assert record.offset is not None
            self.positions[record.partition] = record.offset + 1
        return list(self.batch)


class Member(Client):
    """Polls and commits; leaves now and then, with or without saying so."""

    group = "members"
    settings: Mapping[str, Any] = MappingProxyType({})  # set before it starts
    subscribed: Subscribed

    def open(self) -> None:
        self.subscribed = Subscribed(self, self.topic, self.group, self.settings)

    def turn(self) -> bool:
        records = self.subscribed.poll(self.random.randint(1, 20))
        if records:
            commit(self, self.subscribed.consumer, self.group, ends_of(records))
        if self.random.random() < 0.1:
            fetch_offsets(self, self.subscribed.consumer, self.group, self.partitions)
        return self.random.random() < 0.01

    def close(self) -> None:
        self.subscribed.consumer.close()


class Pipeline(Transactional):
    """Consumes, transforms and produces, exactly once (KIP-447)."""

    group = "pipeline"
    target = ""
    settings: Mapping[str, Any] = MappingProxyType({})  # set before it starts
    subscribed: Subscribed | None = None

    def open(self) -> None:
        self.subscribed = Subscribed(self, self.topic, self.group, self.settings)
        super().open()

    def turn(self) -> bool:
        assert self.subscribed is not None
        consumer = self.subscribed.consumer
        records = self.subscribed.poll(self.random.randint(1, 10))
        if not records:
            return False
        sends = [((self.target, record.partition[1]), self.new_value()) for record in records]

        def send_offsets() -> dict[Partition, int]:
            ends = ends_of(records)
            rows = [TopicPartition(topic, partition, offset) for (topic, partition), offset in ends.items()]
            metadata, producer = consumer.consumer_group_metadata(), self.producer
            bounded(lambda: producer.send_offsets_to_transaction(rows, metadata, SECONDS))
            return ends

        self.transaction(sends, tuple(records), self.group, send_offsets)
        return self.random.random() < 0.01

    def close(self) -> None:
        if self.subscribed is not None:
            self.subscribed.consumer.close()
            self.subscribed = None
        super().close()


class Reader(Client):
    """Reads without a group, from here and from there."""

    consumer: Consumer
    read_committed = True

    def open(self) -> None:
        self.consumer = Consumer(
            {
                **brokers_at(self.bootstrap),
                "group.id": "nobody",
                "isolation.level": "read_committed" if self.read_committed else "read_uncommitted",
                "auto.offset.reset": "error",
                **QUICK,
            }
        )
        self.known = dict.fromkeys(((self.topic, number) for number in range(self.partitions)), 0)
        self.put()

    def put(self) -> None:
        chosen = self.random.sample(sorted(self.known), self.random.randint(1, self.partitions))
        offsets = {key: self.random.choice([0, self.known[key], self.random.randint(0, self.known[key])])
                   for key in chosen}  # fmt: skip
        self.history.add(Positioned(self.process, self.history.now(), offsets))
        self.consumer.assign([TopicPartition(topic, number, at) for (topic, number), at in offsets.items()])

    def turn(self) -> bool:
        record = poll_one(self, self.consumer, 0.1, self.read_committed, "")
        if record is not None:
            assert record.offset is not None
            self.known[record.partition] = max(self.known[record.partition], record.offset + 1)
        if self.random.random() < 0.005:
            self.put()
        return self.random.random() < 0.001

    def close(self) -> None:
        self.consumer.close()


# -- what they do


def offset_of(message: Message) -> int | None:
    """A record that was there already when it was sent again may have no offset told (-1)."""
    offset = message.offset()
    return offset if offset is not None and offset >= 0 else None


def record_of(message: Message) -> Record:
    value, topic, partition = message.value(), message.topic(), message.partition()
    assert value is not None
    assert topic is not None
    assert partition is not None
    return Record((topic, partition), value.decode(), offset_of(message))


def poll_one(client: Client, consumer: Consumer, seconds: float, read_committed: bool, group: str) -> Record | None:
    """A record, or None. The history has it."""
    invoked = client.history.now()
    message = consumer.poll(seconds)
    if message is None:
        return None
    if (error := message.error()) is not None:
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            client.history.add(Refused(client.process, str(error)))
        return None
    record = record_of(message)
    client.history.add(Polled(client.process, invoked, client.history.now(), (record,), read_committed, group))
    return record


def ends_of(records: list[Record]) -> dict[Partition, int]:
    """Where a group goes on behind them."""
    return {record.partition: record.offset + 1 for record in records if record.offset is not None}


def commit(client: Client, consumer: Consumer, group: str, offsets: dict[Partition, int]) -> None:
    invoked, outcome = client.history.now(), Outcome.UNKNOWN
    rows = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
    try:
        answers = consumer.commit(offsets=rows, asynchronous=False)
        if answers and all(row.error is None for row in answers):
            outcome = Outcome.OK
    except KafkaException:
        pass  # another generation, no broker: nobody was promised anything
    client.history.add(OffsetsCommitted(client.process, invoked, client.history.now(), group, offsets, outcome))


def fetch_offsets(client: Client, consumer: Consumer, group: str, partitions: int) -> None:
    """Raises KafkaException."""
    invoked = client.history.now()
    rows = consumer.committed([TopicPartition(client.topic, number) for number in range(partitions)], SECONDS)
    if any(row.error is not None for row in rows):
        return
    offsets = {(row.topic, row.partition): max(row.offset, -1) for row in rows}
    client.history.add(OffsetsFetched(client.process, invoked, client.history.now(), group, offsets))


def read_to_end(client: Client, topic: str, partitions: int, read_committed: bool) -> int:
    """Everything, when nobody writes any more; how many records. Raises TimeoutError."""
    consumer = Consumer(
        {
            **brokers_at(client.bootstrap),
            "group.id": "last",
            "isolation.level": "read_committed" if read_committed else "read_uncommitted",
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            **QUICK,
        }
    )
    keys = [(topic, number) for number in range(partitions)]
    client.history.add(Positioned(client.process, client.history.now(), dict.fromkeys(keys, 0)))
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    left = set(range(partitions))
    found = 0
    deadline = time.monotonic() + 2 * SECONDS
    while left:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no end of {topic} {left} after {found} records")
        invoked = client.history.now()
        for message in consumer.consume(500, 0.2):
            if (error := message.error()) is None:
                records = (record_of(message),)
                found += 1
                client.history.add(Polled(client.process, invoked, client.history.now(), records, read_committed))
            elif error.code() == KafkaError._PARTITION_EOF:
                left.discard(message.partition() or 0)
    consumer.close()
    for key in keys:
        client.history.add(ReadToEnd(client.process, key, read_committed))
    return found
