"""Connection: order, bursts, waiting, limits, and what it gives back."""

import gc
import logging
import struct
import weakref

import pytest
import trio
import trio.testing

from pykbroker.network.connection import MAX_BURST, WAITING
from tests.network.conftest import framed, serving


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving() as server:
        client = await server.connect()
        bodies = [b"request %d" % number for number in range(100)]
        await client.send(*bodies)
        assert [await client.receive() for _ in bodies] == bodies


async def test_frames_in_any_pieces() -> None:
    async with serving() as server:
        client = await server.connect()
        bodies = [b"a", b"b" * 70_000, b"", b"c" * 300_000, b"d"]
        stream = b"".join(map(framed, bodies))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_in_pieces, client, stream)
            assert [await client.receive() for _ in bodies] == bodies


async def send_in_pieces(client: object, stream: bytes) -> None:
    for start in range(0, len(stream), 30_011):
        await client.stream.send_all(stream[start : start + 30_011])  # type: ignore[attr-defined]


async def test_an_answer_does_not_wait_for_the_request_behind_it() -> None:
    async with serving() as server:
        client = await server.connect()
        await client.send(b"first", b"wait second", b"third")
        assert await client.receive() == b"first"
        (connection,) = server.connections
        assert connection.state == WAITING
        assert server.seen == [b"first", b"wait second"]
        server.release.set()
        assert await client.receive() == b"wait second"
        assert await client.receive() == b"third"


async def test_a_waiting_request_may_keep_its_frame() -> None:
    async with serving() as server:
        client, other = await server.connect(), await server.connect()
        await client.send(b"keep me", b"next")
        await other.send(b"zzzzzzzzzzzzzzz")
        assert await other.receive() == b"zzzzzzzzzzzzzzz"
        server.release.set()
        assert await client.receive() == b"keep me"
        assert await client.receive() == b"next"


async def test_a_waiting_request_holds_no_buffer() -> None:
    async with serving() as server:
        client = await server.connect()
        await client.send(b"wait")
        await trio.testing.wait_all_tasks_blocked(0.01)
        free = server.shared.pool.free_bytes
        assert free > 0
        server.release.set()
        assert await client.receive() == b"wait"


async def test_no_answer_for_who_wants_none() -> None:
    async with serving() as server:
        client = await server.connect()
        await client.send(b"none", b"some")
        assert await client.receive() == b"some"


async def test_large_answers_arrive_whole() -> None:
    async with serving() as server:
        client = await server.connect()
        await client.send(b"large5000000", b"after")
        assert await client.receive() == b"x" * 5_000_000
        assert await client.receive() == b"after"


async def test_malformed_closes_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving() as server:
        client, other = await server.connect(), await server.connect()
        await client.send(b"bad")
        await client.closed()
        await other.send(b"hello")
        assert await other.receive() == b"hello"
        assert server.shared.metrics.malformed_frames == 1
    assert [record.getMessage() for record in caplog.records] == [
        "Closed connection from 127.0.0.1 on TEST: as asked at byte 3"
    ]


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (struct.pack(">i", -1), "frame of -1 bytes"),
        (struct.pack(">i", 1 << 30), "frame of 1073741824 bytes"),
        (b"GET / HTTP/1.1\r\n\r\n", "it speaks HTTP, not the Kafka protocol"),
        (bytes.fromhex("16030102000100"), "it speaks TLS"),
    ],
)
async def test_what_is_no_frame(start: bytes, expected: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving() as server:
        client = await server.connect()
        await client.stream.send_all(start)
        await client.closed()
    (record,) = caplog.records
    assert expected in record.getMessage()


async def test_a_large_frame_is_refused_by_its_first_bytes() -> None:
    async with serving() as server:
        client = await server.connect()
        await client.stream.send_all(struct.pack(">i", 1 << 20) + b"evil" + b"x" * 70_000)
        await client.closed()
        assert server.seen == []


async def test_a_bug_closes_one_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as server:
        client, other = await server.connect(), await server.connect()
        await client.send(b"bug")
        await client.closed()
        await other.send(b"hello")
        assert await other.receive() == b"hello"
    (record,) = caplog.records
    assert record.exc_info is not None


async def test_a_connection_that_has_gone_leaves_no_cycle_behind() -> None:
    """The garbage is collected so seldom that thousands of comers and goers would wait for it."""
    async with serving() as server:
        client = await server.connect()
        await client.send(b"hello", b"m" * 100_000)
        assert await client.receive() == b"hello"
        assert len(await client.receive()) == 100_000
        gc.disable()
        try:
            await client.stream.aclose()
            await trio.testing.wait_all_tasks_blocked(0.01)
            (session,) = map(weakref.ref, server.closed)
            server.closed.clear()
            assert session() is None
        finally:
            gc.enable()


async def test_drain_ends_idle_connections_at_once_and_busy_ones_after_their_answer() -> None:
    async with serving() as server:
        idle, busy = await server.connect(), await server.connect()
        await idle.send(b"x")
        assert await idle.receive() == b"x"
        await busy.send(b"wait")
        await trio.testing.wait_all_tasks_blocked(0.01)
        for connection in list(server.connections):
            connection.drain()
        await idle.closed()
        server.release.set()
        assert await busy.receive() == b"wait"
        await busy.closed()


async def test_a_connection_that_always_has_data_yields() -> None:
    async with serving() as server:
        client, other = await server.connect(), await server.connect()
        await client.send(*[b"n"] * (4 * MAX_BURST))
        await other.send(b"other")
        await client.receive()
        await other.receive()
        position = server.seen.index(b"other")
        assert position <= 2 * MAX_BURST


async def test_who_never_reads_blocks_only_itself() -> None:
    async with serving() as server:
        deaf, other = await server.connect(), await server.connect()
        with trio.move_on_after(0.2):
            while True:
                await deaf.send(*[b"large100000"] * 10)
        await other.send(b"hello")
        assert await other.receive() == b"hello"
        assert len(server.seen) < 1000


async def test_waiting_for_memory_ends_when_others_give_it_back() -> None:
    async with serving(budget=1_000_000) as server:
        clients = [await server.connect() for _ in range(5)]
        body = b"m" * 900_000
        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(client.send, body)
            for client in clients:
                assert await client.receive() == body
        small = await server.connect()
        await small.send(b"small")
        assert await small.receive() == b"small"


async def test_answers_that_nobody_reads_are_bounded_together(caplog: pytest.LogCaptureFixture) -> None:
    """A hundred who ask for much and read nothing must not hold a hundred times much."""
    caplog.set_level(logging.INFO)
    async with serving() as server:
        server.shared.unread.limit = 60_000_000
        deaf = [await server.connect() for _ in range(6)]
        for client in deaf:
            await client.send(b"large20000000")
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert server.shared.unread.size <= 60_000_000
        assert len(server.connections) == 3
        other = await server.connect()
        await other.send(b"hello")
        assert await other.receive() == b"hello"
        assert await deaf[-1].receive() == b"x" * 20_000_000
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert server.shared.unread.size <= 40_000_000
    assert len([record for record in caplog.records if "does not read its answer" in record.getMessage()]) == 3
