"""The README's recipe: from pykbroker to Kafka and back while clients go on, and the same files for either.

Node 1 is pykbroker, broker and controller; Kafka's brokers 2 and 3 join it and take over its partitions; then Kafka
takes over node 1 with its metadata log. The way back is the same.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from compat_tests.brokers import pykbroker
from compat_tests.cluster.mixed import KAFKA, OURS, REASSIGN, MixedCluster, await_port, end, eventually
from compat_tests.cluster.nodes import KafkaNode, OurNode, properties_file
from compat_tests.confluent.settings import KEEP_BROKERS
from compat_tests.history.clients import Feeder, Reader, Writer
from compat_tests.history.runs import Run, verify
from compat_tests.java.tools import run
from tools.oracle.cluster import CLUSTER_ID, HOST, free_ports

pytestmark = [pytest.mark.own_broker, pytest.mark.timeout(900)]
CLUSTER = "org.apache.kafka.tools.ClusterTool"
FEATURES = "org.apache.kafka.tools.FeatureCommand"
# What the quorum was before it was a dynamic one.
BORN = ("dynamic", "static") if os.environ.get("PYKBROKER_MIXED") == "all" else ("dynamic",)
PATIENCE = 90
SECONDS = 60
INTERNAL = ("__consumer_offsets", "__transaction_state")
FEW = {"offsets.topic.num.partitions": "3", "transaction.state.log.num.partitions": "3"}
SINGLE = {
    **FEW,
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "broker.heartbeat.interval.ms": "500",
}


class House:
    """The three files of the recipe, and who runs on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.controller_port, *ports = free_ports(4)
        self.ports = dict(enumerate(ports, 1))
        self.bootstrap = ",".join(f"{HOST}:{port}" for port in ports)
        self.data = folder / "node-1"
        files = {number: properties_file(folder, self.settings(number)) for number in self.ports}
        self.ours = OurNode(files[1])
        self.kafka = {number: KafkaNode(files[number]) for number in files}
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0, **KEEP_BROKERS})

    def settings(self, number: int) -> dict[str, str]:
        controller = f",CONTROLLER://{HOST}:{self.controller_port}" if number == 1 else ""
        return {
            **SINGLE,
            "process.roles": "broker,controller" if number == 1 else "broker",
            "node.id": str(number),
            "controller.quorum.voters": f"1@{HOST}:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{HOST}:{self.ports[number]}{controller}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{self.ports[number]}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": str(self.folder / f"node-{number}"),
        }

    def start_kafka(self, *numbers: int) -> None:
        for number in numbers:
            self.kafka[number].start()
        for number in numbers:
            self.kafka[number].await_port()

    def stop(self) -> None:
        for number in (3, 2, 1):
            self.kafka[number].stop()
        if self.ours.process is not None:
            self.ours.stop()

    def await_brokers(self, *numbers: int) -> None:
        def known() -> set[int]:
            return set(self.admin.list_topics(timeout=SECONDS).brokers)

        eventually(lambda: known() == set(numbers), known, PATIENCE)

    def leaders(self, *topics: str) -> set[int]:
        known = self.admin.list_topics(timeout=SECONDS).topics
        return {partition.leader for topic in topics for partition in known[topic].partitions.values()}

    def create(self, topic: str, partitions: int = 1) -> None:
        self.admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(SECONDS)

    def move_to(self, brokers: str, *topics: str) -> None:
        """kafka-reassign-partitions --generate, --execute, and --verify until it is done."""
        tool = (REASSIGN, "--bootstrap-server", self.bootstrap)
        asked = self.folder / "topics.json"
        asked.write_text(json.dumps({"version": 1, "topics": [{"topic": topic} for topic in topics]}))
        generated = run(*tool, "--topics-to-move-json-file", str(asked), "--broker-list", brokers, "--generate")
        plan = self.folder / "plan.json"
        plan.write_text(generated.split("Proposed partition reassignment configuration")[1].strip())
        run(*tool, "--reassignment-json-file", str(plan), "--execute")
        wanted = {int(number) for number in brokers.split(",")}
        eventually(lambda: self.leaders(*topics) <= wanted, lambda: self.leaders(*topics), PATIENCE)
        verified = run(*tool, "--reassignment-json-file", str(plan), "--verify")
        assert "is still in progress" not in verified


@contextmanager
def house(folder: Path) -> Iterator[House]:
    made = House(folder)
    with ExitStack() as stack:
        stack.callback(made.stop)
        yield made
    assert made.ours.complaints() == []


def clients(house: House) -> Run:
    seed = str(time.time_ns() % 1_000_000)
    print(f"seed {seed}")
    one = Run(house.bootstrap, seed, f"moving-{seed}", house.create)
    for kind, name in ((Feeder, "feeder"), (Writer, "writer"), (Reader, "reader")):
        client = one.add(kind, name)
        if isinstance(client, Feeder):
            client.pause = 0.05  # what lies there is to be moved
    one.add_group("member", 2)
    one.add_pipeline(1)
    return one


def await_more(one: Run) -> None:
    """Transactions of writers and pipelines are committed that were begun by now."""
    wanted = one.committed() + 10
    eventually(lambda: one.committed() >= wanted, one.figures, PATIENCE)


def metadata_log(house: House) -> bytes:
    return (house.data / "__cluster_metadata-0" / f"{0:020}.log").read_bytes()


def test_to_kafka_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER_ID", CLUSTER_ID)
    with house(tmp_path) as here:
        begin_alone(here)
        here.ours.start()
        one = clients(here)
        one.start()
        try:
            await_more(one)
            to_kafka(here, one)
            back(here, one)
        finally:
            one.stop()
        verify(one)
        here.ours.stop()
        end_alone(here, one.topic)


def begin_alone(here: House) -> None:
    """As everybody begins: without a listener for other nodes."""
    settings = [f"{name}={value}" for name, value in SINGLE.items()]
    with pykbroker(here.data, *settings, port=here.ports[1]) as single:
        admin = AdminClient({"bootstrap.servers": single.bootstrap})
        admin.create_topics([NewTopic("first", 1, 1)])["first"].result(SECONDS)
    assert f"cluster.id={CLUSTER_ID}\n" in (here.data / "meta.properties").read_text()


def to_kafka(here: House, one: Run) -> None:
    here.start_kafka(2, 3)
    here.await_brokers(1, 2, 3)
    await_more(one)
    topics = ("first", one.topic, one.target, *INTERNAL)
    here.move_to("2,3", *topics)
    await_more(one)

    assert here.ours.stop() == 0
    written = metadata_log(here)
    here.start_kafka(1)
    here.await_brokers(1, 2, 3)
    assert metadata_log(here).startswith(written), "Kafka did not go on in our log"
    assert here.leaders(*topics) <= {2, 3}
    here.create("made-by-Kafka")
    await_more(one)


def back(here: House, one: Run) -> None:
    here.kafka[1].stop()
    written = metadata_log(here)
    here.ours.start()
    here.await_brokers(1, 2, 3)
    assert metadata_log(here).startswith(written), "we did not go on in Kafka's log"
    here.create("made-by-us")
    await_more(one)
    here.move_to("1", "first", one.topic, one.target, "made-by-Kafka", "made-by-us", *INTERNAL)
    await_more(one)
    for number in (2, 3):
        here.kafka[number].stop()
        told = run(CLUSTER, "unregister", "--bootstrap-server", here.bootstrap, "--id", str(number))
        assert f"Broker {number} is no longer registered." in told
    await_more(one)


@pytest.mark.parametrize("born", BORN)
def test_the_controller_of_a_dynamic_quorum_changes_its_kind(tmp_path: Path, born: str) -> None:
    """Its voter is named in the log (KIP-853), by its directory; brokers of both kinds stay where they are."""
    cluster = MixedCluster(tmp_path, OURS, {1: OURS, 2: KAFKA}, dynamic=born == "dynamic")
    first = cluster.controller
    with ExitStack() as stack:
        stack.callback(cluster.stop)
        cluster.start()
        cluster.create("ours-0", [1, 2], [2, 1])
        if born == "static":
            told = run(FEATURES, "--bootstrap-server", cluster.bootstrap, "upgrade", "--release-version", "4.3")
            assert "kraft.version was upgraded to 1." in told
        for number, node in enumerate((KafkaNode(first.properties), first), 1):
            end(cluster.controller)
            cluster.controller = node
            node.start()
            await_port(node)
            cluster.create(f"more-{number}", [1, 2], [2, 1])
            assert cluster.unfenced() == {1, 2}
        assert cluster.leaders("ours-0") == [1, 2]
    assert cluster.complaints() == []


def end_alone(here: House, topic: str) -> None:
    settings = [f"{name}={value}" for name, value in SINGLE.items()]
    with pykbroker(here.data, *settings, port=here.ports[1]) as single:
        known = AdminClient({"bootstrap.servers": single.bootstrap}).list_topics(timeout=SECONDS)
        assert {"first", topic, "made-by-Kafka", "made-by-us", *INTERNAL} <= known.topics.keys()
        assert set(known.brokers) == {1}
        leaders = {partition.leader for each in known.topics.values() for partition in each.partitions.values()}
        assert leaders == {1}
