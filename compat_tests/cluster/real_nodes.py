"""Real Kafka nodes of any role on a data directory that outlives them, and the settings by which ours joins them."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.oracle.cluster import HOST, Node, format_storage, free_ports, node_properties, write_properties

HEAP = "384m"
STATIC, DYNAMIC = "voters", "bootstrap.servers"
HEARTBEATS = "broker.heartbeat.interval.ms", "500"  # who starts or leaves need not wait for the next one for long


class RealNode:
    """Node 1 of a cluster: controller, or controller and broker; `quorum` says how others find it."""

    def __init__(self, folder: Path, quorum: str, roles: str = "broker,controller", *settings: str) -> None:
        """`settings`: name=value, over the usual ones."""
        self.folder = folder
        self._more = dict(setting.split("=", 1) for setting in settings)
        self.port, self.controller_port = free_ports(2)
        self.roles = roles
        where = f"{HOST}:{self.controller_port}"
        self.join = f"controller.quorum.voters=1@{where}" if quorum == STATIC else f"controller.quorum.{quorum}={where}"
        self.node: Node | None = None
        self._file = folder / "server.properties"
        self._write()
        format_storage(self._file, options=() if quorum == STATIC else ("--standalone",))

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.port}"

    def _write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        properties = node_properties(1, self.port, self.controller_port, 1, self.folder / "data")
        del properties["controller.quorum.voters"]
        name, _, value = self.join.partition("=")
        properties |= {name: value, "process.roles": self.roles, "default.replication.factor": "1"}
        properties |= dict([HEARTBEATS])
        if "broker" not in self.roles:
            properties["listeners"] = f"CONTROLLER://{HOST}:{self.controller_port}"
            del properties["advertised.listeners"], properties["inter.broker.listener.name"]
        write_properties(self._file, properties | self._more)

    def start(self) -> None:
        port = self.port if "broker" in self.roles else self.controller_port
        self.node = Node(self._file, port, self.folder, HEAP)
        self.node.await_port()

    def stop(self) -> None:
        if self.node is not None:
            self.node.stop()
            self.node = None

    def kill(self) -> None:
        assert self.node is not None
        os.kill(self.node.pid, signal.SIGKILL)
        self.node.process.wait()
        self.node = None

    def settings(self, number: int) -> list[str]:
        """With which pykbroker joins as broker `number`."""
        return [
            "process.roles=broker",
            f"node.id={number}",
            self.join,
            "controller.listener.names=CONTROLLER",
            "offsets.topic.num.partitions=10",
            "offsets.topic.replication.factor=1",
            "transaction.state.log.num.partitions=10",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1",
            "=".join(HEARTBEATS),
        ]


@contextmanager
def real_node(folder: Path, quorum: str, roles: str = "broker,controller", *settings: str) -> Iterator[RealNode]:
    node = RealNode(folder, quorum, roles, *settings)
    try:
        node.start()
        yield node
    finally:
        node.stop()
