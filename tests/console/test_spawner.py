"""Processes forked from one that has all imported. Each runs `program` here."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pykbroker.console import spawner

SECONDS = 30


def program(arguments: list[str]) -> int:
    """Tells who it is, then does what its first argument says."""
    print(json.dumps([os.getpid(), os.getpgrp(), os.environ.get("GREETING"), arguments]), flush=True)
    what = arguments[0]
    if what == "fail":
        raise ValueError("on purpose")
    if what == "misused":
        sys.exit(2)
    if what == "wait":
        sys.stdin.read()
    return int(arguments[1]) if what == "return" else 0


@pytest.fixture
def channel() -> Iterator[socket.socket]:
    with spawner.start(program, ()) as made:
        made.settimeout(SECONDS)
        yield made


class Child:
    def __init__(self, channel: socket.socket, *arguments: str) -> None:
        self._channel = channel
        stdin, self.stdin = os.pipe()
        self.stdout, stdout = os.pipe()
        self.stderr, stderr = os.pipe()
        message = spawner.request("a-child", arguments, {"GREETING": "hello"})
        socket.send_fds(channel, [message], [stdin, stdout, stderr])
        for descriptor in (stdin, stdout, stderr):
            os.close(descriptor)
        self.pid: int = self.answer()["pid"]

    def answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._channel.recv(4096))
        return answer

    def line(self) -> Any:
        with open(self.stdout, closefd=False) as file:
            return json.loads(file.readline())

    def end(self) -> int:
        """Its exit code, with all that it held closed."""
        answer = self.answer()
        assert answer["exited"] == self.pid
        for descriptor in (self.stdin, self.stdout):
            os.close(descriptor)
        code: int = answer["code"]
        return code

    def errors(self) -> str:
        with open(self.stderr) as file:
            return file.read()


def test_a_process_gets_its_arguments_and_its_own_streams(channel: socket.socket) -> None:
    child = Child(channel, "return", "7")
    assert child.line() == [child.pid, child.pid, "hello", ["return", "7"]]
    assert child.end() == 7
    assert child.errors() == ""


def test_how_a_process_ends_is_told(channel: socket.socket) -> None:
    misused = Child(channel, "misused")
    assert misused.end() == 2
    assert misused.errors() == ""
    failed = Child(channel, "fail")
    assert failed.end() == 1
    assert "ValueError: on purpose" in failed.errors()
    killed = Child(channel, "wait")
    killed.line()
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.end() == -9
    assert killed.errors() == ""


def test_signals_are_as_in_any_new_process(channel: socket.socket) -> None:
    child = Child(channel, "wait")
    child.line()
    with open(f"/proc/{child.pid}/comm") as file:
        assert file.read() == "a-child\n"
    os.kill(child.pid, signal.SIGTERM)
    assert child.end() == -15
    child.errors()


def test_standard_input_ends_with_whoever_holds_its_other_end(channel: socket.socket) -> None:
    first, second = Child(channel, "wait"), Child(channel, "wait")
    os.close(first.stdin)
    first.stdin = os.open(os.devnull, os.O_RDONLY)
    assert first.end() == 0
    os.close(second.stdin)
    second.stdin = os.open(os.devnull, os.O_RDONLY)
    assert second.end() == 0
    assert first.errors() == second.errors() == ""


def test_the_spawner_ends_with_its_socket() -> None:
    made = spawner.start(program, ())
    child = Child(made, "wait")
    with open(f"/proc/{child.pid}/status") as file:
        parent = next(int(line.split()[1]) for line in file if line.startswith("PPid:"))
    made.close()
    os.waitpid(parent, 0)
    os.close(child.stdin)
    deadline = time.monotonic() + SECONDS
    while os.path.exists(f"/proc/{child.pid}"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.close(child.stdout)
    assert child.errors() == ""
