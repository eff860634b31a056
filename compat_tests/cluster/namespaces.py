"""Nodes on one machine, each in a network namespace of its own, and a router between them that loses packets.

They are lost silently, in one direction or both, as on a real network: nobody is refused, connections just hang. Or
they are slow. Namespaces have no names, they live by descriptors: they end with this process, whatever happens, and
with the last process inside; addresses are none of this machine's, so that runs do not meet. Needs root and iproute2.
"""

import ctypes
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Final

from compat_tests.brokers import ROOT

_CLONE_NEWNET: Final = 0x40000000
_OWN: Final = "/proc/thread-self/ns/net"
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_NETWORK: Final = "10.90"
# Of the router's rules: the first that suits a packet counts.
_LOST: Final = "priority 10 blackhole"
_TABLE: Final = 100
_TUN: Final = "slow0"


class Namespace:
    """An empty one, its loopback up."""

    def __init__(self) -> None:
        self.descriptor = _in_thread(_new_namespace)
        self.ip("link set lo up")

    @property
    def path(self) -> str:
        """For `ip link ... netns PATH` of any process."""
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is inside, and so are the threads and processes that it starts."""
        before = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(self.descriptor)
            try:
                yield
            finally:
                _enter(before)
        finally:
            os.close(before)

    def ip(self, *commands: str) -> None:
        """All at once, more or less. Raises OSError with what iproute2 says."""
        given = "".join(f"{command}\n" for command in commands)
        with self.entered():
            done = subprocess.run(["ip", "-batch", "-"], input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"ip -batch: {done.stderr.strip()}\n{given}")

    def close(self) -> None:
        os.close(self.descriptor)


class Network:
    """Namespaces by name, each with one address, around a router. A context manager that makes an end of all."""

    def __init__(self, names: Iterable[str]) -> None:
        self._stack = ExitStack()
        self._namespaces: dict[str, Namespace] = {}
        self._numbers: dict[str, int] = {}
        self._lost: set[tuple[str, str]] = set()
        try:
            self._router = self._namespace()
            with self._router.entered():
                _write("/proc/sys/net/ipv4/ip_forward", "1")
            for number, name in enumerate(names, 1):
                self._add(number, name)
        except BaseException:  # raised again: half a network is taken down, also at Ctrl-C
            self._stack.close()
            raise

    def __enter__(self) -> "Network":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _namespace(self) -> Namespace:
        made = Namespace()
        self._stack.callback(made.close)
        return made

    def _add(self, number: int, name: str) -> None:
        node = self._namespaces[name] = self._namespace()
        self._numbers[name] = number
        port, gateway = f"port{number}", f"{_NETWORK}.{number}.1"
        self._router.ip(
            f"link add {port} type veth peer name eth0 netns {node.path}",
            f"address add {gateway}/24 dev {port}",
            f"link set {port} up",
        )
        node.ip(
            f"address add {self.address(name)}/24 dev eth0",
            "link set eth0 up",
            f"route add default via {gateway}",
        )

    def address(self, name: str) -> str:
        return f"{_NETWORK}.{self._numbers[name]}.2"

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """This thread is where that node is, and so are the threads and processes that it starts."""
        with self._namespaces[name].entered():
            yield

    # What happens to packets

    def lose(self, *ways: tuple[str, str]) -> None:
        """What is sent from one to the other, in this direction alone."""
        more = [way for way in ways if way not in self._lost]
        self._lost.update(more)
        self._router.ip(*(f"rule add {self._way(*way)} {_LOST}" for way in more))

    def cut(self, one: str, other: str) -> None:
        self.lose((one, other), (other, one))

    def cut_off(self, name: str, *but: str) -> None:
        """From everybody, or from all but those."""
        others = self._others(name, but)
        self.lose(*((name, other) for other in others), *((other, name) for other in others))

    def mute(self, name: str, *but: str) -> None:
        """What others send gets there, no answer comes back."""
        self.lose(*((name, other) for other in self._others(name, but)))

    def _others(self, name: str, but: Iterable[str]) -> list[str]:
        return [other for other in self._namespaces if other != name and other not in but]

    def heal(self) -> None:
        """Of all losses."""
        self._router.ip(*(f"rule del {self._way(*way)} {_LOST}" for way in self._lost))
        self._lost.clear()

    @contextmanager
    def slow(self, one: str, other: str, seconds: float) -> Iterator[None]:
        """Packets between these two take so long, in either direction; one pair at a time."""
        command = [sys.executable, "-m", "compat_tests.cluster.slow_link", _TUN, str(seconds)]
        with self._router.entered():
            link = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert link.stdout is not None
        try:
            if link.stdout.readline() != "ready\n":
                raise OSError("there is no slow link (it needs /dev/net/tun)")
            rules = [self._detour(one, other), self._detour(other, one)]
            self._router.ip(f"route add default dev {_TUN} table {_TABLE}", *(f"rule add {rule}" for rule in rules))
            try:
                yield
            finally:
                self._router.ip(*(f"rule del {rule}" for rule in rules))
        finally:
            link.terminate()
            link.wait()
            link.stdout.close()

    def _detour(self, sender: str, receiver: str) -> str:
        """Not for what comes out of the slow link itself."""
        return f"{self._way(sender, receiver)} iif port{self._numbers[sender]} priority 20 lookup {_TABLE}"

    def _way(self, sender: str, receiver: str) -> str:
        return f"from {self.address(sender)} to {self.address(receiver)}"


@cache
def lack() -> str | None:
    """Why there can be no such network here; None: there can."""
    if shutil.which("ip") is None:
        return "it takes iproute2 (the command ip)"
    try:
        with Network(("one", "other")) as net, net.slow("one", "other", 0):
            net.cut("one", "other")
    except OSError as error:
        return f"it takes root, network namespaces and /dev/net/tun: {error}"
    return None


def _in_thread(work: Callable[[], int]) -> int:
    """What becomes of a thread's namespace is nobody else's."""
    found: list[int | OSError] = []

    def run() -> None:
        try:
            found.append(work())
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    (result,) = found
    if isinstance(result, OSError):
        raise result
    return result


def _new_namespace() -> int:
    _check(_LIBC.unshare(_CLONE_NEWNET))
    return os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)


def _enter(descriptor: int) -> None:
    _check(_LIBC.setns(descriptor, _CLONE_NEWNET))


def _check(result: int) -> None:
    if result:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
