"""`pykbroker serve --brokers 3` with stock clients, while brokers are stopped, killed and started under load."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from kafka import KafkaConsumer, KafkaProducer

from compat_tests.brokers import READY, ROOT
from compat_tests.confluent.reading import read_all
from pykbroker.cli.cluster import ask

pytestmark = pytest.mark.own_broker
SECONDS = 90.0
PARTITIONS = 6


class LocalCluster:
    def __init__(self, process: subprocess.Popen[str], directory: Path, bootstrap: str) -> None:
        self.process = process
        self.directory = directory
        self.bootstrap = bootstrap

    def command(self, name: str, number: int) -> None:
        answer = ask(str(self.directory), name, number)
        assert not answer["error"], answer

    def await_in_sync(self) -> None:
        deadline = time.monotonic() + SECONDS
        while True:
            status = ask(str(self.directory), "status")
            if not status["under_replicated"] and not status["leaderless"]:
                return
            assert time.monotonic() < deadline, status
            time.sleep(0.1)


@contextmanager
def local_cluster(directory: Path, *arguments: str) -> Iterator[LocalCluster]:
    command = [sys.executable, "-m", "pykbroker", "serve", "--brokers", "3", "--host", "127.0.0.1", "--port", "0"]
    command += ["--data-dir", str(directory), *arguments]
    told = directory.parent / "console.stderr"
    with told.open("w") as errors:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith(READY), told.read_text()
        yield LocalCluster(process, directory, line.removeprefix(READY).strip())
        process.terminate()
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert "Traceback" not in told.read_text(), told.read_text()[-4000:]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with local_cluster(tmp_path_factory.mktemp("local-cluster") / "data") as made:
        yield made


def create(cluster: LocalCluster, name: str) -> str:
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    topic = NewTopic(name, num_partitions=PARTITIONS, replication_factor=3, config={"min.insync.replicas": "2"})
    admin.create_topics([topic])[name].result(SECONDS)
    return name


class Load(threading.Thread):
    """Produces numbers, acks=all and idempotent, until stop(); `acknowledged` are those that the cluster took."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__()
        self.acknowledged: list[int] = []
        self.failed: list[KafkaError] = []
        self._topic = topic
        self._stopped = threading.Event()
        settings = {"bootstrap.servers": bootstrap, "enable.idempotence": True, "message.timeout.ms": 60_000}
        self._producer = Producer({**settings, "reconnect.backoff.max.ms": 500, "linger.ms": 2})

    def run(self) -> None:
        number = 0
        while not self._stopped.is_set():
            self._producer.produce(self._topic, str(number), str(number), on_delivery=self._delivered)
            number += 1
            self._producer.poll(0.002)
        self._producer.flush(SECONDS)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failed.append(error)
        else:
            self.acknowledged.append(int(message.value() or b""))

    def stop(self) -> None:
        self._stopped.set()
        self.join()

    def await_progress(self, more: int = 50) -> None:
        """Something is acknowledged that was produced by now."""
        wanted, deadline = len(self.acknowledged) + more, time.monotonic() + SECONDS
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline, self.failed[:3]
            time.sleep(0.05)


def read_numbers(bootstrap: str, topic: str) -> list[list[int]]:
    """Of each partition, in order, up to its end."""
    return [[int(value) for value in values] for values in read_all(bootstrap, topic, PARTITIONS, SECONDS)]


def test_nothing_is_lost_while_brokers_stop_die_and_come_back(cluster: LocalCluster) -> None:
    topic = create(cluster, "under-load")
    load = Load(cluster.bootstrap, topic)
    load.start()
    try:
        load.await_progress()
        for number in (1, 2, 3):
            for away in ("stop", "kill"):
                cluster.command(away, number)
                load.await_progress()
                cluster.command("start", number)
                cluster.await_in_sync()
                load.await_progress()
    finally:
        load.stop()
    assert not load.failed
    found = read_numbers(cluster.bootstrap, topic)
    everything = [number for partition in found for number in partition]
    assert len(everything) == len(set(everything)), "a record was doubled"
    assert set(everything) == set(load.acknowledged)
    assert all(partition == sorted(partition) for partition in found), "order was lost"


def test_kafka_python_beside_it(cluster: LocalCluster) -> None:
    topic = create(cluster, "kafka-python")
    producer = KafkaProducer(bootstrap_servers=cluster.bootstrap, acks="all", retries=20)
    sent = [producer.send(topic, b"%d" % number) for number in range(200)]
    producer.flush(SECONDS)
    assert all(future.get(SECONDS) for future in sent)
    cluster.command("stop", 1)
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=cluster.bootstrap,
        group_id="kafka-python",
        auto_offset_reset="earliest",
        consumer_timeout_ms=20_000,
    )
    values: set[int] = set()
    for record in consumer:
        values.add(int(record.value))
        if len(values) == 200:
            break
    assert values == set(range(200))
    consumer.commit()
    consumer.close()
    producer.close()
    cluster.command("start", 1)
    cluster.await_in_sync()


def test_internal_topics_have_three_copies(cluster: LocalCluster) -> None:
    metadata = AdminClient({"bootstrap.servers": cluster.bootstrap}).list_topics(timeout=SECONDS)
    assert len(metadata.brokers) == 3
    offsets = metadata.topics["__consumer_offsets"]
    assert {len(partition.replicas) for partition in offsets.partitions.values()} == {3}
    assert {partition.leader for partition in offsets.partitions.values()} <= {1, 2, 3}


def test_all_comes_back_with_the_cluster(tmp_path: Path) -> None:
    bootstraps: list[str] = []
    for _ in range(2):
        with local_cluster(tmp_path / "data") as cluster:
            if not bootstraps:
                create(cluster, "kept")
                producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all"})
                for number in range(100):
                    producer.produce("kept", str(number))
                assert producer.flush(SECONDS) == 0
            bootstraps.append(cluster.bootstrap)
            found = read_numbers(cluster.bootstrap, "kept")
            assert sorted(number for partition in found for number in partition) == list(range(100))
