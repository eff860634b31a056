"""The client's side of a connection between nodes, against a small server on a loopback socket."""

import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from pykbroker.errors import MalformedFrame, NodeUnreachable
from pykbroker.ids import Endpoint
from pykbroker.network.node_channel import MAX_RESPONSE, SMALL, SocketChannel, connect
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.headers import decode_request_header, encode_response_header
from pykbroker.protocol.messages.api_versions import ApiVersion, ApiVersionsRequest, ApiVersionsResponse
from pykbroker.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse

Answer = Callable[[int, int, int, bytes], bytes]  # (api key, version, correlation id, body) → frame; b"" closes
HEARTBEAT = (ApiKey.HEARTBEAT, 4)


def response(api_key: int, version: int, correlation_id: int, body: bytes | bytearray) -> bytes:
    out = bytearray()
    encode_response_header(out, api_key, version, correlation_id)
    return struct.pack(">i", len(out) + len(body)) + bytes(out) + body


class Node:
    """Answers what it is told to; `seen` are the requests, `connections` and `channels` all of them."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.seen: list[tuple[int, int, str | None, bytes]] = []
        self.connections: list[trio.SocketStream] = []
        self.piece = 1 << 30
        self.channels: list[SocketChannel] = []
        self.address: tuple[str, int] = ("", 0)

    def channel(self, max_response: int = MAX_RESPONSE) -> SocketChannel:
        self.channels.append(SocketChannel(self.address, "7", max_response))
        return self.channels[-1]

    async def serve(self, stream: trio.SocketStream) -> None:
        self.connections.append(stream)
        async with stream:
            while True:
                try:
                    prefix = await receive(stream, 4)
                    frame = await receive(stream, struct.unpack(">i", prefix)[0])
                except (EOFError, trio.BrokenResourceError, trio.ClosedResourceError):
                    return
                header = decode_request_header(frame)
                body = frame[header.body_position :]
                self.seen.append((header.api_key, header.api_version, header.client_id, body))
                out = self.answer(header.api_key, header.api_version, header.correlation_id, body)
                if not out:
                    return
                for start in range(0, len(out), self.piece):
                    await stream.send_all(out[start : start + self.piece])
                    await trio.testing.wait_all_tasks_blocked()


async def receive(stream: trio.SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = await stream.receive_some(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def alive(api_key: int, version: int, correlation_id: int, body: bytes) -> bytes:
    """Answers a Heartbeat with the generation of the group as throttle time."""
    request = HeartbeatRequest.decode(body, version)[0]
    return response(api_key, version, correlation_id, HeartbeatResponse(request.generation_id).encode(version))


@asynccontextmanager
async def running(answer: Answer, host: str = "127.0.0.1") -> AsyncIterator[Node]:
    node = Node(answer)
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host=host)
        node.address = listeners[0].socket.getsockname()[:2]
        nursery.start_soon(trio.serve_listeners, node.serve, listeners)
        try:
            yield node
        finally:
            for channel in node.channels:
                channel.close()
            nursery.cancel_scope.cancel()


async def beat(channel: SocketChannel, generation: int = 0, timeout: float = 5) -> int:
    request = HeartbeatRequest(group_id="g", generation_id=generation, member_id="m")
    answer = await channel.send(*HEARTBEAT, request, timeout=timeout)
    assert isinstance(answer, HeartbeatResponse)
    return answer.throttle_time_ms


async def test_a_request_and_its_response() -> None:
    async with running(alive) as node:
        channel = node.channel()
        assert [await beat(channel, generation) for generation in (3, 4)] == [3, 4]
        assert [row[:3] for row in node.seen] == [(12, 4, "7")] * 2
        assert len(node.connections) == 1


async def test_an_endpoint_tells_where_as_well() -> None:
    async with running(alive) as node:
        node.channels.append(connect(Endpoint("PLAINTEXT", "PLAINTEXT", *node.address), "7"))
        assert await beat(node.channels[0], 5) == 5


async def test_the_next_address_of_a_host_is_tried_when_the_first_refuses() -> None:
    async with running(alive) as node:  # localhost is ::1 and 127.0.0.1 where there is IPv6
        node.channels.append(connect(("localhost", node.address[1]), "7"))
        assert await beat(node.channels[0], 5) == 5


async def test_several_callers_take_turns() -> None:
    got: list[int] = []

    async def ask(channel: SocketChannel, generation: int) -> None:
        got.append(await beat(channel, generation) - generation)

    async with running(alive) as node, trio.open_nursery() as nursery:
        channel = node.channel()
        for generation in range(20):
            nursery.start_soon(ask, channel, generation)
    assert got == [0] * 20
    assert len(node.connections) == 1


@pytest.mark.parametrize("size", [0, 1, SMALL - 4, SMALL, 3_000_000])
@pytest.mark.parametrize("piece", [1 << 30, 65_537])
async def test_responses_of_any_size_arrive_whole(size: int, piece: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)

    async with running(lambda key, version, correlation, _: response(key, version, correlation, data[:size])) as node:
        node.piece = piece
        channel = node.channel()
        for _ in range(2):
            assert await channel.send_frame(*HEARTBEAT, b"", timeout=5) == data[:size]


async def test_a_large_buffer_is_given_up_when_small_responses_follow() -> None:
    sizes = iter([5_000_000, 10, 10])
    async with running(
        lambda key, version, correlation, _: response(key, version, correlation, bytes(next(sizes)))
    ) as node:
        channel = node.channel()
        assert len((await channel.send_frame(*HEARTBEAT, b"", timeout=5)).obj) > 5_000_000
        assert len((await channel.send_frame(*HEARTBEAT, b"", timeout=5)).obj) <= SMALL


async def test_what_was_kept_of_an_old_response_is_spoiled_where_invariants_are_checked() -> None:
    async with running(lambda key, version, correlation, body: response(key, version, correlation, body)) as node:
        channel = node.channel()
        first = await channel.send_frame(*HEARTBEAT, b"first", timeout=5)
        await channel.send_frame(*HEARTBEAT, b"2", timeout=5)
        assert bytes(first) != b"first"


async def test_a_response_to_another_request_ends_the_connection() -> None:
    async with running(lambda key, version, correlation, _: response(key, version, correlation + 1, b"")) as node:
        channel = node.channel()
        for _ in range(2):
            with pytest.raises(
                MalformedFrame, match=rf"127\.0\.0\.1:{node.address[1]} answers request \d when \d was asked"
            ):
                await beat(channel)
        assert len(node.connections) == 2


async def test_bytes_behind_a_response_end_the_connection() -> None:
    async with running(lambda *request: alive(*request) + b"more") as node:
        with pytest.raises(MalformedFrame, match="sends 4 bytes behind its answer"):
            await beat(node.channel())


@pytest.mark.parametrize("size", [-1, 1001])
async def test_a_response_of_an_absurd_size_ends_the_connection(size: int) -> None:
    async with running(lambda *_: struct.pack(">i", size)) as node:
        with pytest.raises(MalformedFrame, match=f"answers with {size} bytes, over 1000"):
            await beat(node.channel(max_response=1000))


async def test_a_response_without_sense_ends_the_connection() -> None:
    async with running(lambda key, version, correlation, _: response(key, version, correlation, b"\0")) as node:
        channel = node.channel()
        for _ in range(2):
            with pytest.raises(MalformedFrame):
                await beat(channel)
        assert len(node.connections) == 2


async def test_nobody_there() -> None:
    async with running(alive) as node:
        channel = node.channel()
    with pytest.raises(NodeUnreachable, match=rf"127\.0\.0\.1:{node.address[1]}: Connection refused"):
        await beat(channel)


async def test_no_such_host() -> None:
    with pytest.raises(NodeUnreachable, match=r"no-such-host\.invalid:9092: "):
        await beat(connect(("no-such-host.invalid", 9092), "7"))


async def test_an_end_in_the_middle_of_a_request_is_told_and_the_next_request_connects_again() -> None:
    answers: list[Answer] = [lambda *_: b"", alive]
    async with running(lambda *request: answers.pop(0)(*request)) as node:
        channel = node.channel()
        with pytest.raises(NodeUnreachable, match="the connection was closed by the other side"):
            await beat(channel)
        assert await beat(channel, 4) == 4
        assert len(node.connections) == 2


async def test_a_connection_that_ended_while_idle_costs_no_request() -> None:
    async with running(alive) as node:
        channel = node.channel()
        await beat(channel)
        await node.connections[0].aclose()
        assert await beat(channel, 4) == 4
        assert len(node.connections) == 2


async def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    async with running(alive) as node:
        channel = node.channel()
        await beat(channel)
        await trio.testing.wait_all_tasks_blocked()
        await node.connections[0].send_all(b"stray")
        assert await beat(channel, 4) == 4
        assert len(node.connections) == 2


async def test_a_request_that_is_not_answered_in_time(autojump_clock: trio.testing.MockClock) -> None:
    async with running(lambda *_: struct.pack(">i", 8)) as node:
        channel = node.channel()
        start = trio.current_time()
        with pytest.raises(NodeUnreachable, match=r"no answer to Heartbeat within 2\.5 s"):
            await beat(channel, timeout=2.5)
        assert trio.current_time() - start == pytest.approx(2.5)
        node.answer = alive
        assert await beat(channel, 4) == 4
        assert len(node.connections) == 2


async def test_the_time_of_a_request_begins_with_its_turn(autojump_clock: trio.testing.MockClock) -> None:
    failures: list[float] = []

    async def ask() -> None:
        with pytest.raises(NodeUnreachable):
            await beat(channel, timeout=2)
        failures.append(trio.current_time() - start)

    async with running(lambda *_: struct.pack(">i", 8)) as node, trio.open_nursery() as nursery:
        channel = node.channel()
        start = trio.current_time()
        nursery.start_soon(ask)
        nursery.start_soon(ask)
    assert failures == pytest.approx([2, 4])


async def test_a_cancelled_request_leaves_no_answer_for_the_next(autojump_clock: trio.testing.MockClock) -> None:
    answers: list[Answer] = [lambda *_: struct.pack(">i", 8), alive]
    async with running(lambda *request: answers.pop(0)(*request)) as node:
        channel = node.channel()
        with trio.move_on_after(1) as scope:
            await beat(channel)
        assert scope.cancelled_caught
        assert await beat(channel, 4) == 4
        assert len(node.connections) == 2


async def test_close_ends_the_request_under_way() -> None:
    async with running(lambda *_: struct.pack(">i", 8)) as node, trio.open_nursery() as nursery:
        channel = node.channel()

        async def close() -> None:
            await trio.testing.wait_all_tasks_blocked(0.01)
            channel.close()

        nursery.start_soon(close)
        with pytest.raises(NodeUnreachable, match="the connection was closed by this side"):
            await beat(channel)
        node.answer = alive
        assert await beat(channel, 4) == 4
        channel.close()
        assert await beat(channel, 5) == 5
        assert len(node.connections) == 3


def versions(key: int, version: int, correlation_id: int, body: bytes) -> bytes:
    if key == ApiKey.HEARTBEAT:
        return alive(key, version, correlation_id, body)
    assert ApiVersionsRequest.decode(body, version)[0].client_software_name == "pykbroker"
    answer = ApiVersionsResponse(api_keys=[ApiVersion(1, 4, 18), ApiVersion(18, 0, 4)])
    return response(key, version, correlation_id, answer.encode(version))


async def test_versions_are_asked_once_per_connection() -> None:
    async with running(versions) as node:
        channel = node.channel()
        for _ in range(2):
            assert await channel.api_versions(timeout=5) == {1: (4, 18), 18: (0, 4)}
        await beat(channel)
        assert [row[0] for row in node.seen] == [18, 12]
        await node.connections[0].aclose()
        assert await channel.api_versions(timeout=5) == {1: (4, 18), 18: (0, 4)}
        assert [row[0] for row in node.seen] == [18, 12, 18]


async def test_a_node_that_does_not_know_our_version_of_the_question_is_asked_in_version_0() -> None:
    def old(key: int, version: int, correlation_id: int, body: bytes) -> bytes:
        code, rows = (35, [ApiVersion(18, 0, 3)]) if version > 3 else (0, [ApiVersion(1, 4, 16), ApiVersion(18, 0, 3)])
        return response(key, 0, correlation_id, ApiVersionsResponse(error_code=code, api_keys=rows).encode(0))

    async with running(old) as node:
        assert await node.channel().api_versions(timeout=5) == {1: (4, 16), 18: (0, 3)}


async def test_a_node_that_refuses_the_question_is_not_reachable() -> None:
    def refuses(key: int, version: int, correlation_id: int, body: bytes) -> bytes:
        return response(key, version, correlation_id, ApiVersionsResponse(error_code=42).encode(version))

    async with running(refuses) as node:
        with pytest.raises(NodeUnreachable, match="ApiVersions is answered INVALID_REQUEST"):
            await node.channel().api_versions(timeout=5)
