"""Kafka's own WordCountDemo as a process, and what its input and output topics have to do with each other."""

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tools.oracle.jars import BRIEF, jars

DEMO = "org.apache.kafka.streams.examples.wordcount.WordCountDemo"
INPUT = "streams-plaintext-input"
OUTPUT = "streams-wordcount-output"
TERMINATED = 128 + signal.SIGTERM
JVM = ("-Xmx256m", *BRIEF, "-Dorg.slf4j.simpleLogger.defaultLogLevel=info")


class Application:
    """One instance of the demo. `settings` are of Kafka Streams; its state lies in a folder of its own."""

    def __init__(self, bootstrap: str, application_id: str, folder: Path, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"
        self._properties = folder / "streams.properties"
        chosen = {
            "application.id": application_id,
            "bootstrap.servers": bootstrap,
            "state.dir": str(folder / "state"),
            "processing.guarantee": "exactly_once_v2",
            **{name.replace("_", "."): value for name, value in settings.items()},
        }
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in chosen.items()))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = ["java", *JVM, "-cp", f"{jars()}/*", DEMO, str(self._properties)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def stop(self) -> None:
        """It closes its tasks and leaves the group. Not by SIGINT: in the background that is ignored."""
        assert self._end(signal.SIGTERM) == TERMINATED, self._tail("it did not end in order")

    def kill(self) -> None:
        """As by a power cut: its session must time out."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(number)
        try:
            return process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def await_log(self, text: str, seconds: float = 60) -> None:
        """Until the log says it. Fails with the log when it does not."""
        deadline = time.monotonic() + seconds
        while text not in self.log.read_text(errors="replace"):
            assert self.process is not None
            assert self.process.poll() is None, self._tail("it has ended")
            assert time.monotonic() < deadline, self._tail(f"never said {text!r}")
            time.sleep(0.2)

    def _tail(self, what: str) -> str:
        return f"{what}:\n{self.log.read_text(errors='replace')[-6000:]}"


@contextmanager
def running(*applications: Application) -> Iterator[None]:
    """Starts them; none outlives the block."""
    try:
        for application in applications:
            application.start()
        yield
    finally:
        for application in applications:
            if application.process is not None:
                application.kill()


def create_topics(bootstrap: str, partitions: int) -> None:
    """Afresh: what other tests have left there goes."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.delete_topics([INPUT, OUTPUT]).values():
        future.exception(30)
    deadline = time.monotonic() + 30
    while {INPUT, OUTPUT} & admin.list_topics(timeout=30).topics.keys():
        assert time.monotonic() < deadline, "the topics of another test are not deleted"
        time.sleep(0.1)
    rows = [NewTopic(name, num_partitions=partitions, replication_factor=1) for name in (INPUT, OUTPUT)]
    for future in admin.create_topics(rows).values():
        future.result(30)


def say(bootstrap: str, lines: Sequence[str]) -> None:
    """Into the input topic, by round-robin over its partitions."""
    producer = Producer({"bootstrap.servers": bootstrap})
    partitions = len(producer.list_topics(INPUT, timeout=30).topics[INPUT].partitions)
    for at, line in enumerate(lines):
        producer.produce(INPUT, line.encode(), partition=at % partitions)
    assert producer.flush(60) == 0


class Counts:
    """Reads the committed part of the output from its beginning; `updates` per word in the order they came."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "nobody",
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
            }
        )
        partitions = self._consumer.list_topics(OUTPUT, timeout=30).topics[OUTPUT].partitions
        self._consumer.assign([TopicPartition(OUTPUT, partition, 0) for partition in partitions])
        self.updates: dict[str, list[int]] = {}

    def await_words(self, expected: Counter[str], seconds: float = 90) -> None:
        """Until every word has its count; each update must have come once and in order: exactly once."""
        deadline = time.monotonic() + seconds
        while {word: counts[-1] for word, counts in self.updates.items()} != dict(expected):
            assert time.monotonic() < deadline, f"counted {self.updates}, expected {expected}"
            self._poll(0.5)
        self._poll(2.0)
        assert self.updates == {word: list(range(1, count + 1)) for word, count in expected.items()}

    def _poll(self, seconds: float) -> None:
        for message in self._consumer.consume(1000, timeout=seconds):
            assert message.error() is None, message.error()
            word, count = message.key() or b"", message.value() or b""
            self.updates.setdefault(word.decode(), []).append(int.from_bytes(count, "big"))

    def close(self) -> None:
        self._consumer.close()
