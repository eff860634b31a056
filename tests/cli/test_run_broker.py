"""The broker as a process: what its signals do, its exit codes, and what it leaves behind."""

import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import pytest

from pykbroker.cli.run_broker import BROKEN, LoopClock, run
from pykbroker.cli.storage import format_fresh
from pykbroker.config.broker_config import BrokerConfig

SECONDS = 30


@contextmanager
def serving(*arguments: str, stdin: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """A broker on a free port that has said that it is ready."""
    command = [sys.executable, "-m", "pykbroker", "serve", "--host", "127.0.0.1", "--port", "0", *arguments]
    with subprocess.Popen(command, stdin=stdin, stdout=PIPE, stderr=PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("pykbroker ready: 127.0.0.1:")
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_order(number: signal.Signals, tmp_path: Path) -> None:
    with serving("--data-dir", str(tmp_path)) as process:
        process.send_signal(number)
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert "stopping in order" in errors
    assert "Traceback" not in errors
    assert (tmp_path / ".kafka_cleanshutdown").exists()


def test_the_end_of_standard_input_stops_it_in_order(tmp_path: Path) -> None:
    with serving("--data-dir", str(tmp_path), "--stop-with-stdin", stdin=PIPE) as process:
        assert process.poll() is None
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert "standard input has ended: stopping" in errors
    assert (tmp_path / ".kafka_cleanshutdown").exists()


def test_standard_input_that_is_no_pipe_tells_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pykbroker", "--port", "0", "--data-dir", str(tmp_path), "--stop-with-stdin"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "pykbroker: --stop-with-stdin: standard input must be a pipe, a socket or a terminal\n"


def test_ephemeral_data_goes_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with serving("--ephemeral") as process:
        (folder,) = tmp_path.iterdir()
        assert (folder / "meta.properties").exists()
        process.terminate()
        process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


CLUSTER = "5L6g3nShT-eMCtK--X86sw"


def test_cluster_id_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLUSTER_ID", CLUSTER)
    for _ in range(2):
        with serving("--data-dir", str(tmp_path)) as process:
            process.terminate()
            process.communicate(timeout=SECONDS)
        assert process.returncode == 0
        assert f"cluster.id={CLUSTER}\n" in (tmp_path / "meta.properties").read_text()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("other", f"CLUSTER_ID=other: {{}} belongs to cluster {CLUSTER}, not other: give that cluster's id, or name"),
        ("two words", "CLUSTER_ID=two words: a cluster id is one word of letters"),
    ],
)
def test_another_cluster_id_is_refused(
    value: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    format_fresh(BrokerConfig({"log.dirs": str(tmp_path)}), CLUSTER)
    monkeypatch.setenv("CLUSTER_ID", value)
    done = subprocess.run(
        [sys.executable, "-m", "pykbroker", "--port", "0", "--data-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert message.format(tmp_path) in line


def test_a_directory_in_use_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    with serving("--data-dir", str(tmp_path)) as first:
        second = subprocess.run(
            [sys.executable, "-m", "pykbroker", "--port", "0", "--data-dir", str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert first.poll() is None
    assert second.returncode == 2
    assert second.stdout == ""
    (line,) = second.stderr.splitlines()
    assert f"{tmp_path} is in use by another broker" in line


def test_a_broken_broker_ends_with_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    class Broken:
        is_serving = is_stopping = False

        def __init__(self, config: BrokerConfig) -> None:
            return

        async def run(self, on_ready: object) -> None:
            raise ZeroDivisionError("a bug")

    monkeypatch.setattr("pykbroker.broker.Broker", Broken)
    with caplog.at_level(logging.CRITICAL):
        assert run(BrokerConfig({"log.dirs": str(tmp_path)}), on_ready=lambda host, port: None) == BROKEN
    assert "ZeroDivisionError: a bug" in caplog.text


def test_trios_time_is_the_brokers_time() -> None:
    clock = LoopClock()
    clock.start_clock()
    assert 0 <= clock.deadline_to_sleep_time(clock.current_time() + 5) <= 5
