"""The console: the embedded controller in this process, a process per broker, signals, and a socket for commands."""

import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from pykbroker.console import socket_path
from pykbroker.console.lines import marked, ready_address
from pykbroker.console.processes_loop import Process, Processes
from pykbroker.console.status import status
from pykbroker.console.supervisor import (
    BROKEN,
    Announce,
    Answer,
    Effect,
    Finish,
    Kill,
    Say,
    Start,
    State,
    Supervisor,
    Terminate,
)
from pykbroker.controller_node import ControllerNode
from pykbroker.log import log_dir
from pykbroker.log.log_dir import DirectoryLock, LogDirError
from pykbroker.pending import Pending
from pykbroker.shared_server import StartError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.console.settings import Plan

LOG = logging.getLogger("pykbroker.console")
# A request is one short line.
_MAX_REQUEST = 4096


class Console:
    """run() once. `chosen`: names of all that the user has set; `channel`: to the spawner; `on_ready(addresses)`: all
    brokers serve; `command`: what people type to speak to this console.
    """

    def __init__(
        self,
        plan: "Plan",
        config: "BrokerConfig",
        chosen: Container[str],
        channel: socket.socket,
        on_ready: Callable[[tuple[str, ...]], None],
        command: str,
    ) -> None:
        self._plan = plan
        self._chosen = chosen
        self._on_ready = on_ready
        self._node = ControllerNode(config)
        self._controller_port = 0
        self._supervisor = Supervisor(plan.brokers, command)
        self._processes = Processes(channel)
        self._running: dict[int, Process] = {}
        self._answers: dict[int, Pending[str]] = {}
        self._last_request = 0
        self._changed = trio.Event()
        self._code = 0
        self._children: trio.Nursery

    async def run(self) -> int:
        """Until a signal, or until a broker cannot start; the exit code. Raises StartError."""
        refusal: StartError | None = None
        with (
            _owned(self._plan.directory) as listener,
            trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals,
        ):
            async with trio.open_nursery() as nursery:
                self._children = nursery
                try:
                    await nursery.start(self._run_controller, name="controller")
                except StartError as error:
                    refusal = error
                    nursery.cancel_scope.cancel()
                else:
                    nursery.start_soon(self._processes.run, name="processes")
                    nursery.start_soon(self._watch_signals, signals, name="signals")
                    nursery.start_soon(self._serve_commands, listener, name="commands")
                    nursery.start_soon(self._watch_deadlines, name="deadlines")
                    self._do(self._supervisor.start_all())
        if refusal is not None:
            raise refusal
        return self._code

    async def _run_controller(self, task_status: trio.TaskStatus[None]) -> None:
        """The last to go: when it has ended, so has the console. Raises StartError."""

        def ready(_: str, port: int) -> None:
            self._controller_port = port
            task_status.started()

        await self._node.run(ready)
        self._children.cancel_scope.cancel()

    async def _watch_signals(self, signals: AsyncIterator[int]) -> None:
        async for number in signals:
            name = signal.Signals(number).name
            if self._supervisor.is_stopping:
                LOG.warning("%s: killing what still runs; the next start recovers the logs", name)
            else:
                LOG.info("%s: stopping the brokers in order; a second signal kills them", name)
            self._do(self._supervisor.shut_down(trio.current_time()))

    async def _watch_deadlines(self) -> None:
        while True:
            with trio.move_on_at(self._supervisor.next_deadline()):
                await self._changed.wait()
            self._do(self._supervisor.on_deadline(trio.current_time()))

    # What the supervisor wants

    def _do(self, effects: list[Effect]) -> None:
        for effect in effects:
            self._do_one(effect)
        self._changed.set()
        self._changed = trio.Event()

    def _do_one(self, effect: Effect) -> None:
        if isinstance(effect, Start):
            self._children.start_soon(self._run_broker, effect.number, name=f"broker {effect.number}")
        elif isinstance(effect, Terminate):
            self._signal(effect.number, signal.SIGTERM)
        elif isinstance(effect, Kill):
            self._signal(effect.number, signal.SIGKILL)
        elif isinstance(effect, Say):
            LOG.info("%s", effect.text)
        elif isinstance(effect, Announce):
            self._on_ready(effect.addresses)
        elif isinstance(effect, Answer):
            self._answers.pop(effect.request).complete(effect.error)
        elif isinstance(effect, Finish):
            self._code = effect.code
            self._node.stop()

    def _signal(self, number: int, which: signal.Signals) -> None:
        """Nothing to do for one that is gone already, or not made yet: see _started."""
        process = self._running.get(number)
        if process is not None:
            process.send_signal(which)

    # A broker

    async def _run_broker(self, number: int) -> None:
        child = self._supervisor.children[number]
        port = int(child.address.rpartition(":")[2]) if child.address else self._plan.first_port(number)
        try:
            code = await self._processes.work(
                f"broker-{number}",
                self._plan.broker(number, port, self._controller_port, self._chosen),
                {"CLUSTER_ID": self._node.cluster_id},
                on_start=partial(self._started, number),
                on_output=partial(self._take, number),
                on_errors=partial(self._show, number),
            )
        except OSError as error:
            LOG.error("broker %d cannot be started: %s", number, error.strerror)
            code = BROKEN
        self._running.pop(number, None)
        self._do(self._supervisor.exited(number, code, trio.current_time()))
        if child.state is State.DIED:
            self._node.server.controller.broker_died(number)

    def _started(self, number: int, process: Process) -> None:
        self._running[number] = process
        self._supervisor.started(number, process.pid)
        if self._supervisor.children[number].state is not State.STARTING:
            process.send_signal(signal.SIGKILL)  # the end came before the process

    def _take(self, number: int, line: str) -> None:
        address = ready_address(line)
        if address is None:
            self._show(number, line)
        else:
            self._do(self._supervisor.is_ready(number, address))

    def _show(self, number: int, line: str) -> None:
        try:
            print(marked(line, number, as_json=self._plan.log_format == "json"), file=sys.stderr, flush=True)
        except BrokenPipeError:
            return  # nobody reads any more, as with the lines of logging: brokers serve all the same

    # Commands

    async def _serve_commands(self, listener: trio.SocketListener) -> None:
        await trio.serve_listeners(self._serve_one, [listener])

    async def _serve_one(self, stream: trio.SocketStream) -> None:
        """One line with a JSON object in, one line out; whoever asks may go away at any time."""
        try:
            request = await _receive_line(stream)
            answer = await self._obey(request)
            await stream.send_all(json.dumps(answer).encode() + b"\n")
        except trio.BrokenResourceError:
            return

    async def _obey(self, text: bytes) -> dict[str, Any]:
        """{"error": …} when it could not be done."""
        try:
            request = json.loads(text)
            command, number = str(request["command"]), int(request.get("broker", 0))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return {"error": f"not a command: {error!r}"}
        if command == "status":
            image = self._node.server.controller.image
            return status(self._supervisor.children.values(), image, os.getpid())
        ask = self._commands().get(command)
        if ask is None:
            return {"error": f"unknown command {command}; there are status, start, stop and kill"}
        return {"error": await self._ask(ask, number)}

    def _commands(self) -> dict[str, Callable[[int, int], list[Effect]]]:
        supervisor = self._supervisor
        return {
            "start": supervisor.start,
            "stop": lambda number, request: supervisor.stop(number, request, trio.current_time()),
            "kill": supervisor.kill,
        }

    def _ask(self, command: Callable[[int, int], list[Effect]], number: int) -> Awaitable[str]:
        """Waits until it is done; what kept it from being done, else an empty text."""
        self._last_request += 1
        pending: Pending[str] = Pending()
        self._answers[self._last_request] = pending
        self._do(command(number, self._last_request))
        return pending.wait()


async def _receive_line(stream: trio.SocketStream) -> bytes:
    data = b""
    while b"\n" not in data and len(data) < _MAX_REQUEST:
        more = await stream.receive_some(_MAX_REQUEST)
        if not more:
            break
        data += more
    return data.partition(b"\n")[0]


@contextmanager
def _owned(directory: str) -> "Iterator[trio.SocketListener]":
    """The directory, locked against a second console, and its socket. Raises StartError."""
    try:
        log_dir.prepare(directory)
        lock = DirectoryLock(directory)
    except (LogDirError, OSError) as error:
        raise StartError(str(error)) from error
    try:
        _refuse_single_node(directory)
        listener = socket_path.listen(directory)
        try:
            yield trio.SocketListener(trio.socket.from_stdlib_socket(listener))
        finally:
            listener.close()
            socket_path.remove(directory)
    finally:
        lock.release()


def _refuse_single_node(directory: str) -> None:
    """Raises StartError: folders named broker-1 beside partitions would be taken for one."""
    if os.path.exists(os.path.join(directory, log_dir.META_PROPERTIES)):
        raise StartError(
            f"{directory} is the data directory of a single node: leave --brokers out, or choose another directory"
        )
