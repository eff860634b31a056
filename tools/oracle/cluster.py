"""A KRaft cluster of real Kafka brokers on loopback: properties, formatting, start and stop."""

import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from tools.oracle.jars import BRIEF, OracleError, java

HOST = "127.0.0.1"
CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"
START_SECONDS = 90
STOP_SECONDS = 30
ATTEMPTS = 3  # a free port may be taken by another program before Kafka binds it
IN_USE = "Address already in use"
FULL_HEAP = "1g"  # of kafka-server-start.sh


class Node:
    """One Kafka process with a server.properties; `folder` keeps what it prints.

    With less than the full heap it is one of a test's, which is to start soon: see BRIEF. `options`: of the JVM.
    """

    def __init__(
        self, properties: Path, port: int, folder: Path, heap: str = FULL_HEAP, options: tuple[str, ...] = ()
    ) -> None:
        self.properties = properties
        self.port = port
        self.output = folder / "out"
        command = java("kafka.Kafka", str(properties), heap=heap, options=options or jvm_options(heap))
        self.started = time.monotonic()
        with self.output.open("w") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)

    @property
    def pid(self) -> int:
        return self.process.pid

    def await_port(self) -> float:
        """Seconds from the start of the process until it accepts connections. Raises OracleError."""
        host = first_host(read_properties(self.properties))
        while time.monotonic() - self.started < START_SECONDS:
            if self.process.poll() is not None:
                raise OracleError(f"Kafka exited with {self.process.returncode}: {self.output.read_text()[-2000:]}")
            try:
                socket.create_connection((host, self.port), 0.2).close()
                return time.monotonic() - self.started
            except OSError:
                time.sleep(0.005)
        raise OracleError(f"port {self.port} did not open in {START_SECONDS} s, see {self.output}")

    def stop(self) -> None:
        """SIGTERM; SIGKILL for one that does not heed it."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Cluster:
    """Running nodes: node 1 is broker and controller, the others are brokers. A context manager that stops them."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self.ready_seconds = 0.0

    @property
    def bootstrap(self) -> str:
        return ",".join(f"{HOST}:{node.port}" for node in self.nodes)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        for node in reversed(self.nodes):
            node.stop()


def up(
    folder: Path, brokers: int = 1, port: int = 0, settings: Mapping[str, str] | None = None, heap: str = FULL_HEAP
) -> Cluster:
    """Starts a cluster with its data in `folder`, formatted where it is new; port 0: free ports. Raises OracleError."""
    for attempt in range(1, ATTEMPTS + 1):
        ports = free_ports(brokers + 1) if port == 0 else [*range(port, port + brokers), port + 100]
        try:
            return _start(folder, ports[:-1], ports[-1], settings or {}, heap)
        except OracleError as error:
            if port or IN_USE not in str(error) or attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _start(folder: Path, ports: list[int], controller_port: int, settings: Mapping[str, str], heap: str) -> Cluster:
    cluster = Cluster([])
    files = []
    for number, port in enumerate(ports, 1):
        node_folder = folder / f"n{number}"
        node_folder.mkdir(parents=True, exist_ok=True)
        files.append(node_folder / "server.properties")
        usual = node_properties(number, port, controller_port, len(ports), node_folder / "data")
        write_properties(files[-1], {**usual, **settings})
        if not (node_folder / "data").exists():
            format_storage(files[-1])
    with ExitStack() as stack:
        stack.callback(cluster.stop)
        for properties_file, port in zip(files, ports, strict=True):
            cluster.nodes.append(Node(properties_file, port, properties_file.parent, heap))
        cluster.ready_seconds = max([node.await_port() for node in cluster.nodes])
        stack.pop_all()
    return cluster


def node_properties(number: int, port: int, controller_port: int, brokers: int, data: Path) -> dict[str, str]:
    """A server.properties for a small machine: few partitions of the internal topics, no rebalance delay."""
    listener, controller = f"PLAINTEXT://{HOST}:{port}", f"CONTROLLER://{HOST}:{controller_port}"
    combined = number == 1
    replicas = str(min(3, brokers))
    return {
        "process.roles": "broker,controller" if combined else "broker",
        "node.id": str(number),
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "listeners": f"{listener},{controller}" if combined else listener,
        "advertised.listeners": listener,
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data),
        "num.partitions": "1",
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": "10",
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "10",
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "10",
        "group.initial.rebalance.delay.ms": "0",
    }


def jvm_options(heap: str) -> tuple[str, ...]:
    """What is measured has the full heap, and runs as by Kafka's own scripts."""
    return ("-XX:+UseG1GC",) if heap == FULL_HEAP else BRIEF


def write_properties(path: Path, properties: Mapping[str, str]) -> None:
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))


def read_properties(path: Path) -> dict[str, str]:
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}


def first_port(properties: Mapping[str, str]) -> int:
    return int(properties["listeners"].split(",")[0].rsplit(":", 1)[1])


def first_host(properties: Mapping[str, str]) -> str:
    """Loopback where the listener has none."""
    return properties["listeners"].split(",")[0].partition("://")[2].rsplit(":", 1)[0] or HOST


def format_storage(properties: Path, cluster_id: str = CLUSTER_ID, options: Iterable[str] = ()) -> None:
    """kafka-storage format. Raises OracleError."""
    command = java("kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(properties), *options)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise OracleError(f"formatting failed: {done.stdout[-2000:]}")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at the moment, all different."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]
