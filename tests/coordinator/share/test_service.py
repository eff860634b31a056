"""What is common to the share coordinator's APIs: many share partitions at once, errors of the log, waiting."""

import pytest
import trio
import trio.testing

from pykbroker.coordinator.share.service import ShareCoordinatorService
from pykbroker.coordinator.share.share_partition_key import SharePartitionKey
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.write_share_group_state import (
    PartitionData,
    WriteShareGroupStateRequest,
    WriteStateData,
)
from tests.coordinator.share.plays import (
    GROUP,
    OTHER,
    STATE,
    TOPIC,
    SharePlay,
    initialize_request,
    row_of,
    write_request,
)

ELSEWHERE = "Unable to write share group state: This is not the correct coordinator."


async def test_an_answer_waits_for_the_commit() -> None:
    play = SharePlay()
    await play.service.initialize_state(initialize_request())
    play.log.auto_commit = False
    answers: list[object] = []

    async def write() -> None:
        answers.append(row_of(await play.service.write_state(write_request((0, 1, 2, 1)))).error_code)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await trio.testing.wait_all_tasks_blocked()
        assert answers == []
        play.log.commit(STATE)
    assert answers == [0]


async def test_partitions_of_a_request_are_begun_together() -> None:
    play = SharePlay()
    for topic in (TOPIC, OTHER):
        await play.service.initialize_state(initialize_request(SharePartitionKey(GROUP, topic, 0)))
    play.log.auto_commit = False
    topics = [WriteStateData(OTHER, [PartitionData(0)]), WriteStateData(TOPIC, [PartitionData(0), PartitionData(1)])]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(play.service.write_state, WriteShareGroupStateRequest(GROUP, topics))
        await trio.testing.wait_all_tasks_blocked()
        assert len(play.records()) == 4
        play.log.commit(STATE)


@pytest.mark.parametrize(
    ("code", "heard", "message"),
    [
        (E.NOT_ENOUGH_REPLICAS, E.COORDINATOR_NOT_AVAILABLE, None),
        (E.NOT_LEADER_OR_FOLLOWER, E.NOT_COORDINATOR, None),
        (E.UNKNOWN_TOPIC_OR_PARTITION, E.COORDINATOR_NOT_AVAILABLE, "This server does not host this topic-partition."),
        (E.MESSAGE_TOO_LARGE, E.UNKNOWN_SERVER_ERROR, None),
    ],
)
def test_errors_of_the_log(code: int, heard: int, message: str | None) -> None:
    play = SharePlay()
    play.initialize()
    play.log.failures.append(KafkaError(code))
    row = play.write((0, 1, 2, 1))
    assert row.error_code == heard
    assert row.error_message.startswith("Unable to write share group state: ")
    if message is not None:
        assert row.error_message.endswith(message)
    assert play.write((0, 1, 2, 1)).error_code == 0


def test_a_commit_that_takes_too_long() -> None:
    play = SharePlay(share_coordinator_write_timeout_ms=3000)
    play.initialize()
    play.log.auto_commit = False

    async def answer() -> int:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(late)
            response = await play.service.write_state(write_request())
            return int(row_of(response).error_code)

    async def late() -> None:
        await trio.testing.wait_all_tasks_blocked()
        play.clock.advance(3)
        play.service.runtime.step()

    assert trio.run(answer) == E.COORDINATOR_NOT_AVAILABLE


def test_who_is_not_the_coordinator_says_so() -> None:
    play = SharePlay()
    play.initialize()
    play.service.on_resigned(0, None)
    row = play.write()
    assert (row.error_code, row.error_message) == (E.NOT_COORDINATOR, ELSEWHERE)
    play.epoch += 1
    play.log.fail_reads.append(KafkaError(E.KAFKA_STORAGE_ERROR))
    play.service.on_elected(0, play.epoch)
    assert play.write().error_code == E.NOT_COORDINATOR
    play.reload()
    assert play.write().error_code == 0


def test_the_number_of_partitions_is_fixed_once_seen() -> None:
    play = SharePlay()
    counts = iter([None, None, 10, 99])
    service = ShareCoordinatorService(
        play.config, play.clock, play.log, partitions=lambda: next(counts), image=lambda: play.image
    )
    play.config.share_coordinator_state_topic_num_partitions = 50
    topic = type(TOPIC).parse("siUfYwalTFbUkza3RPuuTw")
    assert [service.partition_for(SharePartitionKey("g", topic, 0)) for _ in range(4)] == [34, 34, 4, 4]


async def test_a_partition_that_cannot_be_pruned_stops_nobody() -> None:
    play = SharePlay()
    await play.service.initialize_state(initialize_request())
    await play.service.initialize_state(initialize_request())
    play.service.on_elected(1, 0)
    play.log.watermarks[STATE] = 0  # of the log alone: the coordinator knows better
    await play.service.prune()
    assert STATE not in play.log.start
    play.log.commit(STATE)
    await play.service.prune()
    assert play.log.start[STATE] == 1
    play.log.start[STATE] = 0
    await play.service.prune()
    assert play.log.start[STATE] == 0  # not again
