"""The process from which brokers are forked: it has imported what a broker needs, and waits.

Importing is most of what a broker's start costs, so it is done once for all of them, before any loop or thread runs.
Messages are datagrams of JSON. To the spawner: {"name", "arguments", "environ"} with three file descriptors, which
become standard input, output and error; answered by {"pid"} or {"error"}. From it: {"exited": pid, "code"}, where the
code of a signal is negative. The spawner ends with its socket; its brokers end with their standard input.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import IO, Any, NoReturn

MAX_MESSAGE = 128 * 1024
DESCRIPTORS = 3
BROKEN = 1
# What every broker of a cluster loads sooner or later; the rest comes with the first request for it.
MODULES = (
    "pykbroker.broker",
    "pykbroker.cli.run_broker",
    "pykbroker.cli.serve",
    "pykbroker.config.parse",
    "pykbroker.observability.log_setup",
    "pykbroker.observer_server",
    "pykbroker.protocol.messages.api_versions",
    "pykbroker.protocol.messages.broker_heartbeat",
    "pykbroker.protocol.messages.broker_registration",
    "pykbroker.protocol.messages.fetch",
)


def start(main: Callable[[list[str]], int], modules: Sequence[str] = MODULES) -> socket.socket:
    """Forks the spawner; returns the socket to it. Call it before trio runs. `main` runs in each process made."""
    for name in modules:
        import_module(name)
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    _prepare_for_forks()
    if not os.fork():
        ours.close()
        _run(_Spawner(its, main).run)
    its.close()
    return ours


def _prepare_for_forks() -> None:
    """What is there now is for ever: the collector shall not write to its pages, which the processes share."""
    sys.stdout.flush()
    sys.stderr.flush()
    gc.collect()
    gc.freeze()


def _run(work: Callable[[], int]) -> NoReturn:
    """Ends the process, whatever happens, without what the one that it was forked from would do at its end."""
    code = BROKEN
    try:
        try:
            code = work()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else BROKEN
        except BaseException:  # as Python does at the end of a process: told, and the exit code says it
            sys.excepthook(*sys.exc_info())
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        # Also when nobody reads any more what was flushed: nothing may be raised into the copy of the console.
        os._exit(code)


class _Spawner:
    def __init__(self, channel: socket.socket, main: Callable[[list[str]], int]) -> None:
        self._channel = channel
        self._main = main
        self._pids: set[int] = set()
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> int:
        os.setpgid(0, 0)  # Ctrl-C is for the console alone
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._reap()
            if self._channel.fileno() in ready and not self._serve():
                return 0

    def _reap(self) -> None:
        for pid in list(self._pids):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._pids.discard(pid)
                self._tell({"exited": pid, "code": os.waitstatus_to_exitcode(status)})

    def _serve(self) -> bool:
        """False: the console has gone."""
        try:
            message, descriptors, _, _ = socket.recv_fds(self._channel, MAX_MESSAGE, DESCRIPTORS)
        except ConnectionResetError:
            return False
        if not message:
            return False
        request = json.loads(message)
        try:
            pid = os.fork()
            if not pid:
                _run(lambda: self._work(request, descriptors))
            self._pids.add(pid)
            self._tell({"pid": pid})
        except OSError as error:
            self._tell({"error": error.strerror})
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _tell(self, message: dict[str, Any]) -> None:
        """A console that has gone is noticed by _serve()."""
        try:
            self._channel.send(json.dumps(message).encode())
        except OSError:
            return

    def _work(self, request: dict[str, Any], descriptors: Sequence[int]) -> int:
        """In the forked process: what belongs to the spawner is put down first."""
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
            os.close(descriptor)
        for descriptor in (self._woken, self._wake):
            os.close(descriptor)
        self._channel.close()
        sys.stdin, sys.stdout, sys.stderr = _standard(0, "r"), _standard(1, "w"), _standard(2, "w")
        name_process(request["name"])
        os.environ.update(request["environ"])
        return self._main(request["arguments"])


def _standard(descriptor: int, mode: str) -> IO[str]:
    return os.fdopen(descriptor, mode, buffering=1, errors="backslashreplace", closefd=False)


def name_process(name: str) -> None:
    """What top shows; the command line stays that of the console. Where there is no /proc it stays without a name."""
    try:
        with open("/proc/self/comm", "w", encoding="ascii") as file:
            file.write(name[:15])
    except OSError:
        return


def request(name: str, arguments: Sequence[str], environ: dict[str, str]) -> bytes:
    return json.dumps({"name": name, "arguments": list(arguments), "environ": environ}).encode()
