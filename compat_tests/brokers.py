"""Starts the broker under test as a user would: a process of its own, told apart only by its address."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.oracle import cluster

ROOT = Path(__file__).resolve().parent.parent
READY = "pykbroker ready: "


class Served:
    """A process of `pykbroker serve`; what it says on stderr is kept in the file `errors`, start after start."""

    def __init__(self, errors: Path) -> None:
        self.errors = errors
        self.process: subprocess.Popen[str] | None = None

    def _serve(self, *arguments: str, **environment: str) -> str:
        """Starts it; where it is ready. Raises RuntimeError with what it says instead."""
        with self.errors.open("a") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pykbroker", "serve", *arguments],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PYKBROKER_VERIFY": "1", **environment},
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith(READY):
            raise RuntimeError(f"pykbroker did not become ready: {line!r}\n{self.errors.read_text()}")
        return line.removeprefix(READY).strip()

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


class PykbrokerProcess(Served):
    """On a data directory that outlives it, so that a test can stop, kill and start it again."""

    def __init__(self, data_dir: Path, *settings: str, port: int = 0) -> None:
        super().__init__(data_dir.parent / f"{data_dir.name}.stderr")
        self.data_dir = data_dir
        self.settings = settings
        self.port = port

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        where = ("--host", "127.0.0.1", "--port", str(self.port), "--data-dir", str(self.data_dir))
        ready = self._serve(*where, *(part for setting in self.settings for part in ("--set", setting)))
        self.port = int(ready.rsplit(":", 1)[1])


@contextmanager
def pykbroker(data_dir: Path, *settings: str, port: int = 0) -> Iterator[PykbrokerProcess]:
    broker = PykbrokerProcess(data_dir, *settings, port=port)
    broker.start()
    try:
        yield broker
    finally:
        if broker.process is not None:
            broker.stop()
    complaints = [line for line in broker.errors.read_text().splitlines() if "Traceback" in line]
    assert not complaints, f"the broker logged an error of ours: {broker.errors.read_text()[-4000:]}"


@contextmanager
def oracle(*settings: str) -> Iterator[str]:
    """The real Apache Kafka 4.3.1 on a free port, its data for this run only; yields its bootstrap address."""
    chosen = dict(setting.split("=", 1) for setting in settings)
    with (
        tempfile.TemporaryDirectory(prefix="pykbroker-oracle-", ignore_cleanup_errors=True) as folder,
        cluster.up(Path(folder), settings=chosen, heap="512m") as running,
    ):
        yield running.bootstrap
