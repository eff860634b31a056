"""A quorum of real controllers, one JVM each, and the settings by which brokers of ours join it."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compat_tests.brokers import ROOT
from compat_tests.cluster.nodes import CLUSTER_ID, USUAL, KafkaNode, OurNode, properties_file
from pykbroker.ids import Uuid
from tools.oracle.cluster import HOST, free_ports

CONTROLLERS = (101, 102, 103)


class RealQuorum:
    """`dynamic`: brokers know it by controller.quorum.bootstrap.servers, and its voters stand in the log (KIP-853)."""

    def __init__(self, folder: Path, *, dynamic: bool) -> None:
        self.folder = folder
        self._ports = dict(zip(CONTROLLERS, free_ports(len(CONTROLLERS)), strict=True))
        addresses = {number: f"{HOST}:{port}" for number, port in self._ports.items()}
        self.join = (
            {"controller.quorum.bootstrap.servers": ",".join(addresses.values())}
            if dynamic
            else {"controller.quorum.voters": ",".join(f"{number}@{each}" for number, each in addresses.items())}
        )
        files = {number: properties_file(folder, self._controller(number)) for number in addresses}
        self.controllers = {number: KafkaNode(file) for number, file in files.items()}
        voters = ",".join(f"{number}@{each}:{Uuid.random()}" for number, each in addresses.items())
        for number, node in self.controllers.items():
            alone = f"controller.quorum.voters={number}@{addresses[number]}"  # static ones are not written to disk
            format_by_ours(node.properties, *(["-I", voters] if dynamic else ["--set", alone]))

    def _controller(self, number: int) -> dict[str, str]:
        return {
            **USUAL,
            **self.join,
            "process.roles": "controller",
            "node.id": str(number),
            "listeners": f"CONTROLLER://{HOST}:{self._ports[number]}",
            "log.dirs": str(self.folder / f"node-{number}"),
        }

    def start(self, *numbers: int) -> None:
        for number in numbers or CONTROLLERS:
            self.controllers[number].start()
        for number in numbers or CONTROLLERS:
            self.controllers[number].await_port()

    def stop(self) -> None:
        """A single one would wait for the others to elect it before it goes."""
        for node in self.controllers.values():
            if node.is_running:
                node.kill()

    def broker(self, number: int) -> OurNode:
        """Of ours, not yet started."""
        (port,) = free_ports(1)
        settings = {
            **USUAL,
            **self.join,
            "process.roles": "broker",
            "node.id": str(number),
            "listeners": f"PLAINTEXT://{HOST}:{port}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
            "log.dirs": str(self.folder / f"node-{number}"),
        }
        return OurNode(properties_file(self.folder, settings))


def format_by_ours(properties: Path, *options: str) -> None:
    """It writes what kafka-storage does, and needs no JVM."""
    command = [sys.executable, "-m", "pykbroker", "format", "--config", str(properties), "--cluster-id", CLUSTER_ID]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def real_quorum(folder: Path, *, dynamic: bool) -> Iterator[RealQuorum]:
    quorum = RealQuorum(folder, dynamic=dynamic)
    try:
        quorum.start()
        yield quorum
    finally:
        quorum.stop()


@contextmanager
def hanging(node: KafkaNode) -> Iterator[None]:
    """Stopped by SIGSTOP: its connections stay, and nothing is answered."""
    node.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        node.signal(signal.SIGCONT)
