"""Processes of the spawner, awaited by trio. Each runs `program` here."""

import signal
import socket
import sys
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from pykbroker.console import spawner
from pykbroker.console.processes_loop import Process, Processes, SpawnerGone

SECONDS = 30


def program(arguments: list[str]) -> int:
    print("an error", file=sys.stderr)
    print("started", *arguments, flush=True)
    if arguments[0] == "wait":
        sys.stdin.read()
        print("without end of line", end="")
    return int(arguments[-1])


class Watched:
    """One process, run to its end."""

    def __init__(self) -> None:
        self.process: Process | None = None
        self.started = trio.Event()
        self.output: list[str] = []
        self.errors: list[str] = []
        self.code: int | None = None

    async def run(self, processes: Processes, *arguments: str) -> None:
        self.code = await processes.work(
            "a-child", arguments, {}, on_start=self._on_start, on_output=self._on_output, on_errors=self.errors.append
        )

    def _on_start(self, process: Process) -> None:
        self.process = process

    def _on_output(self, line: str) -> None:
        self.output.append(line)
        self.started.set()

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)


def run(check: Callable[[Processes], Awaitable[None]]) -> None:
    """As the console does it: the fork comes before the loop."""

    async def checked(channel: socket.socket) -> None:
        processes = Processes(channel)
        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(processes.run)
                await check(processes)
                nursery.cancel_scope.cancel()

    with spawner.start(program, ()) as channel:
        trio.run(checked, channel)


def test_lines_and_exit_code() -> None:
    async def check(processes: Processes) -> None:
        one, two = Watched(), Watched()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.run, processes, "return", "0")
            nursery.start_soon(two.run, processes, "return", "3")
        assert (one.code, one.output, one.errors) == (0, ["started return 0"], ["an error"])
        assert (two.code, two.output, two.errors) == (3, ["started return 3"], ["an error"])
        assert two.process is not None
        two.signal(signal.SIGKILL)  # it has ended: nobody gets it

    run(check)


def test_a_signal_ends_it() -> None:
    async def check(processes: Processes) -> None:
        watched = Watched()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watched.run, processes, "wait", "0")
            await watched.started.wait()
            watched.signal(signal.SIGKILL)
        assert (watched.code, watched.output) == (-9, ["started wait 0"])

    run(check)


def test_cancelled_it_ends_by_its_standard_input() -> None:
    async def check(processes: Processes) -> None:
        watched = Watched()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watched.run, processes, "wait", "0")
            await watched.started.wait()
            nursery.cancel_scope.cancel()
        assert watched.process is not None
        assert await watched.process.ended.wait() == 0

    run(check)


def test_without_the_spawner_nothing_goes_on() -> None:
    async def check() -> None:
        channel, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with channel:
            other.close()
            with pytest.raises(SpawnerGone):
                await Processes(channel).run()

    trio.run(check)


def test_what_cannot_be_started_is_an_error() -> None:
    async def check() -> None:
        channel, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        refused: list[str] = []
        with channel, other:
            processes = Processes(channel)

            async def work() -> None:
                try:
                    await Watched().run(processes, "return", "0")
                except OSError as error:
                    refused.append(error.strerror or "")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(work)
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(processes.run)
                other.send(b'{"error": "no more processes"}')
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
        assert refused == ["no more processes"]

    trio.run(check)
