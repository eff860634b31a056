"""What three brokers cost and how they bear it when one goes: start, memory, acks=all, SIGKILL of a leader, restarts.

Every round starts the cluster anew.
"""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any, Final

from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient

from tools.bench.clusters import BROKERS, Brokers
from tools.bench.loads import PATIENCE, RECORDS_PER_BATCH, confluent_produce
from tools.bench.wire import Wire, batch_of, create_topic_error, create_topic_frame, produce_error, produce_frame

NAME = "cluster"
Figures = dict[str, float]
PARTITIONS = 6
WINDOW = 2  # requests under way at each leader of a partition
MEGABYTES, SMALL_MEGABYTES = 100, 10
SMALL = 16  # records of a small batch
SETTLE = 2.0  # seconds before memory is looked at, and between kills
PAUSE = 0.005  # seconds between two records of the load that sees brokers come and go
START, MEMORY = "cluster: first acks=all record on three replicas, s", "cluster: memory of all processes (Pss), MB"
FAILOVER = "cluster: SIGKILL of a leader to the next record, s"
RAW, SMALL_RAW, CLIENT = (
    "cluster: acks=all, 1 MB batches, MB/s",
    "cluster: acks=all, 16 kB batches, MB/s",
    "cluster: confluent-kafka, acks=all, MB/s",
)
FAILED = "cluster: controlled restarts, failed records"
TARGETS = {
    START: "≤ 0.15",
    MEMORY: "≤ 0.2",
    FAILOVER: "≤ 1.0",
    RAW: "≥ 0.8",
    SMALL_RAW: "≥ 0.8",
    CLIENT: "≥ 0.8",
    FAILED: "≤ 0 records",
}
# The same for both: clients that notice quickly.
CLIENT_SETTINGS: Final[dict[str, Any]] = {
    "enable.idempotence": True,
    "linger.ms": 1,
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 200,
    "metadata.recovery.strategy": "none",
    "statistics.interval.ms": 500,
    "log_level": 0,
}


def round_of(make: Callable[[], Brokers]) -> Figures:
    """All figures of one cluster, from its start to its end."""
    brokers = make()
    figures: Figures = {}
    try:
        for part in (started, produced, failed_over, restarted):
            before = time.monotonic()
            figures |= part(brokers)
            print(f"    {part.__name__} in {time.monotonic() - before:.0f} s", flush=True)
        return figures
    finally:
        brokers.stop()


def started(brokers: Brokers) -> Figures:
    """All three unfenced, or the topic could not have its replicas."""
    topic = new_topic(brokers, "first", partitions=1)
    frame = produce_frame(topic, 0, batch_of(1, 10), acks=-1)
    _until(lambda: any(_is_taken(address, frame) for address in brokers.addresses), "a first record")
    seconds = time.monotonic() - brokers.started
    time.sleep(SETTLE)
    return {START: seconds, MEMORY: brokers.memory_mb(), "cluster: resident memory, MB": brokers.resident_mb()}


def new_topic(brokers: Brokers, name: str, partitions: int = PARTITIONS) -> str:
    configs = {"min.insync.replicas": "2"}
    frame = create_topic_frame(name, partitions, replication_factor=BROKERS, configs=configs)
    with Wire(brokers.addresses[0]) as wire:
        _until(lambda: create_topic_error(wire.ask(frame)) == 0, f"topic {name}")
    return name


def _until(condition: Callable[[], bool], what: str) -> None:
    """Raises RuntimeError."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"no {what} within {PATIENCE} s")
        time.sleep(0.005)


def _is_taken(address: tuple[str, int], frame: bytes) -> bool:
    with Wire(address) as wire:
        return produce_error(wire.ask(frame)) == 0


# How fast


def produced(brokers: Brokers) -> Figures:
    figures: Figures = {}
    for figure, records, megabytes in ((RAW, RECORDS_PER_BATCH, MEGABYTES), (SMALL_RAW, SMALL, SMALL_MEGABYTES)):
        topic = new_topic(brokers, f"raw-{records}")
        await_all_in_sync(brokers)
        raw_produce(brokers, topic, records, SMALL_MEGABYTES)  # warms up
        cpu = brokers.cpu_seconds()
        seconds = raw_produce(brokers, topic, records, megabytes)
        figures[figure] = megabytes / seconds
        figures[figure.replace("MB/s", "CPU s/GB")] = (brokers.cpu_seconds() - cpu) / megabytes * 1000
    topic = new_topic(brokers, "confluent")
    await_all_in_sync(brokers)
    cpu = brokers.cpu_seconds()
    figures[CLIENT] = MEGABYTES / confluent_produce(brokers.bootstrap, topic, MEGABYTES)
    figures[CLIENT.replace("MB/s", "CPU s/GB")] = (brokers.cpu_seconds() - cpu) / MEGABYTES * 1000
    return figures


def raw_produce(brokers: Brokers, topic: str, records: int, megabytes: int) -> float:
    """Seconds until all is acknowledged by all replicas; a connection for each partition."""
    batch = batch_of(records)
    where = leaders(brokers, topic)
    count = max(megabytes * RECORDS_PER_BATCH // records, WINDOW * PARTITIONS)
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(where[partition])) for partition in range(PARTITIONS)]
        frames = [produce_frame(topic, partition, batch, acks=-1) for partition in range(PARTITIONS)]
        for wire, frame in zip(wires, frames, strict=True):
            _until(lambda wire=wire, frame=frame: produce_error(wire.ask(frame)) == 0, "record")  # type: ignore[misc]
        started = time.monotonic()
        for number in range(count):
            wire = wires[number % PARTITIONS]
            if number >= WINDOW * PARTITIONS:
                _expect(wire.receive())
            wire.send(frames[number % PARTITIONS])
        for number in range(count, count + WINDOW * PARTITIONS):
            _expect(wires[number % PARTITIONS].receive())
        return time.monotonic() - started


def _expect(answer: memoryview) -> None:
    if error := produce_error(answer):
        raise RuntimeError(f"a batch is refused with error {error}")


def metadata(brokers: Brokers) -> Any:
    return AdminClient({"bootstrap.servers": brokers.bootstrap, "log_level": 0}).list_topics(timeout=PATIENCE)


def leaders(brokers: Brokers, topic: str) -> Mapping[int, tuple[str, int]]:
    """By partition."""
    partitions = metadata(brokers).topics[topic].partitions
    return {number: brokers.addresses[each.leader - 1] for number, each in partitions.items()}


def await_all_in_sync(brokers: Brokers) -> None:
    def are_in_sync() -> bool:
        topics = metadata(brokers).topics.values()
        rows = [row for topic in topics for row in topic.partitions.values()]
        return all(row.leader > 0 and len(row.isrs) == len(row.replicas) for row in rows)

    _until(are_in_sync, "replicas in sync")


# How it bears it


class Watch(threading.Thread):
    """A client that produces all the time, into all partitions, and notes when what was acknowledged."""

    def __init__(self, brokers: Brokers, topic: str) -> None:
        super().__init__(daemon=True)
        self.topic = topic
        self.times: dict[int, list[float]] = defaultdict(list)
        self.failed = 0
        self.retries: dict[str, int] = {}
        self.ends = threading.Event()
        settings = {**CLIENT_SETTINGS, "bootstrap.servers": brokers.bootstrap, "stats_cb": self._on_statistics}
        self._producer = Producer(settings)

    def run(self) -> None:
        while not self.ends.wait(PAUSE):
            for partition in range(PARTITIONS):
                self._producer.produce(self.topic, b"x" * 100, partition=partition, on_delivery=self._delivered)
            self._producer.poll(0)
        self.failed += self._producer.flush(PATIENCE)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        partition = message.partition()
        assert partition is not None
        if error is not None:
            self.failed += 1
        else:
            self.times[partition].append(time.monotonic())

    def _on_statistics(self, text: str) -> None:
        rows = json.loads(text)["brokers"]
        self.retries = {name: row["txretries"] for name, row in rows.items()}

    def next_after(self, partition: int, since: float) -> float:
        """When something was acknowledged after that."""
        _until(lambda: self.times[partition][-1] > since, f"record in partition {partition}")
        return next(each for each in self.times[partition] if each > since)

    def longest_gap(self, since: float) -> float:
        gaps = (
            after - before
            for times in list(self.times.values())
            for before, after in pairwise(list(times))
            if after > since
        )
        return max(gaps)


@contextmanager
def watching(brokers: Brokers, topic: str) -> Iterator[Watch]:
    watch = Watch(brokers, new_topic(brokers, topic))
    await_all_in_sync(brokers)
    watch.start()
    try:
        for partition in range(PARTITIONS):
            _until(lambda partition=partition: bool(watch.times[partition]), "first record")  # type: ignore[misc]
        time.sleep(SETTLE)
        yield watch
    finally:
        watch.ends.set()
        watch.join()


def failed_over(brokers: Brokers) -> Figures:
    """The same client, which knows the leaders; what counts is the last of the partitions that the dead one led."""
    victim = brokers.restartable[-1]
    with watching(brokers, "failover") as watch:
        led = [
            number for number, row in metadata(brokers).topics[watch.topic].partitions.items() if row.leader == victim
        ]
        killed = time.monotonic()
        brokers.kill(victim)
        # What was sent before may still be acknowledged.
        away = max(watch.next_after(partition, killed + 0.02) for partition in led) - killed
        time.sleep(SETTLE)
        brokers.start_one(victim)
        await_all_in_sync(brokers)
    return {FAILOVER: away}


def restarted(brokers: Brokers) -> Figures:
    """One after the other; the client is told nothing."""
    with watching(brokers, "restarts") as watch:
        before = time.monotonic()
        for number in brokers.restartable:
            brokers.stop_one(number)
            brokers.start_one(number)
            await_all_in_sync(brokers)
        seconds = time.monotonic() - before
        time.sleep(1)
        longest = watch.longest_gap(before)
    return {
        FAILED: watch.failed,
        "cluster: controlled restarts, retries by the client": sum(watch.retries.values()),
        "cluster: controlled restarts, longest gap, s": longest,
        "cluster: controlled restarts, s each": seconds / len(brokers.restartable),
    }
