"""A console with its brokers as processes: commands, signals, and what is left when it dies."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pykbroker.cli.cluster import ask
from pykbroker.log.log_dir import DirectoryLock, LogDirError

SECONDS = 60


class Served:
    """`pykbroker serve --brokers`, ready; `addresses` are those of its line."""

    def __init__(self, directory: Path, brokers: int, *arguments: str) -> None:
        self.directory = str(directory)
        command = [sys.executable, "-m", "pykbroker", "serve", "--host", "127.0.0.1", "--port", "0"]
        command += ["--brokers", str(brokers), "--data-dir", self.directory, *arguments]
        self.errors = (directory.parent / "errors").open("w+")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("pykbroker ready: "), self.told()
        self.addresses = line.removeprefix("pykbroker ready: ").strip().split(",")

    def told(self) -> str:
        self.errors.flush()
        return Path(self.errors.name).read_text()

    def ask(self, command: str, broker: int | None = None) -> dict[str, Any]:
        return ask(self.directory, command, broker)

    def states(self) -> list[str]:
        return [row["state"] for row in self.ask("status")["brokers"]]

    def pids(self) -> list[int]:
        return [row["pid"] for row in self.ask("status")["brokers"]]

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)


@contextlib.contextmanager
def serving(directory: Path, brokers: int, *arguments: str) -> Iterator[Served]:
    served = Served(directory, brokers, *arguments)
    try:
        yield served
    finally:
        served.process.kill()
        served.process.communicate()
        served.errors.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("console") / "data", 2) as made:
        yield made


def await_true(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_all_serve_on_ports_of_their_own(served: Served) -> None:
    assert len(set(served.addresses)) == 2
    for address in served.addresses:
        host, _, port = address.rpartition(":")
        socket.create_connection((host, int(port)), SECONDS).close()
    assert served.states() == ["serving", "serving"]
    found = sorted(path.name for path in Path(served.directory).iterdir())
    assert found == [".lock", "broker-1", "broker-2", "console.sock", "controller"]


def test_a_broker_is_stopped_and_comes_back_at_its_address(served: Served) -> None:
    assert served.ask("stop", 2) == {"error": ""}
    assert served.states() == ["serving", "stopped"]
    assert served.ask("start", 2) == {"error": ""}
    assert [row["address"] for row in served.ask("status")["brokers"]] == served.addresses
    assert served.states() == ["serving", "serving"]


def test_a_broker_that_dies_is_fenced_at_once_and_told(served: Served) -> None:
    os.kill(served.pids()[0], signal.SIGKILL)
    await_true(lambda: served.states()[0] == "died" and served.ask("status")["brokers"][0]["fenced"])
    command = f"pykbroker cluster --data-dir {served.directory}"
    assert f"ended by signal 9; `{command} start 1` starts it again" in served.told()
    started = time.monotonic()
    assert served.ask("start", 1) == {"error": ""}
    assert "cannot register" not in served.told()
    assert time.monotonic() - started < SECONDS


def test_a_broker_is_killed(served: Served) -> None:
    assert served.ask("kill", 2) == {"error": ""}
    assert served.states() == ["serving", "died"]
    assert "broker 2 was killed" in served.told()
    assert served.ask("kill", 2) == {"error": "broker 2 has died: it has no process"}
    assert served.ask("start", 2) == {"error": ""}


@pytest.mark.parametrize("request_line", [b"{}\n", b"no json\n", b"[1]\n", b'{"command": "jump"}\n', b"x" * 5000])
def test_what_is_no_command_is_an_error(served: Served, request_line: bytes) -> None:
    from pykbroker.console import socket_path

    with socket_path.connect(served.directory) as connection:
        connection.sendall(request_line)
        connection.shutdown(socket.SHUT_WR)
        assert b'"error": ' in connection.makefile("rb").readline()


def test_a_second_console_is_refused(served: Served) -> None:
    command = [sys.executable, "-m", "pykbroker", "serve", "--brokers", "2", "--data-dir", served.directory]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 2
    assert f"{served.directory} is in use" in done.stderr
    assert served.states() == ["serving", "serving"]


def test_a_signal_stops_all_in_order(tmp_path: Path) -> None:
    with serving(tmp_path / "data", 2) as served:
        assert served.end() == 0
        told = served.told()
    assert "Traceback" not in told
    assert told.index("broker 2 stopped") < told.index("broker 1 stopped")
    assert "[1] " in told
    for number in (1, 2):
        assert (tmp_path / "data" / f"broker-{number}" / ".kafka_cleanshutdown").exists()
    assert not (tmp_path / "data" / "console.sock").exists()


def test_the_death_of_the_console_ends_the_brokers(tmp_path: Path) -> None:
    with serving(tmp_path / "data", 2) as served:
        pids = served.pids()
        served.process.kill()
        await_true(lambda: not any(map(is_alive, pids)))
    for number in (1, 2):
        folder = tmp_path / "data" / f"broker-{number}"
        assert (folder / ".kafka_cleanshutdown").exists()
        try:
            DirectoryLock(str(folder)).release()
        except LogDirError:
            pytest.fail(f"broker {number} has left its lock")


def test_what_keeps_one_from_starting_ends_all(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "pykbroker", "serve", "--host", "127.0.0.1", "--brokers", "1"]
        command += ["--port", str(port), "--data-dir", str(tmp_path / "data")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"127.0.0.1:{port}" in done.stderr
    assert "broker 1 " in done.stderr
    assert "ended with exit code 2 while it started" in done.stderr


def test_the_directory_of_a_single_node_is_refused(tmp_path: Path) -> None:
    (tmp_path / "meta.properties").write_text("")
    command = [sys.executable, "-m", "pykbroker", "serve", "--brokers", "1", "--data-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 2
    assert f"{tmp_path} is the data directory of a single node" in done.stderr
