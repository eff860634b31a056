"""Starts either broker as a process of its own and reads its CPU time and memory (on Linux)."""

import compileall
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tools.oracle import cluster

ROOT = Path(__file__).resolve().parents[2]
# Both get the same where Kafka's defaults would not do for a small machine.
SETTINGS = {"group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "10"}


def compile_pykbroker() -> None:
    """As pip install leaves it, whatever PYTHONDONTWRITEBYTECODE says: to compile at every start is half of one."""
    if not compileall.compile_dir(ROOT / "pykbroker", quiet=1):
        raise RuntimeError("pykbroker cannot be compiled")


class Broker:
    """A running broker: its pid and address, and how long it took until it served.

    `realtime`: short loads run before everything else on the machine, which takes root. Otherwise a broker of one
    thread gets a smaller share of a busy machine than one of many.
    """

    realtime = False

    def __init__(self, pid: int, bootstrap: str, ready_seconds: float) -> None:
        self.pid = pid
        self.bootstrap = bootstrap
        self.ready_seconds = ready_seconds

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.bootstrap.rsplit(":", 1)
        return host, int(port)

    def cpu_seconds(self) -> float:
        """User and system time so far, of all its threads, to the nanosecond (clock_getcpuclockid on Linux)."""
        return time.clock_gettime(~self.pid << 3 | 2)

    def memory_mb(self) -> float:
        """Resident memory now."""
        return self._status("VmRSS")

    def peak_memory_mb(self) -> float:
        """The most resident memory since forget_peak()."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """For as long as a short load lasts, where `realtime` says so. Raises PermissionError."""
        if not self.realtime:
            yield
            return
        try:
            self._schedule(os.SCHED_RR, 1)
            yield
        finally:
            self._schedule(os.SCHED_OTHER, 0)

    def _schedule(self, policy: int, priority: int) -> None:
        """All threads of the broker, and the load."""
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            with suppress(ProcessLookupError):  # threads come and go
                os.sched_setscheduler(int(task.name), policy, os.sched_param(priority))
        os.sched_setscheduler(0, policy, os.sched_param(priority))

    def _status(self, field: str) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
        raise ValueError(f"no {field} for pid {self.pid}")

    def stop(self) -> None:
        raise NotImplementedError

    def kill(self) -> None:
        raise NotImplementedError


class Pykbroker(Broker):
    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "pykbroker", "serve", "--host", "127.0.0.1", "--port", "0"]
        command += ["--data-dir", str(folder / "data"), "--log-level", "warning"]
        for name, value in SETTINGS.items():
            command += ["--set", f"{name}={value}"]
        environment = {name: value for name, value in os.environ.items() if name != "PYKBROKER_VERIFY"}
        started = time.monotonic()
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if "ready: " not in line:
            raise RuntimeError(f"pykbroker did not start: {line!r}")
        super().__init__(self.process.pid, line.split("ready: ")[1].strip(), time.monotonic() - started)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self._await_end()

    def kill(self) -> None:
        self.process.kill()
        self._await_end()

    def _await_end(self) -> None:
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Kafka(Broker):
    def __init__(self, folder: Path) -> None:
        self.cluster = cluster.up(folder, settings=SETTINGS)
        super().__init__(self.cluster.nodes[0].pid, self.cluster.bootstrap, self.cluster.ready_seconds)

    def stop(self) -> None:
        self.cluster.stop()

    def kill(self) -> None:
        for node in self.cluster.nodes:
            node.process.kill()
            node.process.wait()
