"""A fetcher at its leader, in virtual time, without sockets."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from pykbroker.errors import NodeUnreachable
from pykbroker.ids import Endpoint
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.messages.fetch import FetchableTopicResponse, FetchRequest, FetchResponse, PartitionData
from pykbroker.replica.fetcher_loop import FetcherLoop
from tests.replica.test_fetcher import World, batch

HERE = Endpoint("PLAINTEXT", "PLAINTEXT", "localhost", 9092)
ELSEWHERE = HERE._replace(port=9093)
Answer = Callable[[FetchRequest], FetchResponse]


class Leader:
    """Where channels lead to; `answer` may raise NodeUnreachable."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.opened: list[tuple[Endpoint, str]] = []
        self.asked: list[float] = []
        self.closed = 0
        self.where: Endpoint | None = HERE

    def connect(self, endpoint: Endpoint, client_id: str) -> "Channel":
        self.opened.append((endpoint, client_id))
        return Channel(self)


class Channel:
    def __init__(self, leader: Leader) -> None:
        self.leader = leader
        self.ended = trio.Event()

    async def send_frame(self, api_key: int, version: int, body: bytes, *, timeout: float) -> memoryview:
        assert (api_key, version, timeout) == (ApiKey.FETCH, 18, 30.0)
        self.leader.asked.append(trio.current_time())
        with trio.move_on_after(0.5):
            await self.ended.wait()
            raise NodeUnreachable("closed by this side")
        response = self.leader.answer(FetchRequest.decode(body, version)[0])
        return memoryview(bytearray(response.encode(version)))

    def close(self) -> None:
        self.leader.closed += 1
        self.ended.set()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.logs.release()


def loop_of(world: World, leader: Leader) -> FetcherLoop:
    return FetcherLoop(world.fetcher, lambda _: leader.where, leader.connect, 1)


def silent(request: FetchRequest) -> FetchResponse:
    """All partitions are there, nothing is new."""
    topics = [
        FetchableTopicResponse(
            topic_id=topic.topic_id,
            partitions=[PartitionData(partition_index=row.partition) for row in topic.partitions],
        )
        for topic in request.topics
    ]
    return FetchResponse(session_id=5, responses=topics)


async def test_asks_again_as_soon_as_it_is_answered(world: World, autojump_clock: MockClock) -> None:
    partition = world.follow()

    def answer(request: FetchRequest) -> FetchResponse:
        response = silent(request)
        for topic in response.responses:
            offset = request.topics[0].partitions[0].fetch_offset
            topic.partitions[0].records = batch(base_offset=offset) if offset < 3 else b""
        return response

    leader = Leader(answer)
    with trio.move_on_after(3):
        await loop_of(world, leader).run()
    assert partition.log.log_end_offset == 3
    assert (len(leader.asked), leader.opened, leader.closed) == (6, [(HERE, "broker-1-fetcher-0")], 1)


async def test_an_unreachable_leader_is_asked_every_backoff(world: World, autojump_clock: MockClock) -> None:
    world.follow()

    def answer(request: FetchRequest) -> FetchResponse:
        raise NodeUnreachable("connection refused")

    leader = Leader(answer)
    with trio.move_on_after(4.4):
        await loop_of(world, leader).run()
    assert [round(at - leader.asked[0], 1) for at in leader.asked] == [0, 1.5, 3]


async def test_a_leader_that_has_moved_or_is_not_known_yet(world: World, autojump_clock: MockClock) -> None:
    world.follow()
    leader = Leader(silent)
    leader.where = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(loop_of(world, leader).run)
        await trio.sleep(2.5)
        assert not leader.opened
        leader.where = HERE
        await trio.sleep(2)
        leader.where = ELSEWHERE
        await trio.sleep(1.1)
        nursery.cancel_scope.cancel()
    assert [endpoint for endpoint, _ in leader.opened] == [HERE, ELSEWHERE]


async def test_it_sleeps_as_long_as_there_is_nothing_to_follow(world: World, autojump_clock: MockClock) -> None:
    leader = Leader(silent)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(loop_of(world, leader).run)
        await trio.sleep(100)
        assert not leader.asked
        world.follow()
        await trio.sleep(0.1)
        assert len(leader.asked) == 1
        nursery.cancel_scope.cancel()


async def test_closing_ends_the_request_under_way(world: World, autojump_clock: MockClock) -> None:
    world.follow()
    leader = Leader(silent)
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(loop_of(world, leader).run)
        await trio.sleep(0.1)
        world.fetcher.close()
    assert trio.current_time() - start == pytest.approx(0.1)
    assert leader.closed >= 1
