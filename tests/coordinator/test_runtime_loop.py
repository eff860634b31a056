"""Elections and operations of all shards, and the one task that loads and runs timers."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.coordinator.context import Settings
from pykbroker.coordinator.group.group_shard import GroupShard
from pykbroker.coordinator.runtime_loop import CoordinatorRuntime
from pykbroker.coordinator.shard import Outcome
from pykbroker.errors import KafkaError
from pykbroker.ids import ZERO_UUID, TopicPartition
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pykbroker.protocol.messages.offset_fetch import OffsetFetchRequestGroup
from pykbroker.record.builder import build_batch
from tests.coordinator.memory_log import MemoryLog

TOPIC = "__consumer_offsets"
TP = TopicPartition(TOPIC, 0)


class TrioClock:
    """The clock of the test's nursery, so that autojump_clock moves it."""

    def monotonic(self) -> float:
        return trio.current_time()

    def wall_ms(self) -> int:
        return 1_700_000_000_000 + round(trio.current_time() * 1000)


def make(log: MemoryLog) -> CoordinatorRuntime[GroupShard]:
    clock = TrioClock()
    config = BrokerConfig()
    settings = Settings("group", 0, 5.0, 1 << 20)
    return CoordinatorRuntime(TOPIC, lambda: GroupShard(config, clock), log, clock, settings)


def committing(offset: int, retention_ms: int = -1) -> Callable[[GroupShard], Outcome[Any]]:
    topic = OffsetCommitRequestTopic(name="t", partitions=[OffsetCommitRequestPartition(committed_offset=offset)])
    request = OffsetCommitRequest(group_id="g", retention_time_ms=retention_ms, topics=[topic])
    return lambda shard: shard.commit_offsets(2, request)


def offsets_of(shard: GroupShard) -> list[int]:
    group = shard.fetch_offsets(OffsetFetchRequestGroup(group_id="g", topics=None), require_stable=False)
    return [row.committed_offset for topic in group.topics for row in topic.partitions]


def code_of(function: Callable[[], object]) -> int:
    with pytest.raises(KafkaError) as caught:
        function()
    return caught.value.code


async def test_what_is_small_is_loaded_at_once() -> None:
    runtime = make(MemoryLog())
    assert code_of(lambda: runtime.shard(0)) == E.NOT_COORDINATOR
    runtime.elect(0, 1)
    assert runtime.is_active(0)
    assert runtime.partitions() == [0]
    response = await runtime.write(0, committing(5))
    assert response is not None
    assert offsets_of(runtime.shard(0)) == [5]


def large_log() -> MemoryLog:
    log = MemoryLog()
    rows = [
        (b"\0\1\0\1g\0\1t" + i.to_bytes(4, "big"), b"\0\0" + bytes(8) + b"\0\0" + bytes(8), (), 1) for i in range(2000)
    ]
    log.append_raw(TP, build_batch(rows))
    log.commit(TP)
    return log


async def test_what_is_large_is_loaded_by_the_task(nursery: trio.Nursery, autojump_clock: object) -> None:
    runtime = make(large_log())
    nursery.start_soon(runtime.run)
    await trio.testing.wait_all_tasks_blocked()
    runtime.elect(0, 1)
    assert code_of(lambda: runtime.shard(0)) == E.COORDINATOR_LOAD_IN_PROGRESS
    assert code_of(runtime.shards) == E.COORDINATOR_LOAD_IN_PROGRESS
    runtime.write_all(lambda shard: shard.topics_deleted([]))
    with pytest.raises(KafkaError):
        await runtime.write(0, committing(1))
    await trio.testing.wait_all_tasks_blocked()
    assert len(offsets_of(runtime.shard(0))) == 2000


async def test_elections() -> None:
    log = MemoryLog()
    runtime = make(log)
    runtime.elect(0, 3)
    shard = runtime.shard(0)
    runtime.elect(0, 2)
    runtime.elect(0, 5)  # led under another epoch, without pause
    assert runtime.shard(0) is shard
    log.leader_epoch = 5
    await runtime.write(0, committing(5))
    runtime.resign(0, 5)
    assert runtime.is_active(0)
    runtime.resign(0, 6)
    assert code_of(lambda: runtime.shard(0)) == E.NOT_COORDINATOR
    runtime.resign(0, 7)
    runtime.elect(0, 8)
    runtime.resign(0, None)
    assert runtime.partitions() == []


async def test_a_failed_load_is_tried_again_at_the_next_election(caplog: pytest.LogCaptureFixture) -> None:
    log = MemoryLog()
    log.append_raw(TP, build_batch([(b"\0\2\0\1g", None, (), 1)]))
    log.fail_reads.append(KafkaError(E.KAFKA_STORAGE_ERROR))
    runtime = make(log)
    with caplog.at_level(logging.CRITICAL):
        runtime.elect(0, 1)
    assert code_of(lambda: runtime.shard(0)) == E.NOT_COORDINATOR
    assert runtime.shards() == []
    runtime.elect(0, 2)
    assert runtime.is_active(0)


async def test_a_write_waits_for_its_commit(nursery: trio.Nursery, autojump_clock: object) -> None:
    log = MemoryLog()
    log.auto_commit = False
    runtime = make(log)
    runtime.elect(0, 1)
    done: list[object] = []

    async def write() -> None:
        done.append(await runtime.write(0, committing(5)))

    nursery.start_soon(write)
    await trio.testing.wait_all_tasks_blocked()
    assert not done
    log.commit(TP)
    await trio.testing.wait_all_tasks_blocked()
    assert len(done) == 1


async def test_a_write_gives_up_waiting(nursery: trio.Nursery, autojump_clock: object) -> None:
    log = MemoryLog()
    log.auto_commit = False
    runtime = make(log)
    runtime.elect(0, 1)
    nursery.start_soon(runtime.run)
    await trio.testing.wait_all_tasks_blocked()
    start = trio.current_time()
    with pytest.raises(KafkaError) as caught:
        await runtime.write(0, committing(5))
    assert caught.value.code == E.REQUEST_TIMED_OUT
    assert 5 <= trio.current_time() - start < 5.1


async def test_timers_run_in_the_task(nursery: trio.Nursery, autojump_clock: object) -> None:
    runtime = make(MemoryLog())
    nursery.start_soon(runtime.run)
    await trio.testing.wait_all_tasks_blocked()
    runtime.elect(0, 1)
    await runtime.write(0, committing(5, retention_ms=1000))
    assert offsets_of(runtime.shard(0)) == [5]
    await runtime_passes(601)
    assert offsets_of(runtime.shard(0)) == []


async def runtime_passes(seconds: float) -> None:
    with trio.move_on_after(seconds):
        await trio.sleep_forever()


async def test_an_uncertain_append_is_followed_by_a_reload(
    nursery: trio.Nursery, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    log = MemoryLog()
    runtime = make(log)
    runtime.elect(0, 1)
    nursery.start_soon(runtime.run)
    await trio.testing.wait_all_tasks_blocked()
    log.fail_after_write.append(KafkaError(E.KAFKA_STORAGE_ERROR))
    with caplog.at_level(logging.CRITICAL), pytest.raises(KafkaError):
        await runtime.write(0, committing(5))
    assert code_of(lambda: runtime.shard(0)) == E.COORDINATOR_LOAD_IN_PROGRESS
    await trio.testing.wait_all_tasks_blocked()
    log.commit(TP)
    assert offsets_of(runtime.shard(0)) == [5]


async def test_the_end_of_the_task_unloads() -> None:
    log = MemoryLog()
    runtime = make(log)
    async with trio.open_nursery() as running:
        running.start_soon(runtime.run)
        await trio.testing.wait_all_tasks_blocked()
        runtime.elect(0, 1)
        running.cancel_scope.cancel()
    assert runtime.partitions() == []
    assert log.listeners[TP] == []


async def test_all_shards_are_written_to_for_nobody() -> None:
    runtime = make(MemoryLog())
    for partition in range(3):
        runtime.elect(partition, 1)
        await runtime.write(partition, committing(5))
    runtime.write_all(lambda shard: shard.topics_deleted([("t", ZERO_UUID)]))
    assert [offsets_of(shard) for shard in runtime.shards()] == [[], [], []]


async def test_what_is_begun_tells_whom_to_await() -> None:
    log = MemoryLog()
    runtime = make(log)
    runtime.elect(0, 4)
    assert runtime.epoch(0) == 4
    assert code_of(lambda: runtime.epoch(1)) == E.NOT_COORDINATOR
    assert runtime.begin(0, committing(1))[1] is None
    log.auto_commit = False
    outcome, waiter = runtime.begin(0, committing(2))
    assert outcome.response is not None
    assert waiter is not None
    assert not waiter.done
    log.commit(TP)
    assert waiter.done
    assert code_of(lambda: runtime.begin(1, committing(1))) == E.NOT_COORDINATOR
