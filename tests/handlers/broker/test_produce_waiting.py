"""Produce where there are followers: acks=all waits for the high watermark (DelayedProduce)."""

from collections.abc import Awaitable, Coroutine
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from pykbroker.errors import MalformedFrame
from pykbroker.handlers.broker import produce
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.produce import ProduceResponse
from pykbroker.request import RawResponse
from tests.handlers.broker.asker import Topic, batch, for_version, produce_request
from tests.replica.stand import NODE_ID, Stand, context, partition_image

VERSION = 12
TWO = partition_image(NODE_ID, 0)._replace(replicas=(NODE_ID, 2), isr=(NODE_ID, 2))


@pytest.fixture
def topic(stand: Stand) -> Topic:
    """Partition 0 has a follower in sync, partition 1 has none."""
    topic = Topic("t", stand.create("t", 2))
    stand.set_partition("t", TWO)
    return topic


class Answer:
    rows: dict[int, Any]
    nodes: list[int]
    at: float


async def send(stand: Stand, topic: Topic, answer: Answer, acks: int = -1) -> None:
    request = for_version(produce_request(topic, [(0, batch()), (1, batch())], acks=acks), VERSION)
    ctx = context(ApiKey.PRODUCE, VERSION)
    start = ctx.received_at = trio.current_time()
    found = produce.handle_frame(stand, ctx, memoryview(request.encode(VERSION)), 0)  # type: ignore[arg-type]
    raw = await found if isinstance(found, Awaitable) else found
    assert isinstance(raw, RawResponse)
    response, _ = ProduceResponse.decode(b"".join(raw.parts), VERSION)  # type: ignore[arg-type]
    answer.at = trio.current_time() - start
    answer.rows = {row.index: row for row in response.responses[0].partition_responses}
    answer.nodes = [node.node_id for node in response.node_endpoints]


async def after(seconds: float, action: Any, *arguments: Any) -> None:
    await trio.sleep(seconds)
    action(*arguments)


async def test_waits_until_it_is_committed(stand: Stand, topic: Topic, autojump_clock: MockClock) -> None:
    answer = Answer()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send, stand, topic, answer)
        nursery.start_soon(after, 2, stand.set_partition, "t", TWO._replace(isr=(NODE_ID,)))
    assert answer.at == pytest.approx(2)
    assert [(row.error_code, row.base_offset) for row in answer.rows.values()] == [(0, 0), (0, 0)]
    assert not stand.partition("t").waiters


async def test_other_acks_do_not_wait(stand: Stand, topic: Topic, autojump_clock: MockClock) -> None:
    answer = Answer()
    await send(stand, topic, answer, acks=1)
    assert (answer.at, answer.rows[0].error_code) == (0, 0)


async def test_times_out(stand: Stand, topic: Topic, autojump_clock: MockClock) -> None:
    """The batch is in the log all the same, and the answer says where."""
    answer = Answer()
    await send(stand, topic, answer)
    assert answer.at == pytest.approx(5)
    assert (answer.rows[0].error_code, answer.rows[0].base_offset) == (ErrorCode.REQUEST_TIMED_OUT, 0)
    assert answer.rows[1].error_code == 0
    assert not stand.partition("t").waiters


async def test_a_leader_that_steps_down_says_so(stand: Stand, topic: Topic, autojump_clock: MockClock) -> None:
    answer = Answer()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send, stand, topic, answer)
        nursery.start_soon(after, 1, stand.set_partition, "t", TWO._replace(leader=2, leader_epoch=1))
    assert (answer.at, answer.rows[0].error_code) == (pytest.approx(1), ErrorCode.NOT_LEADER_OR_FOLLOWER)


async def test_who_asks_the_wrong_broker_is_told_the_leader(
    stand: Stand, topic: Topic, autojump_clock: MockClock
) -> None:
    """KIP-951."""
    stand.elect("t", 2, 5)
    answer = Answer()
    await send(stand, topic, answer)
    row = answer.rows[0]
    assert row.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert (row.current_leader.leader_id, row.current_leader.leader_epoch) == (2, 5)
    assert answer.nodes == [2]
    assert answer.rows[1].error_code == 0


async def test_too_few_in_sync(stand: Stand, autojump_clock: MockClock) -> None:
    topic = Topic("t", stand.create("t", 2, min_insync_replicas="2"))
    stand.set_partition("t", TWO._replace(isr=(NODE_ID,)))
    answer = Answer()
    await send(stand, topic, answer)
    assert (answer.at, answer.rows[0].error_code) == (0, ErrorCode.NOT_ENOUGH_REPLICAS)
    assert answer.rows[0].log_start_offset == 0
    assert answer.rows[1].error_code == 0


async def test_a_failed_disk(stand: Stand, topic: Topic, autojump_clock: MockClock) -> None:
    stand.logs.fail(stand.logs.directories[0], OSError(5, "gone"))
    answer = Answer()
    await send(stand, topic, answer)
    assert [row.error_code for row in answer.rows.values()] == [ErrorCode.KAFKA_STORAGE_ERROR] * 2


async def test_internal_topics_are_the_brokers_own(stand: Stand, autojump_clock: MockClock) -> None:
    topic = Topic("__consumer_offsets", stand.create("__consumer_offsets", 2))
    answer = Answer()
    await send(stand, topic, answer)
    assert [row.error_code for row in answer.rows.values()] == [ErrorCode.INVALID_TOPIC_EXCEPTION] * 2
    assert stand.partition("__consumer_offsets").log.log_end_offset == 0


async def test_a_transaction_that_nobody_began(stand: Stand, topic: Topic, autojump_clock: MockClock) -> None:
    """Nobody has asked for a transaction coordinator, so that there is none to ask."""
    records = batch(producer_id=5, producer_epoch=0, base_sequence=0, is_transactional=True)
    request = for_version(produce_request(topic, [(1, records)], acks=0, transactional_id="tx"), VERSION)
    answer = produce.handle_frame(
        stand,  # type: ignore[arg-type]
        context(ApiKey.PRODUCE, VERSION),
        memoryview(request.encode(VERSION)),
        0,
    )
    assert isinstance(answer, Coroutine)
    with pytest.raises(MalformedFrame, match="NOT_ENOUGH_REPLICAS"):
        await answer
    assert stand.partition("t", 1).log.log_end_offset == 0
