"""Starts the broker under test as a user would: a process of its own, told apart only by its address."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ORACLE = ROOT / "tools" / "oracle" / "kafka.py"
READY = "pykbroker ready: "


class PykbrokerProcess:
    """`pykbroker serve` on a data directory that outlives it, so that a test can stop, kill and start it again."""

    def __init__(self, data_dir: Path, *settings: str) -> None:
        self.data_dir = data_dir
        self.settings = settings
        self.port = 0
        self.errors = data_dir.parent / f"{data_dir.name}.stderr"
        self.process: subprocess.Popen[str] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "pykbroker", "serve", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--data-dir", str(self.data_dir)]
        for setting in ("group.initial.rebalance.delay.ms=0", *self.settings):
            command += ["--set", setting]
        with self.errors.open("a") as errors:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PYKBROKER_VERIFY": "1"},
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith(READY):
            raise RuntimeError(f"pykbroker did not become ready: {line!r}\n{self.errors.read_text()}")
        self.port = int(line.rsplit(":", 1)[1])

    def stop(self) -> int:
        """SIGTERM and wait; the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL and wait: what a power cut leaves, but for the page cache."""
        return self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.process.stdout.close()
        self.process = None
        return code


@contextmanager
def pykbroker(data_dir: Path, *settings: str) -> Iterator[PykbrokerProcess]:
    broker = PykbrokerProcess(data_dir, *settings)
    broker.start()
    try:
        yield broker
    finally:
        if broker.process is not None:
            broker.stop()
    complaints = [line for line in broker.errors.read_text().splitlines() if "Traceback" in line]
    assert not complaints, f"the broker logged an error of ours: {broker.errors.read_text()[-4000:]}"


@contextmanager
def oracle() -> Iterator[str]:
    """The real Apache Kafka 4.3.1 on a free port; yields its bootstrap address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    if port + 100 > 65535:
        port -= 200
    name = f"compat-{os.getpid()}"
    output = subprocess.run(
        [sys.executable, str(ORACLE), "up", name, "--port", str(port), "--heap", "512m"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    try:
        yield json.loads(output.splitlines()[-1])["bootstrap"]
    finally:
        subprocess.run([sys.executable, str(ORACLE), "down", name], check=True)
