"""Requests and answers of very many rows: the loop goes on while they are decoded, handled and encoded."""

import gc
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
import trio

from pykbroker.dispatch import LARGE_REQUEST, MANY_ROWS, FullCollections, LargeRequest, Suspended, count_rows
from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.describe_groups import DescribedGroup, DescribeGroupsRequest, DescribeGroupsResponse
from pykbroker.protocol.messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderTopicResult,
)
from pykbroker.request import RequestContext
from tests.test_dispatch import frame, open_session

VERSION = 6
GROUPS = [f"a group {number}" for number in range(LARGE_REQUEST // 10)]
LARGE = DescribeGroupsRequest(groups=GROUPS)
SMALL = DescribeGroupsRequest(groups=["g"])


def framed(request: Message) -> memoryview:
    return memoryview(bytearray(frame(ApiKey.DESCRIBE_GROUPS, VERSION, request)))


def rows(answer: Any) -> list[DescribedGroup]:
    response, end = DescribeGroupsResponse.decode(bytes(answer), VERSION, 9)
    assert end == len(answer)
    return response.groups


class Threads:
    """Where decoding and encoding happens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.decoding: list[threading.Thread] = []
        self.encoding: list[threading.Thread] = []
        self._watch(monkeypatch, DescribeGroupsRequest, "decode", self.decoding)
        self._watch(monkeypatch, DescribeGroupsResponse, "encode_into", self.encoding)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, seen: list[threading.Thread]) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def watched(*args: Any) -> Any:
            seen.append(threading.current_thread())
            return original(*args)

        monkeypatch.setattr(owner, name, staticmethod(watched) if name == "decode" else watched)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    return Threads(monkeypatch)


async def echo(broker: Any, ctx: RequestContext, request: DescribeGroupsRequest) -> DescribeGroupsResponse:
    return DescribeGroupsResponse(groups=[DescribedGroup(group_id=group_id) for group_id in request.groups])


async def test_both_ends_of_a_large_request_are_work_for_a_thread(threads: Threads) -> None:
    buffer = framed(LARGE)
    begun = open_session(ApiKey.DESCRIBE_GROUPS, handle=echo).begin(buffer, 0)
    assert isinstance(begun, LargeRequest)
    assert not begun.keeps_frame
    buffer[:] = bytes(len(buffer))  # it is another's by now
    assert [row.group_id for row in rows(await begun.finish())] == GROUPS
    assert threading.main_thread() not in threads.decoding + threads.encoding


async def test_a_small_question_with_a_large_answer(threads: Threads) -> None:
    async def handle(broker: Any, ctx: RequestContext, request: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return DescribeGroupsResponse(groups=[DescribedGroup()] * MANY_ROWS)

    begun = open_session(ApiKey.DESCRIBE_GROUPS, handle=handle).begin(framed(SMALL), 0)
    assert isinstance(begun, Suspended)
    assert len(rows(await begun.finish())) == MANY_ROWS
    assert threads.decoding == [threading.main_thread()]
    assert threads.encoding != [threading.main_thread()]


async def test_what_is_small_needs_no_thread(threads: Threads) -> None:
    async def handle(broker: Any, ctx: RequestContext, request: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return DescribeGroupsResponse(groups=[DescribedGroup()] * 100)

    begun = open_session(ApiKey.DESCRIBE_GROUPS, handle=handle).begin(framed(SMALL), 0)
    assert isinstance(begun, Suspended)
    await begun.finish()
    assert [*threads.decoding, *threads.encoding] == [threading.main_thread()] * 2


@pytest.mark.parametrize("late", [False, True])
async def test_the_handlers_no(late: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def handle(broker: Any, ctx: RequestContext, request: Any) -> Any:
        if late:
            await trio.lowlevel.checkpoint()
        raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE)

    begun = open_session(ApiKey.DESCRIBE_GROUPS, handle=handle).begin(framed(LARGE), 0)
    assert isinstance(begun, LargeRequest)
    with caplog.at_level(logging.INFO):
        answer = rows(await begun.finish())
    assert {row.error_code for row in answer} == {ErrorCode.COORDINATOR_NOT_AVAILABLE}
    assert len(answer) == len(GROUPS)
    assert not caplog.records


async def test_a_malformed_one_ends_its_connection() -> None:
    begun = open_session(ApiKey.DESCRIBE_GROUPS, handle=echo).begin(framed(LARGE)[:-5], 0)
    assert isinstance(begun, LargeRequest)
    with pytest.raises(MalformedFrame, match=r"^DescribeGroups v6 #77: "):
        await begun.finish()


async def test_no_full_collection_while_there_is_one() -> None:
    before = gc.get_threshold()
    seen = []
    second = trio.Event()

    async def handle(broker: Any, ctx: RequestContext, request: DescribeGroupsRequest) -> DescribeGroupsResponse:
        seen.append(gc.get_threshold())
        if len(seen) == 1:
            await second.wait()
        second.set()
        return DescribeGroupsResponse()

    async def ask() -> None:
        begun = open_session(ApiKey.DESCRIBE_GROUPS, handle=handle).begin(framed(LARGE), 0)
        assert isinstance(begun, LargeRequest)
        await begun.finish()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)
    assert seen == [(*before[:2], FullCollections.RARELY)] * 2
    assert gc.get_threshold() == before


@pytest.mark.parametrize(("topics", "partitions"), [(1, 6000), (6, 1000), (100, 60), (3000, 2), (3000, 0)])
def test_rows_within_rows_count(topics: int, partitions: int) -> None:
    topic = OffsetForLeaderTopicResult(topic="t", partitions=[EpochEndOffset()] * partitions)
    response = OffsetForLeaderEpochResponse(topics=[topic] * topics)
    assert count_rows(response) == topics * (1 + partitions)
