"""Listeners and connections together: start, limits from the config, and the end in order."""

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.ids import Endpoint
from pykbroker.network.listener import BindError
from pykbroker.network.memory_budget import DEFAULT_LIMIT
from pykbroker.network.socket_server import BoundListener, SocketServer
from tests.network.conftest import Client, LoopClock, Server, framed

Running = tuple[SocketServer, list[BoundListener], "Sessions"]
ENDPOINT = Endpoint("PLAINTEXT", "PLAINTEXT", "127.0.0.1", 0)


class Sessions:
    """Opens obedient sessions and keeps who asked for them."""

    def __init__(self) -> None:
        self.obedient = Server()
        self.obedient.listener.close()
        self.opened: list[tuple[str, str, str]] = []

    def __call__(self, listener: str, protocol: str, address: Any) -> Any:
        self.opened.append((listener, protocol, address.local_host))
        return self.obedient.listener._open_session(listener, address)


@asynccontextmanager
async def running(*endpoints: Endpoint, **texts: str) -> AsyncIterator[Running]:
    sessions = Sessions()
    bound = [BoundListener(endpoint, 50) for endpoint in endpoints]
    config = BrokerConfig({name.replace("_", "."): value for name, value in texts.items()})
    server = SocketServer(bound, config, LoopClock(), sessions)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        yield server, bound, sessions
        nursery.cancel_scope.cancel()
    for one in bound:
        one.close()
    assert not server.connections


async def connect(bound: BoundListener) -> Client:
    return Client(await trio.open_tcp_stream(bound.endpoint.host, bound.endpoint.port))


async def test_each_listener_serves_under_its_name() -> None:
    second = ENDPOINT._replace(listener="SECOND")
    async with running(ENDPOINT, second) as (_, bound, sessions):
        for one in bound:
            client = await connect(one)
            await client.send(b"hello")
            assert await client.receive() == b"hello"
            await client.stream.aclose()
        assert sessions.opened == [("PLAINTEXT", "PLAINTEXT", "127.0.0.1"), ("SECOND", "PLAINTEXT", "127.0.0.1")]


async def test_stop_answers_what_is_under_way_and_takes_no_more() -> None:
    async with running(ENDPOINT) as (server, bound, sessions):
        idle, busy = await connect(bound[0]), await connect(bound[0])
        await idle.send(b"hello")
        assert await idle.receive() == b"hello"
        await busy.send(b"wait for me")
        while b"wait for me" not in sessions.obedient.seen:
            await trio.testing.wait_all_tasks_blocked()
        server.stop(patience=60)
        assert await idle.receive() == b""
        with pytest.raises(OSError, match="all attempts"):
            await connect(bound[0])
        sessions.obedient.release.set()
        assert await busy.receive() == b"wait for me"
        assert await busy.receive() == b""
        for client in (idle, busy):
            await client.stream.aclose()


async def test_patience_ends() -> None:
    async with running(ENDPOINT) as (server, bound, sessions):
        busy = await connect(bound[0])
        await busy.send(b"wait in vain")
        while not sessions.obedient.seen:
            await trio.testing.wait_all_tasks_blocked()
        server.stop(patience=0)
        assert await busy.receive() == b""
        await busy.stream.aclose()


async def test_limits_come_from_the_config() -> None:
    settings = {"socket_request_max_bytes": "64", "queued_max_request_bytes": "4096", "max_connections_per_ip": "1"}
    async with running(ENDPOINT, **settings) as (server, bound, _):
        assert server.shared.budget.limit == 4096
        first = await connect(bound[0])
        await first.send(b"hello")
        assert await first.receive() == b"hello"
        await (await connect(bound[0])).closed()
        await first.stream.send_all(struct.pack(">i", 65) + b"x" * 10)
        await first.closed()


async def test_limits_may_change_while_it_serves() -> None:
    async with running(ENDPOINT) as (server, bound, _):
        first = await connect(bound[0])
        await first.send(b"hello")
        assert await first.receive() == b"hello"
        server.update(BrokerConfig({"max.connections.per.ip": "1"}))
        await (await connect(bound[0])).closed()
        server.update(BrokerConfig({"max.connections.per.ip": "1", "max.connections.per.ip.overrides": "127.0.0.1:2"}))
        second = await connect(bound[0])
        await second.send(b"hello")
        assert await second.receive() == b"hello"
        await first.stream.aclose()
        await second.stream.aclose()


async def test_without_a_limit_memory_is_bounded_all_the_same() -> None:
    async with running(ENDPOINT) as (server, _, _):
        assert server.shared.budget.limit == DEFAULT_LIMIT
        assert server.shared.max_frame == 104857600


def test_a_port_in_use_is_named() -> None:
    bound = BoundListener(ENDPOINT, 50)
    try:
        with pytest.raises(BindError, match=f"127.0.0.1:{bound.endpoint.port} is in use"):
            BoundListener(bound.endpoint, 50)
    finally:
        bound.close()


def test_a_free_port_is_told() -> None:
    bound = BoundListener(ENDPOINT, 50)
    bound.close()
    assert bound.endpoint.port > 0
    assert framed(b"x") == b"\0\0\0\1x"


@pytest.mark.parametrize(
    ("host", "exposed"),
    [("127.0.0.1", False), ("127.9.9.9", False), ("localhost", False), ("", True), ("0.0.0.0", True)],
)
def test_who_may_be_reached_from_elsewhere(host: str, exposed: bool) -> None:
    """scenarios.md section 3, default exposure."""
    bound = BoundListener(ENDPOINT._replace(host=host), 50)
    assert bound.is_exposed is exposed
    bound.close()
