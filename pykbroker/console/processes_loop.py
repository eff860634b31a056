"""Brokers' processes as the console sees them: forked by the spawner, lines from their pipes, their ends as results."""

import json
import os
import signal
import socket
from array import array
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import trio

from pykbroker.console import spawner
from pykbroker.console.lines import Lines
from pykbroker.pending import Pending

_READ_BYTES = 64 * 1024


class SpawnerGone(Exception):
    """Nobody can start or watch brokers any more."""


class Process:
    """One that lives, or has ended: its exit code, negative for a signal, is in `ended`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ended: Pending[int] = Pending()

    def send_signal(self, number: signal.Signals) -> None:
        """Nothing happens to one that has ended."""
        if not self.ended.done:
            os.kill(self.pid, number)


class Processes:
    """Start run() first. `channel`: the socket to the spawner."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = trio.socket.from_stdlib_socket(channel)
        self._sending = trio.Lock()
        self._starting: deque[Pending[Process]] = deque()
        self._living: dict[int, Process] = {}

    async def run(self) -> None:
        """Takes what the spawner tells. Raises SpawnerGone."""
        while True:
            message = await self._channel.recv(spawner.MAX_MESSAGE)
            if not message:
                raise SpawnerGone("the process that starts the brokers has ended")
            self._take(json.loads(message))

    def _take(self, told: dict[str, Any]) -> None:
        if "pid" in told:
            process = self._living[told["pid"]] = Process(told["pid"])
            self._starting.popleft().complete(process)
        elif "exited" in told:
            self._living.pop(told["exited"]).ended.complete(told["code"])
        else:
            self._starting.popleft().fail(OSError(0, told["error"]))

    async def work(
        self,
        name: str,
        arguments: Sequence[str],
        environ: Mapping[str, str],
        *,
        on_start: Callable[[Process], None],
        on_output: Callable[[str], None],
        on_errors: Callable[[str], None],
    ) -> int:
        """Runs a process; its exit code. Its standard input ends with this process, or when this is cancelled.

        `on_output`, `on_errors`: a line of its standard output or error. Raises OSError when it cannot be started.
        """
        stdin, its_stdin = _pipe(is_input=True)
        stdout, its_stdout = _pipe()
        stderr, its_stderr = _pipe()
        async with stdin, stdout, stderr:
            try:
                process = await self._start(name, arguments, environ, [its_stdin, its_stdout, its_stderr])
            finally:
                for descriptor in (its_stdin, its_stdout, its_stderr):
                    os.close(descriptor)
            on_start(process)
            async with trio.open_nursery() as readers:
                readers.start_soon(_read, stdout, on_output)
                readers.start_soon(_read, stderr, on_errors)
            return await process.ended.wait()

    async def _start(
        self, name: str, arguments: Sequence[str], environ: Mapping[str, str], descriptors: Sequence[int]
    ) -> Process:
        message = spawner.request(name, arguments, dict(environ))
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors).tobytes())
        pending: Pending[Process] = Pending()
        async with self._sending:
            self._starting.append(pending)
            await self._channel.sendmsg([message], [rights])
        return await pending.wait()


def _pipe(*, is_input: bool = False) -> tuple[trio.lowlevel.FdStream, int]:
    """Our end, and that of the process."""
    readable, writable = os.pipe2(os.O_CLOEXEC)
    ours, its = (writable, readable) if is_input else (readable, writable)
    return trio.lowlevel.FdStream(ours), its


async def _read(stream: trio.lowlevel.FdStream, take: Callable[[str], None]) -> None:
    lines = Lines()
    while data := await stream.receive_some(_READ_BYTES):
        for line in lines.feed(bytes(data)):
            take(line)
    for line in lines.end():
        take(line)
