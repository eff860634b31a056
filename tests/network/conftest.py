"""A listener on a loopback socket with an obedient session behind it, for tests of the network alone."""

import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from pykbroker.errors import MalformedFrame
from pykbroker.network.connection import Connection, SharedState
from pykbroker.network.connection_limits import ConnectionLimits
from pykbroker.network.listener import Address, Listener, bind
from pykbroker.network.memory_budget import MemoryBudget


class LoopClock:
    def monotonic(self) -> float:
        return trio.current_time()

    def wall_ms(self) -> int:
        return 1_700_000_000_000


class Waiting:
    def __init__(self, keeps_frame: bool, wait: Callable[[], Awaitable[Any]]) -> None:
        self.keeps_frame = keeps_frame
        self._wait = wait

    async def finish(self) -> Any:
        return await self._wait()


class ScriptedSession:
    """Echoes frames. A frame may begin with a command: wait, keep (waits with its frame), none, bad, bug, large."""

    def __init__(self, listener: str, address: Address, server: "Server") -> None:
        self.name = f"connection from {address.client_host} on {listener}"
        self.last_request = "a test"
        self.server = server
        server.addresses.append(address)

    def admit(self, start: memoryview, size: int) -> None:
        if bytes(start[:4]) == b"evil":
            raise MalformedFrame("refused by its first bytes")

    def closed(self) -> None:
        self.server.closed.append(self)

    def begin(self, frame: memoryview, received_at: float) -> Any:
        data = bytes(frame)
        self.server.seen.append(data[:32])
        if data.startswith(b"wait"):
            return Waiting(False, lambda: self._later(data))
        if data.startswith(b"keep"):
            return Waiting(True, lambda: self._kept(frame))
        if data.startswith(b"none"):
            return None
        if data.startswith(b"bad"):
            raise MalformedFrame("as asked", 3)
        if data.startswith(b"bug"):
            raise ZeroDivisionError
        if data.startswith(b"large"):
            size = int(data[5:])
            return [bytearray(framed(b"x" * size)[:4]), b"x" * size], size + 4
        return framed(data)

    async def _later(self, data: bytes) -> bytearray:
        await self.server.release.wait()
        return framed(data)

    async def _kept(self, frame: memoryview) -> bytearray:
        await self.server.release.wait()
        return framed(bytes(frame))


class Server:
    def __init__(self, host: str = "127.0.0.1", **limits: Any) -> None:
        budget = MemoryBudget(limits.pop("budget", 1 << 30))
        self.slow: list[tuple[str, float]] = []
        self.shared = SharedState(
            LoopClock(), budget, limits.pop("max_frame", 1 << 28), lambda *who: self.slow.append(who)
        )
        self.limits = ConnectionLimits(**limits)
        self.connections: set[Connection] = set()
        self.release = trio.Event()
        self.seen: list[bytes] = []
        self.addresses: list[Address] = []
        self.closed: list[ScriptedSession] = []
        self.clients: list[Client] = []
        self.listener = Listener(
            "TEST",
            bind(host, 0),
            self.shared,
            self.limits,
            self.connections,
            lambda name, address: ScriptedSession(name, address, self),
        )

    async def connect(self) -> "Client":
        client = Client(await trio.open_tcp_stream(*self.listener.address))
        self.clients.append(client)
        return client


class Client:
    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.buffer = b""

    async def send(self, *bodies: bytes) -> None:
        await self.stream.send_all(b"".join(map(framed, bodies)))

    async def receive(self) -> bytes:
        """The next frame; b"" at the end."""
        while len(self.buffer) < 4 or len(self.buffer) < 4 + struct.unpack_from(">i", self.buffer)[0]:
            try:
                piece = await self.stream.receive_some()
            except trio.BrokenResourceError:
                return b""
            if not piece:
                return b""
            self.buffer += piece
        (size,) = struct.unpack_from(">i", self.buffer)
        frame, self.buffer = self.buffer[4 : 4 + size], self.buffer[4 + size :]
        return frame

    async def closed(self) -> None:
        assert await self.receive() == b""
        await self.stream.aclose()


def framed(body: bytes) -> bytearray:
    return bytearray(struct.pack(">i", len(body)) + body)


@asynccontextmanager
async def serving(**limits: Any) -> Any:
    server = Server(**limits)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.listener.run, nursery)
        try:
            yield server
        finally:
            server.listener.close()
            for client in server.clients:
                await trio.aclose_forcefully(client.stream)
            nursery.cancel_scope.cancel()
    assert not server.connections
    assert server.shared.budget.used == 0
    assert server.limits.count == 0


@pytest.fixture
def socket_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs
