"""Accepts connections on the addresses of one Kafka listener, a task for each. Kafka: Acceptor (SocketServer)."""

import errno
import logging
import socket
from collections.abc import Callable
from typing import NamedTuple

import trio

from pykbroker.network.connection import Connection, Session, SharedState
from pykbroker.network.connection_limits import ConnectionLimits
from pykbroker.network.transport import PlainTransport

LOG = logging.getLogger("pykbroker.network")
BACKLOG = 1024  # at least; the kernel's somaxconn bounds it
_BURST = 64  # connections accepted between two checkpoints
_OUT_OF_RESOURCES = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_RETRY_AFTER = 0.1  # seconds, when the process has no file descriptors left


class Address(NamedTuple):
    """Both ends of a connection, as numbers: IPv4 addresses mapped into IPv6 are IPv4 here."""

    client_host: str
    client_port: int
    local_host: str
    local_port: int


class BindError(OSError):
    """A listener's address cannot be used; the text is one clear line."""

    def __str__(self) -> str:
        return str(self.strerror)


def bind(host: str, port: int, backlog: int = BACKLOG) -> list[socket.socket]:
    """Listening sockets for a Kafka listener: "" is every address, "localhost" both loopbacks; port 0: a free one, the
    same on all. Raises BindError."""
    sockets: list[socket.socket] = []
    try:
        for family, address in _resolve(host):
            bound = sockets[0].getsockname()[1] if sockets else port
            try:
                sockets.append(_listen(family, address, bound, backlog))
            except OSError as error:
                if sockets and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    continue  # no IPv6 here
                raise
    except OSError as error:
        for one in sockets:
            one.close()
        raise BindError(error.errno, _explain(host, port, error)) from error
    return sockets


class Listener:
    """Owns listening sockets; keeps `connections`, the set of those that live, up to date."""

    def __init__(
        self,
        name: str,
        sockets: list[socket.socket],
        shared: SharedState,
        limits: ConnectionLimits,
        connections: set[Connection],
        open_session: Callable[[str, Address], Session],
    ) -> None:
        """`open_session(listener name, address)` makes what dispatch keeps per connection."""
        self.name = name
        self._sockets = sockets
        self._shared = shared
        self._limits = limits
        self._connections = connections
        self._open_session = open_session
        self._closing = False
        self._scope = trio.CancelScope()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first socket."""
        host, port = self._sockets[0].getsockname()[:2]
        return host, port

    async def run(self, connections: trio.Nursery) -> None:
        """Accepts until close(); each connection is a task of the given nursery."""
        with self._scope:
            await self._accept(connections)

    async def _accept(self, connections: trio.Nursery) -> None:
        async with trio.open_nursery() as accepting:
            for listening in self._sockets:
                accepting.start_soon(self._accept_loop, listening, connections, name=f"accept {self.name}")

    def close(self) -> None:
        """No further connections; those that live go on."""
        self._closing = True
        self._scope.cancel()
        for listening in self._sockets:
            listening.close()

    async def _accept_loop(self, listening: socket.socket, nursery: trio.Nursery) -> None:
        while not self._closing:
            try:
                await trio.lowlevel.wait_readable(listening)
                await self._accept_burst(listening, nursery)
            except trio.ClosedResourceError:
                return
            except OSError as error:
                if self._closing or listening.fileno() < 0:
                    return
                LOG.warning("Cannot accept on %s: %s", self.name, error)
                await trio.sleep(_RETRY_AFTER)

    async def _accept_burst(self, listening: socket.socket, nursery: trio.Nursery) -> None:
        for _ in range(_BURST):
            await self._wait_for_permission()
            try:
                client, peer = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES or error.errno == errno.EBADF:
                    raise
                continue  # the client has gone before it was accepted
            self._start(client, peer, nursery)

    async def _wait_for_permission(self) -> None:
        while self._limits.is_full and not self._closing:
            slot_free = trio.Event()
            self._limits.when_free(slot_free.set)
            await slot_free.wait()
        pause = self._limits.pause_before_accepting(self._shared.clock.monotonic())
        if pause:
            await trio.sleep(pause)

    def _start(self, client: socket.socket, peer: tuple[str, int], nursery: trio.Nursery) -> None:
        address = _address(client, peer)
        if not self._limits.admit(address.client_host):
            self._shared.metrics.connections_rejected += 1
            LOG.info("Rejected connection from %s: max.connections.per.ip reached", address.client_host)
            client.close()
            return
        try:
            transport = PlainTransport(client, self._shared.poller)
            connection = Connection(transport, self._open_session(self.name, address), self._shared)
        except OSError:  # reset before we looked at it
            self._limits.forget(address.client_host)
            client.close()
            return
        self._connections.add(connection)
        nursery.start_soon(self._run, connection, address.client_host, name=connection.name)

    async def _run(self, connection: Connection, client_host: str) -> None:
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            self._limits.forget(client_host)


def _resolve(host: str) -> list[tuple[int, str]]:
    if host == "":
        return (
            [(socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")]
            if not socket.has_dualstack_ipv6()
            else [(socket.AF_INET6, "::")]
        )
    if host == "localhost":
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    found = socket.getaddrinfo(host.encode(), None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((int(family), str(address[0])) for family, _, _, _, address in found))


def _listen(family: int, host: str, port: int, backlog: int) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        listening.bind((host, port))
        listening.listen(max(backlog, BACKLOG))
    except BaseException:
        listening.close()
        raise
    return listening


def _address(client: socket.socket, peer: tuple[str, int]) -> Address:
    try:
        local = client.getsockname()
    except OSError:
        local = ("", 0)
    return Address(_plain(peer[0]), peer[1], _plain(local[0]), local[1])


def _plain(host: str) -> str:
    return host[7:] if host.startswith("::ffff:") and "." in host else host


def is_loopback(host: str) -> bool:
    """Whether a numeric address is reached from this machine alone."""
    return host == "::1" or _plain(host).startswith("127.")


def _explain(host: str, port: int, error: OSError) -> str:
    where = f"{host or '0.0.0.0'}:{port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use by another program; choose another port with --port or listeners="
    if error.errno == errno.EACCES:
        return f"{where}: not allowed; ports below 1024 need privileges"
    if isinstance(error, socket.gaierror):
        return f"{host!r} is not an address of this machine: {error.strerror}"
    return f"cannot listen on {where}: {error.strerror or error}"
