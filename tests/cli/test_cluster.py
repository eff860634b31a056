"""pykbroker cluster: what it asks, what it shows, and one line for every reason why it cannot."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pykbroker.cli.cluster import default_cluster_directory
from pykbroker.cli.main import main
from pykbroker.console import socket_path

STATUS = {
    "cluster_id": "c",
    "console": {"pid": 7, "memory": 1 << 20},
    "brokers": [
        {"broker": 1, "address": "h:9092", "pid": 8, "state": "serving", "how": "", "fenced": False, "leaders": 2,
         "replicas": 3, "behind": 0, "memory": 2 << 20}
    ],
    "partitions": 3,
    "under_replicated": 0,
    "leaderless": 0,
}  # fmt: skip


@contextmanager
def console(directory: Path, answer: dict[str, Any] | None) -> Iterator[list[dict[str, Any]]]:
    """One that gives this answer once, or goes away without any; the requests that it got."""
    asked: list[dict[str, Any]] = []
    listener = socket_path.listen(str(directory))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            asked.append(json.loads(lines.readline()))
            if answer is not None:
                connection.sendall(json.dumps(answer).encode() + b"\n")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield asked
        thread.join()
    finally:
        listener.close()


def run(directory: Path, *arguments: str) -> int:
    return main(["cluster", *arguments, "--data-dir", str(directory)])


def test_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with console(tmp_path, STATUS) as asked:
        assert run(tmp_path, "status") == 0
    assert asked == [{"command": "status"}]
    assert "1       h:9092   8    serving  2        3         0       2 MiB" in capsys.readouterr().out
    with console(tmp_path, STATUS):
        assert run(tmp_path, "status", "--json") == 0
    assert json.loads(capsys.readouterr().out) == STATUS


@pytest.mark.parametrize("command", ["start", "stop", "kill"])
def test_commands_for_a_broker(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with console(tmp_path, {"error": ""}) as asked:
        assert run(tmp_path, command, "2") == 0
    assert asked == [{"command": command, "broker": 2}]
    assert capsys.readouterr() == ("", "")


def test_what_the_console_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with console(tmp_path, {"error": "there is no broker 9, only 1 to 3"}):
        assert run(tmp_path, "stop", "9") == 1
    assert capsys.readouterr().err == "pykbroker cluster: there is no broker 9, only 1 to 3\n"


def test_a_console_that_ends_meanwhile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with console(tmp_path, None):
        assert run(tmp_path, "stop", "1") == 1
    assert "the console ended before it answered" in capsys.readouterr().err


def test_no_console(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert run(tmp_path, "status") == 2
        assert f"no console runs on {tmp_path}: start it with" in capsys.readouterr().err
        socket_path.listen(str(tmp_path)).close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["status", "1"], "status takes no number"), (["stop"], "stop takes the number of a broker")],
)
def test_misuse(arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, *arguments) == 2
    assert capsys.readouterr().err == f"pykbroker cluster: {message}\n"


def test_the_default_directory_is_not_a_single_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/home/me/data")
    assert default_cluster_directory() == "/home/me/data/pykbroker-cluster"
