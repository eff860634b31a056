"""The bytes of one connection: a raw non-blocking socket. TLS (SSLObject over buffers) fits behind the same names.

Raw sockets instead of trio's SocketStream: half the CPU of a tiny request, a third of that of a large one.
"""

import socket
from functools import partial
from typing import Protocol

import trio

from pykbroker.network.file_region import FileRegion, sendfile_region
from pykbroker.network.ready_poller import ReadyPoller

Bytes = bytes | bytearray | memoryview
Part = Bytes | FileRegion


class Transport(Protocol):
    """Try first; wait on BlockingIOError. Any other OSError: the connection is gone."""

    def fileno(self) -> int: ...
    def recv_into(self, buffer: memoryview, /) -> int: ...
    def send(self, data: Bytes, flags: int = 0, /) -> int: ...
    async def wait_readable(self) -> None: ...
    async def wait_writable(self) -> None: ...
    async def send_region(self, region: FileRegion) -> None: ...
    def wake(self) -> None: ...
    def close(self) -> None: ...


class PlainTransport:
    """The socket itself: its methods are called without a layer between.

    `wait_readable` returns when there is something to read. Raises trio.ClosedResourceError after wake().
    """

    __slots__ = ("_fd", "_poller", "_socket", "recv_into", "send", "wait_readable")

    def __init__(self, connection: socket.socket, poller: ReadyPoller | None = None) -> None:
        """Without a poller trio tells what is readable. Raises OSError."""
        connection.setblocking(False)
        if connection.family != getattr(socket, "AF_UNIX", None):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # As Kafka does: a peer that vanished without a word ends, also where connections may be idle for ever.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._socket = connection
        self._fd = connection.fileno()
        self.recv_into = connection.recv_into
        self.send = connection.send
        self._poller = poller
        if poller is not None:
            poller.add(self._fd)
        self.wait_readable = partial(trio.lowlevel.wait_readable if poller is None else poller.wait_readable, self._fd)

    def fileno(self) -> int:
        return self._fd

    async def wait_writable(self) -> None:
        """Returns when there is room to write. Raises trio.ClosedResourceError after wake()."""
        await trio.lowlevel.wait_writable(self._fd)

    async def send_region(self, region: FileRegion) -> None:
        """Sends a large slice of a file. Raises FileCutShort, OSError, trio.ClosedResourceError."""
        await sendfile_region(self._fd, region, self.wait_writable)

    def wake(self) -> None:
        """Whoever waits gets trio.ClosedResourceError; closing stays with the owner."""
        if self._socket.fileno() < 0:
            return
        trio.lowlevel.notify_closing(self._fd)
        if self._poller is not None:
            self._poller.wake(self._fd)

    def close(self) -> None:
        self.wake()
        if self._poller is not None and self._socket.fileno() >= 0:
            self._poller.forget(self._fd)
        self._socket.close()
