"""Starts either broker as a process of its own and reads its CPU time and memory from /proc."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ORACLE = ROOT / "tools" / "oracle" / "kafka.py"
TICKS = os.sysconf("SC_CLK_TCK")


class Broker:
    """A running broker: its name in the report, pid and address."""

    ready_seconds: float

    def __init__(self, name: str, pid: int, bootstrap: str) -> None:
        self.name = name
        self.pid = pid
        self.bootstrap = bootstrap

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.bootstrap.rsplit(":", 1)
        return host, int(port)

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mb(self, field: str = "VmRSS") -> float:
        """Resident memory now, or at its peak with VmHWM."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
        raise ValueError(f"no {field} for pid {self.pid}")

    def stop(self) -> None:
        raise NotImplementedError


class Pykbroker(Broker):
    def __init__(self, data_dir: Path, *settings: str) -> None:
        started = time.monotonic()
        command = [sys.executable, "-m", "pykbroker", "serve", "--host", "127.0.0.1", "--port", "0"]
        command += ["--data-dir", str(data_dir), "--set", "group.initial.rebalance.delay.ms=0"]
        for setting in settings:
            command += ["--set", setting]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if "ready: " not in line:
            raise RuntimeError(f"pykbroker did not start: {line!r}")
        self.ready_seconds = time.monotonic() - started
        super().__init__("pykbroker", self.process.pid, line.split("ready: ")[1].strip())

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Kafka(Broker):
    def __init__(self, *settings: str) -> None:
        self.run = f"bench-{os.getpid()}-{time.monotonic_ns()}"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = min(probe.getsockname()[1], 65000)
        started = time.monotonic()
        command = [sys.executable, str(ORACLE), "up", self.run, "--port", str(port)]
        if settings:
            command += ["--set", *settings]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        told = json.loads(output.splitlines()[-1])
        self.ready_seconds = time.monotonic() - started - told["format_s"]
        super().__init__("Kafka 4.3.1", told["pids"][0], told["bootstrap"])

    def stop(self) -> None:
        subprocess.run([sys.executable, str(ORACLE), "down", self.run], check=True)
        home = Path(os.environ.get("KAFKA_ORACLE", Path.home() / ".cache" / "kafka-oracle"))
        shutil.rmtree(home / "run" / self.run, ignore_errors=True)
