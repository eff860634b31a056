"""PlainTransport: what is there is read at once, waiting is trio's, and whoever waits can be woken."""

import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
import trio
import trio.testing

from pykbroker.network.transport import PlainTransport

Pair = tuple[socket.socket, socket.socket]


async def test_it_never_blocks(socket_pair: Pair) -> None:
    transport = PlainTransport(socket_pair[0])
    with pytest.raises(BlockingIOError):
        transport.recv_into(memoryview(bytearray(10)))
    with pytest.raises(BlockingIOError):
        fill(transport)


def fill(transport: PlainTransport) -> None:
    while True:
        transport.send(b"x" * 1_000_000)


async def test_bytes_go_both_ways(socket_pair: Pair) -> None:
    transport, peer = PlainTransport(socket_pair[0]), socket_pair[1]
    peer.send(b"hello")
    buffer = bytearray(10)
    await transport.wait_readable()
    assert transport.recv_into(memoryview(buffer)) == 5
    assert buffer == b"hello" + bytes(5)
    await transport.wait_writable()
    assert transport.send(b"world") == 5
    assert peer.recv(10) == b"world"
    assert transport.fileno() == socket_pair[0].fileno()


async def test_the_end_is_zero_bytes(socket_pair: Pair) -> None:
    transport = PlainTransport(socket_pair[0])
    socket_pair[1].close()
    await transport.wait_readable()
    assert transport.recv_into(memoryview(bytearray(10))) == 0


@pytest.mark.parametrize("how", ["wake", "close"])
async def test_who_waits_is_woken(how: str, socket_pair: Pair) -> None:
    transport = PlainTransport(socket_pair[0])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect_closed, transport)
        await trio.testing.wait_all_tasks_blocked()
        getattr(transport, how)()
    assert (socket_pair[0].fileno() < 0) is (how == "close")


async def expect_closed(transport: PlainTransport) -> None:
    with pytest.raises(trio.ClosedResourceError):
        await transport.wait_readable()


async def test_closing_twice_is_no_error(socket_pair: Pair) -> None:
    transport = PlainTransport(socket_pair[0])
    transport.close()
    transport.close()
    transport.wake()


async def test_a_tcp_connection_sends_small_answers_at_once_and_asks_whether_its_peer_is_there() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        PlainTransport(client)
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not client.getblocking()


async def test_a_region_larger_than_the_sockets_buffer_arrives_whole(socket_pair: Pair, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "segment").write_bytes(b"before" + data + b"after")
    transport = PlainTransport(socket_pair[0])
    received = bytearray()

    async def read() -> None:
        peer = trio.socket.from_stdlib_socket(socket_pair[1].dup())
        while len(received) < len(data):
            received.extend(await peer.recv(1 << 20))
        peer.close()

    with (tmp_path / "segment").open("rb") as file:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await transport.send_region(SimpleNamespace(file=file, position=6, length=len(data)))
    assert received == data
