"""pykbroker as the only broker of a real Kafka controller that is nothing else, as Kafka's own tools see it."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from compat_tests.brokers import pykbroker
from compat_tests.cluster.real_nodes import DYNAMIC, real_node
from compat_tests.cluster.test_joins_kafka import OURS, THEIRS, Pair, done, eventually, read, send
from tools.oracle.jars import java

LATE = 3
pytestmark = [pytest.mark.own_broker, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("cluster")
    often = "metadata.log.max.record.bytes.between.snapshots=4000"
    few = "offsets.topic.num.partitions=3", often
    with (
        real_node(folder / "n1", DYNAMIC, "controller", often) as kafka,
        pykbroker(folder / "n2", *kafka.settings(OURS), *few) as ours,
    ):
        yield Pair(kafka, ours)


def tool(*arguments: str) -> str:
    command = java("org.apache.kafka.tools.MetadataQuorumCommand", *arguments, heap="128m")
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_topics_come_by_themselves(pair: Pair, topic: str) -> None:
    send(pair, topic, "a", "b")
    assert read(pair, topic, 2) == ["a", "b"]
    assert pair.leaders(topic) == [OURS]


def test_replicas_that_nobody_can_hold_are_refused(pair: Pair, topic: str) -> None:
    with pytest.raises(KafkaException, match="INVALID_REPLICATION_FACTOR"):
        done(pair.admin.create_topics([NewTopic(topic, 1, 2)]))


def test_the_quorum_tool_sees_an_observer_that_keeps_up(pair: Pair) -> None:
    told = tool("--bootstrap-server", pair.ours.bootstrap, "describe", "--replication")
    rows = {int(columns[0]): columns for line in told.splitlines()[1:] if (columns := line.split())}
    assert (rows[THEIRS][-1], rows[OURS][-1]) == ("Leader", "Observer")
    assert int(rows[OURS][3]) <= 2, told


def test_it_snapshots_its_metadata_and_starts_from_that(pair: Pair, unique: Callable[[str], str]) -> None:
    folder = pair.ours.data_dir / "__cluster_metadata-0"
    names = [pair.create(unique("many"), OURS) for _ in range(30)]
    eventually(lambda: len(list(folder.glob("*-*.checkpoint"))) > 1)
    assert pair.ours.stop() == 0
    pair.ours.start()
    known = pair.admin.list_topics(timeout=30).topics
    assert known.keys() >= set(names)


def test_who_comes_late_begins_with_the_controllers_snapshot(
    pair: Pair, topic: str, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    pair.create(topic, OURS)
    theirs = pair.kafka.folder / "data" / "__cluster_metadata-0"
    with pykbroker(tmp_path / "n3", *pair.kafka.settings(LATE)) as late:
        folder = late.data_dir / "__cluster_metadata-0"
        (snapshot,) = folder.glob("*-*.checkpoint")
        assert snapshot.read_bytes() == (theirs / snapshot.name).read_bytes()
        (log,) = folder.glob("*.log")
        assert int(log.stem) == int(snapshot.name.split("-")[0]) > 0
        assert topic in AdminClient({"bootstrap.servers": late.bootstrap}).list_topics(timeout=30).topics
        on_it = pair.create(unique("late"), LATE)
        send(pair, on_it, "a")
        assert read(pair, on_it, 1) == ["a"]


def test_what_it_stores_kafkas_own_tool_reads(pair: Pair) -> None:
    folder = pair.ours.data_dir / "__cluster_metadata-0"
    files = [*folder.glob("*.log"), *folder.glob("*-*.checkpoint")]
    command = java(
        "org.apache.kafka.tools.DumpLogSegments",
        "--cluster-metadata-decoder",
        "--files",
        ",".join(map(str, files)),
        heap="128m",
    )
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert dumped.count("SnapshotFooter") == len(files) - len(list(folder.glob("*.log")))
    assert "REGISTER_BROKER_RECORD" in dumped
    assert "isvalid: false" not in dumped
    assert "Error" not in dumped
