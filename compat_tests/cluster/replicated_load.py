"""A load on a replicated topic whose brokers come and go: producers that never give up, and all kinds of readers.

Whatever anybody reads at an offset is what everybody reads there in the end: acks=all, idempotent, once, in order.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from compat_tests.confluent.settings import brokers_at

PARTITIONS = 6
PATIENCE = 120.0
PAUSE = 0.02  # seconds between two records of a producer for each partition
CONFIGS = {"min.insync.replicas": "2", "internal.segment.bytes": "200000", "index.interval.bytes": "2000"}
QUICK: Final[dict[str, Any]] = {
    "socket.timeout.ms": 5000,
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 200,
    "retry.backoff.ms": 20,
    "log_level": 0,
}


def turns(brokers: Sequence[int]) -> list[list[int]]:
    """Replicas of the partitions: each of them is the first as often."""
    starts = (number % len(brokers) for number in range(PARTITIONS))
    return [[*brokers[start:], *brokers[:start]] for start in starts]


class ReplicatedLoad:
    """Runs from start() to stop(), which waits until all that was sent is acknowledged and read. `settings`: of all
    its clients."""

    def __init__(
        self,
        bootstrap: str,
        topic: str = "replicated",
        producers: int = 2,
        members: int = 2,
        settings: Mapping[str, Any] = QUICK,
    ) -> None:
        self.bootstrap = bootstrap
        self._settings = settings
        self.topic = topic
        self.broken: list[str] = []
        self._is_created = False
        # By partition: when something was acknowledged; what at which offset (-1: nobody said).
        self.acknowledged_at: dict[int, list[float]] = defaultdict(list)
        self.acknowledged: dict[int, list[tuple[int, str]]] = defaultdict(list)
        self.sent = 0
        # By reader, (partition, offset): value.
        self.read: dict[str, dict[tuple[int, int], str]] = {}
        self.committed: dict[int, int] = {}
        self._ends = threading.Event()
        self._lock = threading.Lock()
        self._writing = [self._thread(self._produce, f"producer-{number}") for number in range(producers)]
        self._reading = [self._thread(self._read, "plain")]
        self._reading += [self._thread(self._read_as_member, f"member-{number}") for number in range(members)]

    @staticmethod
    def _thread(work: Callable[[str], None], name: str) -> threading.Thread:
        return threading.Thread(target=work, args=(name,), name=name, daemon=True)

    def create(self, among: Sequence[int] = ()) -> None:
        """The topic. `among`: three brokers that hold the replicas, each leads as much; else whom the cluster takes."""
        admin = AdminClient(brokers_at(self.bootstrap))
        if among:
            topic = NewTopic(self.topic, PARTITIONS, replica_assignment=turns(among), config=CONFIGS)
        else:
            topic = NewTopic(self.topic, PARTITIONS, 3, config=CONFIGS)
        admin.create_topics([topic])[self.topic].result(PATIENCE)
        self._is_created = True

    def start(self) -> None:
        """Creates the topic where create() has not."""
        if not self._is_created:
            self.create()
        for thread in (*self._writing, *self._reading):
            thread.start()

    def stop(self) -> None:
        """Raises AssertionError when the load does not come to its end."""
        self._ends.set()
        for thread in (*self._writing, *self._reading):
            thread.join(2 * PATIENCE)
            assert not thread.is_alive(), f"{thread.name} does not come to its end; {self.broken[:10]}"
        assert not self.broken, self.broken[:10]

    def await_progress(self) -> None:
        """Something is acknowledged in every partition that was not yet when this was called."""
        before = {partition: len(self.acknowledged[partition]) for partition in range(PARTITIONS)}
        deadline = time.monotonic() + PATIENCE
        while stuck := [each for each, count in before.items() if len(self.acknowledged[each]) <= count]:
            assert not self.broken, self.broken[:10]
            assert time.monotonic() < deadline, f"nothing is acknowledged any more in partitions {stuck}"
            time.sleep(0.01)

    # -- its threads

    def _produce(self, name: str) -> None:
        settings = {
            "enable.idempotence": True,
            "acks": "all",
            "message.timeout.ms": 0,
            "linger.ms": 2,
            **self._settings,
        }
        producer = Producer({**brokers_at(self.bootstrap), **settings})
        number = 0
        while not self._ends.wait(PAUSE) and not self.broken:
            for partition in range(PARTITIONS):
                try:
                    producer.produce(self.topic, f"{name} {number}", partition=partition, on_delivery=self._delivered)
                except KafkaException as error:  # fatal: it has given up
                    self.broken.append(f"{name}: {error}")
                    break
                number += 1
            producer.poll(0)
        if left := producer.flush(PATIENCE):
            self.broken.append(f"{name}: {left} records are not acknowledged")
        with self._lock:
            self.sent += number

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        value, partition, offset = (message.value() or b"").decode(), message.partition(), message.offset()
        assert partition is not None
        if error is not None:
            self.broken.append(f"{value} in partition {partition}: {error}")
            return
        with self._lock:
            self.acknowledged_at[partition].append(time.monotonic())
            self.acknowledged[partition].append((-1 if offset is None else offset, value))

    def _consumer(self, group: str, **settings: object) -> Consumer:
        usual: dict[str, Any] = {"group.id": group, "enable.auto.commit": False, "auto.offset.reset": "error"}
        return Consumer({**brokers_at(self.bootstrap), **usual, **self._settings, **settings})

    def _read(self, name: str) -> None:
        """All partitions, each offset once and in order."""
        consumer = self._consumer(name)
        consumer.assign([TopicPartition(self.topic, each, OFFSET_BEGINNING) for each in range(PARTITIONS)])
        found = self.read[name] = {}
        following = dict.fromkeys(range(PARTITIONS), 0)
        while not self._is_read(found) and not self.broken:
            for message in consumer.consume(500, 0.1):
                if (row := self._row(name, message)) is None:
                    continue
                (partition, offset), value = row
                if offset != following[partition]:
                    self.broken.append(f"{name}: partition {partition} goes on at {offset}, not {following[partition]}")
                following[partition] = offset + 1
                found[partition, offset] = value
        consumer.close()

    def _is_read(self, found: dict[tuple[int, int], str]) -> bool:
        return self._ends.is_set() and not any(each.is_alive() for each in self._writing) and len(found) >= self.sent

    def _row(self, name: str, message: Message) -> tuple[tuple[int, int], str] | None:
        if (error := message.error()) is not None:
            if error.code() not in PASSING:
                self.broken.append(f"{name}: {error}")
            return None
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        return (partition, offset), (message.value() or b"").decode()

    def _read_as_member(self, name: str) -> None:
        """Its share; what it has read it commits."""
        settings = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500, "auto.offset.reset": "earliest"}
        consumer = self._consumer("members", **settings)
        consumer.subscribe([self.topic])
        found = self.read[name] = {}
        committed_at = time.monotonic()
        while not self._ends.is_set() and not self.broken:
            for message in consumer.consume(500, 0.1):
                if (row := self._row(name, message)) is not None:
                    found[row[0]] = row[1]
            if time.monotonic() > committed_at + 0.5:
                self._commit(consumer)
                committed_at = time.monotonic()
        consumer.close()

    def _commit(self, consumer: Consumer) -> None:
        try:
            rows = consumer.commit(asynchronous=False) or ()
        except KafkaException:
            return  # nothing new, no broker, another generation: nobody was promised anything
        for row in rows:
            if row.error is None and row.offset >= 0:
                with self._lock:
                    self.committed[row.partition] = max(row.offset, self.committed.get(row.partition, 0))

    # -- what must be true at the end

    def check(self) -> None:
        """After stop(), while the cluster serves. Raises AssertionError."""
        final = self._everything()
        values = [value for partition in final for value in partition]
        acknowledged = {value for rows in self.acknowledged.values() for _, value in rows}
        lost, doubled = acknowledged - set(values), len(values) - len(set(values))
        assert not lost, f"{len(lost)} acknowledged records are lost: {sorted(lost)[:10]}"
        assert not doubled, f"{doubled} records are doubled"
        assert len(values) == self.sent, f"{len(values)} records of {self.sent} that were sent"
        self._check_order(final)
        for partition, rows in self.acknowledged.items():
            moved = [(offset, value) for offset, value in rows if offset >= 0 and final[partition][offset] != value]
            assert not moved, f"partition {partition}: acknowledged elsewhere than they are: {moved[:10]}"
        for name, found in self.read.items():
            other = [key for key, value in found.items() if final[key[0]][key[1]] != value]
            assert not other, f"{name} read what is not there: {[(key, found[key]) for key in other[:10]]}"
        self._check_group()

    @staticmethod
    def _check_order(final: list[list[str]]) -> None:
        for partition, values in enumerate(final):
            last: dict[str, int] = {}
            for value in values:
                name, number = value.split()
                assert int(number) > last.get(name, -1), f"partition {partition}: {value} after {last[name]}"
                last[name] = int(number)

    def _everything(self) -> list[list[str]]:
        """The values of each partition, to its end."""
        consumer = self._consumer("last", **{"enable.partition.eof": True})
        consumer.assign([TopicPartition(self.topic, each, OFFSET_BEGINNING) for each in range(PARTITIONS)])
        final: list[list[str]] = [[] for _ in range(PARTITIONS)]
        ended: set[int | None] = set()
        deadline = time.monotonic() + PATIENCE
        while len(ended) < PARTITIONS:
            assert time.monotonic() < deadline, f"only {ended} have been read to their ends"
            for message in consumer.consume(1000, 0.2):
                error = message.error()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
                elif (row := self._row("last", message)) is not None:
                    (partition, offset), value = row
                    assert offset == len(final[partition]), f"partition {partition} has no offset {len(final)}"
                    final[partition].append(value)
        consumer.close()
        return final

    def _check_group(self) -> None:
        """Nothing that was committed is forgotten, nothing was committed unread."""
        consumer = self._consumer("members")
        asked = [TopicPartition(self.topic, partition) for partition in range(PARTITIONS)]
        read = {key for name, found in self.read.items() if name.startswith("member") for key in found}
        for row in consumer.committed(asked, PATIENCE):
            assert row.error is None, row
            promised = self.committed.get(row.partition, 0)
            assert row.offset >= promised or not promised, f"{row.partition}: {row.offset} after {promised}"
            unread = [offset for offset in range(max(row.offset, 0)) if (row.partition, offset) not in read]
            assert not unread, f"partition {row.partition}: committed, and nobody read {unread[:10]}"
        consumer.close()

    # -- how long partitions were away

    def gaps(self) -> list[float]:
        """Seconds between two acknowledgements of one partition, of all partitions."""
        return [after - before for times in self.acknowledged_at.values() for before, after in pairwise(sorted(times))]

    def longest_gap(self, start: float, end: float) -> float:
        """Of those of any partition that touch this time, monotonic seconds."""
        return max(
            (
                after - before
                for times in self.acknowledged_at.values()
                for before, after in pairwise(sorted(times))
                if after >= start and before <= end
            ),
            default=0.0,
        )


# What a consumer is told while brokers are away, and goes on.
PASSING = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
    KafkaError._RESOLVE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}
