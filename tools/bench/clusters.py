"""Three brokers of either kind as processes: started, killed, stopped in order, started again; their CPU and memory."""

import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pykbroker.cli.cluster import ask
from tools.bench.processes import ROOT
from tools.oracle import cluster

BROKERS = 3
SETTINGS = {
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "10",
    "transaction.state.log.num.partitions": "10",
}
STOPS_WITHIN = 60  # seconds
IN_MB = 1024  # kB, as /proc tells


class Brokers(ABC):
    """`restartable`: those that do not take the only controller with them. `started`: monotonic seconds."""

    restartable: Sequence[int] = ()

    def __init__(self, addresses: Sequence[tuple[str, int]], started: float) -> None:
        self.addresses = addresses
        self.started = started

    @property
    def bootstrap(self) -> str:
        return ",".join(f"{host}:{port}" for host, port in self.addresses)

    @abstractmethod
    def pids(self) -> list[int]:
        """Of all processes."""

    @abstractmethod
    def kill(self, number: int) -> None: ...

    @abstractmethod
    def stop_one(self, number: int) -> None:
        """In order."""

    @abstractmethod
    def start_one(self, number: int) -> None:
        """Returns when it serves."""

    @abstractmethod
    def stop(self) -> None: ...

    def cpu_seconds(self) -> float:
        """Of all processes that live (clock_getcpuclockid on Linux)."""
        return sum(time.clock_gettime(~pid << 3 | 2) for pid in self.pids())

    def memory_mb(self) -> float:
        """Of all processes, what they share counted once (Pss on Linux)."""
        return sum(kilobytes(f"/proc/{pid}/smaps_rollup", "Pss") for pid in self.pids()) / IN_MB

    def resident_mb(self) -> float:
        return sum(kilobytes(f"/proc/{pid}/status", "VmRSS") for pid in self.pids()) / IN_MB


class Ours(Brokers):
    restartable = (1, 2, 3)

    def __init__(self, folder: Path) -> None:
        self.directory = folder / "data"
        command = [sys.executable, "-m", "pykbroker", "serve", "--brokers", str(BROKERS), "--host", "127.0.0.1"]
        command += ["--port", "0", "--data-dir", str(self.directory), "--log-level", "warning"]
        for name, value in SETTINGS.items():
            command += ["--set", f"{name}={value}"]
        environment = {name: value for name, value in os.environ.items() if name != "PYKBROKER_VERIFY"}
        started = time.monotonic()
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if "ready: " not in line:
            raise RuntimeError(f"the cluster did not start: {line!r}")
        texts = line.split("ready: ")[1].strip().split(",")
        super().__init__([(text.rsplit(":", 1)[0], int(text.rsplit(":", 1)[1])) for text in texts], started)

    def pids(self) -> list[int]:
        return with_children(self.process.pid)

    def kill(self, number: int) -> None:
        """As a crash would: the console is not told."""
        (pid,) = (row["pid"] for row in ask(str(self.directory), "status")["brokers"] if row["broker"] == number)
        os.kill(pid, signal.SIGKILL)

    def stop_one(self, number: int) -> None:
        self._command("stop", number)

    def start_one(self, number: int) -> None:
        self._command("start", number)

    def _command(self, name: str, number: int) -> None:
        if error := ask(str(self.directory), name, number)["error"]:
            raise RuntimeError(f"cluster {name} {number}: {error}")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(STOPS_WITHIN)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Real(Brokers):
    """Apache Kafka: a broker that is the controller too, and two brokers. Formatting does not count."""

    restartable = (2, 3)

    def __init__(self, folder: Path) -> None:
        self.cluster = cluster.up(folder, BROKERS, settings=SETTINGS)
        started = min(node.started for node in self.cluster.nodes)
        super().__init__([(cluster.HOST, node.port) for node in self.cluster.nodes], started)

    def pids(self) -> list[int]:
        return [node.pid for node in self.cluster.nodes if node.process.poll() is None]

    def kill(self, number: int) -> None:
        process = self.cluster.nodes[number - 1].process
        process.kill()
        process.wait()

    def stop_one(self, number: int) -> None:
        self.cluster.nodes[number - 1].stop()

    def start_one(self, number: int) -> None:
        old = self.cluster.nodes[number - 1]
        new = cluster.Node(old.properties, old.port, old.properties.parent)
        self.cluster.nodes[number - 1] = new
        new.await_port()

    def stop(self) -> None:
        self.cluster.stop()


def with_children(pid: int) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, ())
    return found


def kilobytes(path: str, field: str) -> int:
    for line in Path(path).read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise ValueError(f"no {field} in {path}")
