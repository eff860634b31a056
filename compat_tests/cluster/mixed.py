"""A cluster of both kinds: a controller of either, and brokers of both that hold replicas together."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic, PartitionMetadata

from compat_tests.cluster.namespaces import Network
from compat_tests.cluster.nodes import KafkaNode, OurNode, broker_settings, controller_settings, properties_file
from compat_tests.cluster.replicas import differences
from compat_tests.confluent.settings import KEEP_BROKERS
from compat_tests.java.tools import run
from tools.oracle.cluster import HOST, free_ports

OURS, KAFKA = "ours", "kafka"
CONTROLLER = "controller"
REASSIGN = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
ELECTION = "org.apache.kafka.tools.LeaderElectionCommand"
SECONDS = 120
# Three copies of everything.
THREE = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "leader.imbalance.check.interval.seconds": "3600",
    "replica.lag.time.max.ms": "10000",
    "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector",
}
Reassignment = Mapping[tuple[str, int], Iterable[int]]


class MixedCluster:
    """`kinds`: of the brokers by number. Racks are r1, r2, ... by number. `network`: has a place for each node, by its
    number or CONTROLLER, and who uses the cluster is in it too; else all are on loopback."""

    def __init__(
        self,
        folder: Path,
        controller: str,
        kinds: Mapping[int, str],
        *,
        dynamic: bool = False,
        network: Network | None = None,
        settings: Mapping[str, str] = THREE,
    ) -> None:
        self.folder = folder
        self.kinds = kinds
        self.network = network
        self.controller_port, *ports = free_ports(1 + len(kinds))
        self.addresses = {
            number: f"{self._host(str(number))}:{port}" for number, port in zip(kinds, ports, strict=True)
        }
        self.bootstrap = ",".join(self.addresses.values())
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0, **KEEP_BROKERS})
        self.dynamic = dynamic
        self._settings = settings
        host = self._host(CONTROLLER)
        own = controller_settings(folder, self.controller_port, dynamic=dynamic, host=host)
        self.controller = self._node(CONTROLLER, controller, own)
        self.brokers: dict[int, OurNode | KafkaNode] = {}
        for (number, kind), port in zip(kinds.items(), ports, strict=True):
            where = {"host": self._host(str(number)), "controller_host": host}
            own = broker_settings(folder, number, port, self.controller_port, dynamic=dynamic, **where)
            self.brokers[number] = self._node(str(number), kind, {**own, "broker.rack": f"r{number}"})

    def _host(self, name: str) -> str:
        return HOST if self.network is None else self.network.address(name)

    def _node(self, name: str, kind: str, settings: Mapping[str, str]) -> "OurNode | KafkaNode":
        path = properties_file(self.folder, {**settings, **self._settings})
        there = nullcontext if self.network is None else partial(self.network.inside, name)
        if kind == OURS:
            return OurNode(path, there)
        standalone = "--standalone" if settings["process.roles"] == "controller" else "--no-initial-controllers"
        return KafkaNode(path, *([standalone] if self.dynamic else []), there=there)

    def of_kind(self, kind: str) -> list[int]:
        return [number for number, each in self.kinds.items() if each == kind]

    def data(self, number: int) -> Path:
        return self.folder / f"node-{number}"

    def start(self) -> None:
        started = [self.controller, *self.brokers.values()]
        started.sort(key=lambda node: isinstance(node, OurNode))  # a broker of ours is ready only with the controller
        if isinstance(self.controller, OurNode):
            started.sort(key=lambda node: node is not self.controller)
        for node in started:
            node.start()
        for node in started:
            await_port(node)
        self.await_unfenced(*self.brokers)

    def stop(self) -> None:
        for node in (*self.brokers.values(), self.controller):
            end(node)

    def create(self, name: str, *replicas: list[int], **configs: str) -> str:
        """A topic with a partition for each list of replicas, the first of them its leader."""
        topic = NewTopic(name, len(replicas), replica_assignment=list(replicas), config=configs)
        self.admin.create_topics([topic])[name].result(SECONDS)
        self.await_isr(name, {number: set(each) for number, each in enumerate(replicas)})
        return name

    def partitions(self, topic: str) -> dict[int, PartitionMetadata]:
        found = self.admin.list_topics(topic, SECONDS).topics[topic].partitions
        return {number: found[number] for number in sorted(found)}

    def leaders(self, topic: str) -> list[int]:
        return [partition.leader for partition in self.partitions(topic).values()]

    def isr(self, topic: str) -> dict[int, set[int]]:
        return {number: set(partition.isrs) for number, partition in self.partitions(topic).items()}

    def replicas(self, topic: str) -> dict[int, list[int]]:
        return {number: list(partition.replicas) for number, partition in self.partitions(topic).items()}

    def unfenced(self) -> set[int]:
        return set(self.admin.list_topics(timeout=SECONDS).brokers)

    def await_unfenced(self, *numbers: int) -> float:
        return eventually(lambda: self.unfenced() == set(numbers), self.unfenced)

    def await_isr(self, topic: str, wanted: Mapping[int, set[int]]) -> float:
        """Of the partitions that are named."""
        return eventually(lambda: self.isr(topic).items() >= wanted.items(), lambda: self.isr(topic))

    def await_all_in_sync(self, *topics: str) -> None:
        for topic in topics:
            wanted = {number: set(replicas) for number, replicas in self.replicas(topic).items()}
            self.await_isr(topic, wanted)

    # -- Kafka's own tools

    def reassign(self, wanted: Reassignment, *options: str, action: str = "--execute") -> str:
        """What kafka-reassign-partitions says."""
        rows = [{"topic": t, "partition": p, "replicas": list(replicas)} for (t, p), replicas in wanted.items()]
        file = self.folder / "reassignment.json"
        file.write_text(json.dumps({"version": 1, "partitions": rows}))
        server = ("--bootstrap-server", self.bootstrap)
        return run(REASSIGN, *server, "--reassignment-json-file", str(file), action, *options)

    def elect_preferred(self, *topics: str) -> str:
        """Of these topics alone: on a busy machine another preferred leader may be away, which fails the tool."""
        rows = [{"topic": topic, "partition": number} for topic in topics for number in self.replicas(topic)]
        file = self.folder / "election.json"
        file.write_text(json.dumps({"partitions": rows}))
        server = ("--bootstrap-server", self.bootstrap)
        return run(ELECTION, *server, "--election-type", "preferred", "--path-to-json-file", str(file))

    # -- what lies on disk

    def differences(self, topic: str, number: int, replicas: Iterable[int] = ()) -> list[str]:
        """Between the copies of one partition, to be asked when nobody writes and all are in sync."""
        folders = [self.data(broker) / f"{topic}-{number}" for broker in replicas or self.brokers]
        return differences(folders)

    def complaints(self) -> list[str]:
        nodes = (self.controller, *self.brokers.values())
        return [line for node in nodes if isinstance(node, OurNode) for line in node.complaints()]


def eventually(
    holds: Callable[[], bool], instead: Callable[[], object] = lambda: "", seconds: float = SECONDS
) -> float:
    """The seconds it took; a question that fails is no answer yet. Fails with what there is instead."""
    started = time.monotonic()
    while True:
        try:
            if holds():
                return time.monotonic() - started
        except (KafkaException, KeyError):
            pass
        assert time.monotonic() - started < seconds, f"not within {seconds} s, but {instead()}"
        time.sleep(0.2)


def end(node: OurNode | KafkaNode) -> None:
    if isinstance(node, KafkaNode) or node.process is not None:
        node.stop()


def await_port(node: OurNode | KafkaNode) -> None:
    if isinstance(node, KafkaNode):
        node.await_port()


@contextmanager
def mixed_cluster(folder: Path, controller: str, *, dynamic: bool = False) -> Iterator[MixedCluster]:
    """Two nodes are Kafka's, two ours. The second broker of one's own kind is where the controller is the other's."""
    kinds = {1: KAFKA, 2: OURS, 3: OURS if controller == KAFKA else KAFKA}
    cluster = MixedCluster(folder, controller, kinds, dynamic=dynamic)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
    assert cluster.complaints() == []
