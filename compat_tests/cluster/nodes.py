"""Nodes of a cluster, ours and real ones, each a process with a server.properties of its own."""

import signal
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from compat_tests.brokers import Served
from tools.oracle.cluster import HOST, Node, first_port, format_storage, read_properties, write_properties

# A node's process is started in it.
Place = Callable[[], AbstractContextManager[object]]
CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"
CONTROLLER_ID = 100
# Small: the tests have little memory and few cores.
USUAL = {
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "offsets.topic.num.partitions": "3",
    "offsets.topic.replication.factor": "2",
    "transaction.state.log.num.partitions": "3",
    "transaction.state.log.replication.factor": "2",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # Who starts, stops or dies is noticed sooner.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "6000",
}


def quorum_settings(port: int, *, dynamic: bool, host: str = HOST) -> dict[str, str]:
    """How every node finds the controller."""
    if dynamic:
        return {"controller.quorum.bootstrap.servers": f"{host}:{port}"}
    return {"controller.quorum.voters": f"{CONTROLLER_ID}@{host}:{port}"}


def controller_settings(folder: Path, port: int, *, dynamic: bool, host: str = HOST) -> dict[str, str]:
    return {
        **USUAL,
        **quorum_settings(port, dynamic=dynamic, host=host),
        "process.roles": "controller",
        "node.id": str(CONTROLLER_ID),
        "listeners": f"CONTROLLER://{host}:{port}",
        "log.dirs": str(folder / f"node-{CONTROLLER_ID}"),
    }


def broker_settings(
    folder: Path,
    node_id: int,
    port: int,
    controller_port: int,
    *,
    dynamic: bool,
    host: str = HOST,
    controller_host: str = HOST,
) -> dict[str, str]:
    return {
        **USUAL,
        **quorum_settings(controller_port, dynamic=dynamic, host=controller_host),
        "process.roles": "broker",
        "node.id": str(node_id),
        "listeners": f"PLAINTEXT://{host}:{port}",
        "advertised.listeners": f"PLAINTEXT://{host}:{port}",
        "log.dirs": str(folder / f"node-{node_id}"),
    }


def properties_file(folder: Path, settings: Mapping[str, str]) -> Path:
    path = folder / f"node-{settings['node.id']}.properties"
    write_properties(path, settings)
    return path


class OurNode(Served):
    """`pykbroker serve --config`, which formats itself; of the cluster CLUSTER_ID. `there`: where it is started."""

    def __init__(self, properties: Path, there: Place = nullcontext) -> None:
        super().__init__(properties.with_suffix(".stderr"))
        self.properties = properties
        self.there = there
        self.port = first_port(read_properties(properties))

    def start(self) -> None:
        with self.there():
            self._serve("--config", str(self.properties), CLUSTER_ID=CLUSTER_ID)

    def complaints(self) -> list[str]:
        """Errors of ours that it logged."""
        return [line for line in self.errors.read_text().splitlines() if "Traceback" in line or "ERROR" in line]


class KafkaNode:
    """A real Kafka 4.3.1; formatted where its directory is new. `there`: where it is started."""

    def __init__(self, properties: Path, *format_options: str, there: Place = nullcontext) -> None:
        self.properties = properties
        self.there = there
        self.port = first_port(read_properties(properties))
        self._format_options = format_options
        self._node: Node | None = None

    def start(self) -> None:
        if not Path(read_properties(self.properties)["log.dirs"]).exists():
            format_storage(self.properties, CLUSTER_ID, self._format_options)
        folder = self.properties.with_suffix("")
        folder.mkdir(exist_ok=True)
        with self.there():
            self._node = Node(self.properties, self.port, folder, heap="256m")

    def await_port(self) -> None:
        assert self._node is not None
        self._node.await_port()

    def stop(self) -> None:
        """SIGTERM and wait."""
        if self._node is not None:
            self._node.stop()
            self._node = None

    def kill(self) -> None:
        assert self._node is not None
        self._node.process.kill()
        self._node.process.wait()
        self._node = None

    def signal(self, number: signal.Signals) -> None:
        assert self._node is not None
        self._node.process.send_signal(number)

    @property
    def is_running(self) -> bool:
        return self._node is not None
