"""Listeners on real loopback sockets: addresses, limits, the lines that tell why a port cannot be had."""

import errno
import logging
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
import trio.testing

from pykbroker.network.connection_limits import ConnectionLimits
from pykbroker.network.listener import Address, BindError, Listener, bind
from tests.network.conftest import Client, Server, serving


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


HAS_IPV6 = has_ipv6()


@contextmanager
def bound(host: str, port: int = 0) -> Iterator[list[socket.socket]]:
    sockets = bind(host, port)
    try:
        yield sockets
    finally:
        for one in sockets:
            one.close()


def hosts(sockets: list[socket.socket]) -> list[str]:
    return [one.getsockname()[0] for one in sockets]


# Addresses


def test_a_free_port_is_taken_for_zero() -> None:
    with bound("127.0.0.1") as sockets:
        assert hosts(sockets) == ["127.0.0.1"]
        assert sockets[0].getsockname()[1] > 0
        assert not sockets[0].getblocking()


def test_localhost_is_both_loopbacks_on_one_port() -> None:
    with bound("localhost") as sockets:
        assert hosts(sockets) == ["127.0.0.1", "::1"][: len(sockets)]
        assert len(sockets) == 1 + HAS_IPV6
        assert len({one.getsockname()[1] for one in sockets}) == 1


def test_no_host_is_every_address() -> None:
    with bound("") as sockets:
        port = sockets[0].getsockname()[1]
        for host in ["127.0.0.1", "::1"][: 1 + HAS_IPV6]:
            socket.create_connection((host, port), 5).close()


def test_without_ipv6_localhost_is_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    from pykbroker.network import listener

    listen = listener._listen

    def ipv4_only(family: int, *arguments: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return listen(family, *arguments)

    monkeypatch.setattr(listener, "_listen", ipv4_only)
    with bound("localhost") as sockets:
        assert hosts(sockets) == ["127.0.0.1"]


# What cannot be had


def test_a_port_in_use_is_told_with_the_remedy() -> None:
    with bound("127.0.0.1") as sockets:
        port = sockets[0].getsockname()[1]
        with pytest.raises(BindError) as caught:
            bind("127.0.0.1", port)
    assert str(caught.value) == (
        f"127.0.0.1:{port} is in use by another program; choose another port with --port or listeners="
    )
    assert caught.value.errno == errno.EADDRINUSE


def test_a_port_in_use_on_one_loopback_leaves_no_socket_on_the_other() -> None:
    if not HAS_IPV6:
        return
    with bound("::1") as sockets:
        port = sockets[0].getsockname()[1]
        with pytest.raises(BindError, match="is in use"):
            bind("localhost", port)
    socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied"),
            "127.0.0.1:80: not allowed; ports below 1024 need privileges",
        ),
        (
            OSError(errno.ENOBUFS, "No buffer space available"),
            "cannot listen on 127.0.0.1:80: No buffer space available",
        ),
    ],
)
def test_other_reasons(error: OSError, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise error

    monkeypatch.setattr("pykbroker.network.listener._listen", refuse)
    with pytest.raises(BindError) as caught:
        bind("127.0.0.1", 80)
    assert str(caught.value) == expected


def test_a_name_that_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(BindError, match="'nobody' is not an address of this machine: Name or service not known"):
        bind("nobody", 0)


def test_an_address_of_another_machine() -> None:
    with pytest.raises(BindError, match=r"cannot listen on 192\.0\.2\.1:0: "):
        bind("192.0.2.1", 0)


# Connections


async def talk(client: Client) -> None:
    """A request and its answer: the connection has been accepted and is served."""
    await client.send(b"hello")
    assert await client.receive() == b"hello"


async def settled() -> None:
    """Every task waits: what a client did has been seen by the listener, as loopback delivers at once."""
    await trio.testing.wait_all_tasks_blocked(0.01)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_the_session_learns_both_ends(host: str) -> None:
    if host == "::1" and not HAS_IPV6:
        return
    async with serving(host=host) as server:
        client = await server.connect()
        await talk(client)
        ours = client.stream.socket.getsockname()
        assert server.addresses == [Address(host, ours[1], *server.listener.address)]


async def test_ipv4_on_a_socket_for_all_addresses_is_ipv4() -> None:
    async with serving(host="") as server:
        port = server.listener.address[1]
        client = Client(await trio.open_tcp_stream("127.0.0.1", port))
        server.clients.append(client)
        await talk(client)
        (address,) = server.addresses
        assert (address.client_host, address.local_host, address.local_port) == ("127.0.0.1", "127.0.0.1", port)


async def test_above_the_limit_per_address_a_connection_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving(per_ip=2) as server:
        first, second, third = [await server.connect() for _ in range(3)]
        await talk(first)
        await talk(second)
        await third.closed()
        assert server.shared.metrics.connections_rejected == 1
        assert caplog.messages == ["Rejected connection from 127.0.0.1: max.connections.per.ip reached"]
        await first.stream.aclose()
        await settled()
        await talk(await server.connect())


async def test_above_the_limit_of_all_a_connection_waits_for_its_turn() -> None:
    async with serving(total=2) as server:
        first, second = await server.connect(), await server.connect()
        await talk(first)
        await talk(second)
        third = await server.connect()
        await third.send(b"hello")
        await settled()
        assert len(server.connections) == 2
        await first.stream.aclose()
        assert await third.receive() == b"hello"


async def test_the_rate_of_new_connections_is_bounded(autojump_clock: trio.testing.MockClock) -> None:
    limits = ConnectionLimits(creation_rate=10)
    server = Server()
    listener = server.listener
    listener._limits = limits
    waited = [await permitted_after(listener) for _ in range(13)]
    assert waited[:10] == [0.0] * 10
    assert waited[10:] == pytest.approx([0.1, 0.1, 0.1])
    listener.close()


async def permitted_after(listener: Listener) -> float:
    started = trio.current_time()
    await listener._wait_for_permission()
    return trio.current_time() - started


async def test_close_takes_no_more_but_serves_on() -> None:
    async with serving() as server:
        client = await server.connect()
        await talk(client)
        address = server.listener.address
        server.listener.close()
        with pytest.raises(OSError, match="all attempts to connect"):
            await trio.open_tcp_stream(*address)
        await talk(client)


async def test_who_has_gone_before_being_served_leaves_nothing_behind() -> None:
    async with serving() as server:
        for _ in range(100):
            client = socket.create_connection(server.listener.address)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an end
            client.close()
        await talk(await server.connect())
        await settled()
        assert len(server.connections) == server.limits.count == 1


async def test_no_file_descriptors_left_is_waited_out(caplog: pytest.LogCaptureFixture) -> None:
    class Exhausted:
        """A listening socket that finds no file descriptor, once."""

        def __init__(self, real: socket.socket) -> None:
            self.real = real
            self.failures = 1

        def fileno(self) -> int:
            return self.real.fileno()

        def accept(self) -> Any:
            if self.failures:
                self.failures -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return self.real.accept()

        def close(self) -> None:
            self.real.close()

        def getsockname(self) -> Any:
            return self.real.getsockname()

    server = Server()
    server.listener._sockets[:] = [Exhausted(one) for one in server.listener._sockets]  # type: ignore[misc]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.listener.run, nursery)
        client = await server.connect()
        await talk(client)
        await client.stream.aclose()
        server.listener.close()
    assert caplog.messages == ["Cannot accept on TEST: [Errno 24] Too many open files"]
