"""StatePersister asks again what passes by itself, and nothing else; the loop of the log's upkeep keeps its times."""

from collections import deque
from typing import Any

import trio
from trio.testing import MockClock

from pykbroker.coordinator.share.persister_loop import ATTEMPTS, StatePersister
from pykbroker.coordinator.share.upkeep_loop import UpkeepLoop
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.write_share_group_state import (
    PartitionData,
    PartitionResult,
    WriteShareGroupStateRequest,
    WriteShareGroupStateResponse,
    WriteStateData,
    WriteStateResult,
)
from tests.coordinator.share.plays import GROUP, KEY, OTHER, TOPIC, SharePlay, initialize_request, write_request


class Coordinator:
    """Answers each row with the next of its codes; 0 when there is none left."""

    def __init__(self, **codes: list[int]) -> None:
        self.codes = {name: deque(row) for name, row in codes.items()}
        self.asked: list[list[str]] = []

    async def write_state(self, request: WriteShareGroupStateRequest) -> WriteShareGroupStateResponse:
        self.asked.append([name(topic, row) for topic in request.topics for row in topic.partitions])
        return WriteShareGroupStateResponse(
            results=[
                WriteStateResult(topic.topic_id, [self.answer(topic, row) for row in topic.partitions])
                for topic in request.topics
            ]
        )

    def answer(self, topic: WriteStateData, row: PartitionData) -> PartitionResult:
        codes = self.codes.get(name(topic, row))
        return PartitionResult(row.partition, codes.popleft() if codes else 0)


def name(topic: Any, row: Any) -> str:
    return f"{'t' if topic.topic_id == TOPIC else 'o'}{row.partition}"


class StateTopic:
    def __init__(self, exists: bool = True) -> None:
        self.exists = exists
        self.created = 0

    async def create(self) -> None:
        self.created += 1
        self.exists = self.created > 1


def request() -> WriteShareGroupStateRequest:
    rows = [PartitionData(0), PartitionData(1)]
    return WriteShareGroupStateRequest(GROUP, [WriteStateData(TOPIC, rows), WriteStateData(OTHER, [PartitionData(0)])])


async def ask(coordinator: Any, topic: StateTopic) -> dict[str, int]:
    response = await StatePersister(coordinator, topic).write_state(request())
    return {name(result, row): row.error_code for result in response.results for row in result.partitions}


async def test_only_what_failed_is_asked_again(autojump_clock: MockClock) -> None:
    coordinator = Coordinator(
        t0=[E.COORDINATOR_LOAD_IN_PROGRESS, E.NOT_COORDINATOR],
        t1=[E.FENCED_LEADER_EPOCH],
        o0=[E.COORDINATOR_NOT_AVAILABLE, E.UNKNOWN_SERVER_ERROR],
    )
    codes = await ask(coordinator, StateTopic())
    assert codes == {"t0": 0, "t1": E.FENCED_LEADER_EPOCH, "o0": E.UNKNOWN_SERVER_ERROR}
    assert coordinator.asked == [["t0", "t1", "o0"], ["t0", "o0"], ["t0"]]


async def test_it_gives_up(autojump_clock: MockClock) -> None:
    began = trio.current_time()
    coordinator = Coordinator(o0=[E.NOT_COORDINATOR] * 100)
    assert (await ask(coordinator, StateTopic()))["o0"] == E.NOT_COORDINATOR
    assert len(coordinator.asked) == ATTEMPTS
    assert 12 < trio.current_time() - began < 13


async def test_the_topic_is_created_first(autojump_clock: MockClock) -> None:
    topic = StateTopic(exists=False)
    await ask(Coordinator(t0=[E.NOT_COORDINATOR]), topic)
    assert topic.created == 2


async def test_the_log_is_kept_short(autojump_clock: MockClock) -> None:
    play = SharePlay(
        share_coordinator_state_topic_prune_interval_ms=10_000,
        share_coordinator_cold_partition_snapshot_interval_ms=4_000,
    )
    enabled = False
    await play.service.initialize_state(initialize_request())
    await play.service.write_state(write_request((0, 5, 2, 1), start_offset=6))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(UpkeepLoop(play.service, play.config, lambda: enabled).run)
        play.clock.advance(60)
        await trio.sleep(21)
        assert len(play.records()) == 2
        enabled = True
        await trio.sleep(4)
        assert len(play.records()) == 3
        await trio.sleep(6)
        assert len(play.records()) == 1
        nursery.cancel_scope.cancel()
    play.reload()
    assert play.shard.table[KEY].offset.start_offset == 6


async def test_an_error_of_the_log_does_not_stop_it(autojump_clock: MockClock) -> None:
    play = SharePlay(share_coordinator_state_topic_prune_interval_ms=1_000)
    for _ in range(2):
        await play.service.initialize_state(initialize_request())
    failures = [KafkaError(E.KAFKA_STORAGE_ERROR)]
    delete = play.log.delete_records

    def fail_once(tp: Any, offset: int) -> None:
        if failures:
            raise failures.pop()
        delete(tp, offset)

    play.log.delete_records = fail_once  # type: ignore[method-assign]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(UpkeepLoop(play.service, play.config, lambda: True).run)
        await trio.sleep(2.5)
        assert len(play.records()) == 1
        nursery.cancel_scope.cancel()
