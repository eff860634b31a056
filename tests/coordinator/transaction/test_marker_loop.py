"""Markers: errors of partitions, commits that take their time, coordinators that come and go."""

from math import inf

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pykbroker.coordinator.transaction.marker_loop import GRACE_SECONDS, RETRY_SECONDS, SLICE
from pykbroker.coordinator.transaction.service import COMMIT_TIMEOUT
from pykbroker.coordinator.transaction.transaction_metadata import COMPLETE_COMMIT, ONGOING, PREPARE_COMMIT
from pykbroker.errors import KafkaError
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.transaction.plays import (
    OFFSETS,
    A,
    B,
    TransactionPlay,
    add,
    commit_log,
    done,
    end,
    fail_append,
    hold_commits,
    identified,
    init,
    is_in,
    partition_answers,
    refused,
    tell,
    told,
)


def ending(*partitions: object) -> TransactionPlay:
    play = TransactionPlay()
    play << init() << add("p", *(partitions or (A, B))) << end("p", True)  # type: ignore[arg-type]
    play >> identified("p", 100, 0) >> done("p") >> identified("p", 100, 1)
    return play


@pytest.mark.parametrize(
    "code", [E.NOT_LEADER_OR_FOLLOWER, E.NOT_ENOUGH_REPLICAS, E.KAFKA_STORAGE_ERROR, E.REQUEST_TIMED_OUT]
)
def test_what_fails_for_now_is_tried_again(code: int) -> None:
    play = ending()
    (
        play
        << partition_answers(A, code, code)
        << tell
        << tell
        >> is_in(PREPARE_COMMIT)
        >> told(A)
        >> told(B, (100, 1, True))
    )
    play << tell >> is_in(COMPLETE_COMMIT) >> told(A, (100, 1, True)) >> told(B, (100, 1, True))


@pytest.mark.parametrize("code", [E.UNKNOWN_TOPIC_OR_PARTITION, E.INVALID_PRODUCER_EPOCH])
def test_partitions_that_need_no_marker(code: int) -> None:
    """Deleted meanwhile, or written to under a newer epoch."""
    play = ending()
    play << partition_answers(A, code) << tell >> is_in(COMPLETE_COMMIT) >> told(A)


def test_a_group_coordinator_that_is_not_there_yet() -> None:
    play = ending(A, OFFSETS)
    play << partition_answers(OFFSETS, E.COORDINATOR_LOAD_IN_PROGRESS, E.NOT_COORDINATOR) << tell << tell
    play >> is_in(PREPARE_COMMIT)
    play << tell >> is_in(COMPLETE_COMMIT) >> told(OFFSETS, (100, 1, True))


def test_a_later_coordinator_has_taken_over() -> None:
    play = ending()
    play << partition_answers(A, E.TRANSACTION_COORDINATOR_FENCED) << tell >> is_in(PREPARE_COMMIT)
    assert len(play.service.markers) == 0


def test_markers_wait_for_their_commit() -> None:
    play = ending()
    pending: Pending[None] = Pending()
    play << partition_answers(A, pending) << tell << tell >> is_in(PREPARE_COMMIT) >> told(A, (100, 1, True))
    pending.complete(None)
    play << tell >> is_in(COMPLETE_COMMIT) >> told(A, (100, 1, True))


def test_a_marker_whose_commit_failed_is_written_again() -> None:
    play = ending()
    pending: Pending[None] = Pending()
    play << partition_answers(A, pending) << tell
    pending.fail(KafkaError(E.NOT_LEADER_OR_FOLLOWER))
    play << tell >> is_in(PREPARE_COMMIT)
    play << tell >> is_in(COMPLETE_COMMIT) >> told(A, (100, 1, True), (100, 1, True))


def test_a_marker_that_too_few_replicas_have_is_written_again_after_the_request_timeout() -> None:
    play = ending()
    stuck: Pending[None] = Pending()
    play << partition_answers(A, stuck) << tell
    play.clock.advance(play.config.request_timeout_ms / 1000)
    # Another broker may be about to answer the same.
    play << tell >> is_in(PREPARE_COMMIT) >> told(A, (100, 1, True))
    play.clock.advance(GRACE_SECONDS)
    play << tell >> is_in(PREPARE_COMMIT)
    assert stuck.done
    play << tell >> is_in(COMPLETE_COMMIT) >> told(A, (100, 1, True), (100, 1, True))


def test_nobody_is_told_before_the_decision_is_committed() -> None:
    play = TransactionPlay()
    play << init() << add("p", A) << hold_commits << end("p", True)
    play.service.markers.add("tx")
    play << tell >> told(A)
    play << commit_log << tell >> told(A, (100, 1, True)) >> is_in(COMPLETE_COMMIT)


def test_a_decision_that_was_long_in_being_committed_is_told() -> None:
    """Found by a cluster of both kinds: the end was written, timed out, was committed later, and hung for ever."""
    play = TransactionPlay()
    play << init() << add("p", A) >> identified("p", 100, 0) >> done("p")
    play << hold_commits << end("p", True)
    play.pass_time(COMMIT_TIMEOUT)
    play >> refused("p", E.REQUEST_TIMED_OUT) >> told(A)
    play << commit_log << tell >> told(A, (100, 1, True)) >> is_in(COMPLETE_COMMIT)


def test_a_decision_that_was_not_written_is_not_told() -> None:
    play = TransactionPlay()
    play << init() << add("p", A) >> identified("p", 100, 0) >> done("p")
    play << fail_append(E.NOT_ENOUGH_REPLICAS) << end("p", True) << tell
    play >> refused("p", E.NOT_ENOUGH_REPLICAS) >> told(A) >> is_in(ONGOING)
    assert len(play.service.markers) == 0


def test_what_another_broker_coordinates_is_dropped() -> None:
    play = ending()
    play << partition_answers(A, E.NOT_LEADER_OR_FOLLOWER) << tell
    play.service.on_resigned(0, None)
    play << tell
    assert len(play.service.markers) == 0


def test_what_is_dropped_need_not_be_sent() -> None:
    """A marker on its way to another broker: who carries it sees that nobody waits."""
    play = ending()
    pending: Pending[None] = Pending()
    play << partition_answers(A, pending) << tell
    play.service.on_resigned(0, None)
    play << tell
    assert pending.done


async def test_the_loop_tries_again_after_a_while(autojump_clock: MockClock) -> None:
    play = ending()
    play << partition_answers(A, E.NOT_LEADER_OR_FOLLOWER, E.NOT_LEADER_OR_FOLLOWER)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(play.service.markers.run)
        await trio.sleep(2.5 * RETRY_SECONDS)
        nursery.cancel_scope.cancel()
    play >> is_in(COMPLETE_COMMIT)


async def test_the_loop_wakes_for_a_commit_and_sleeps_without_work(mock_clock: MockClock) -> None:
    play = ending(A)
    pending: Pending[None] = Pending()
    play << partition_answers(A, pending)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(play.service.markers.run)
        await wait_all_tasks_blocked()
        play >> is_in(PREPARE_COMMIT)
        pending.complete(None)
        await wait_all_tasks_blocked()
        play >> is_in(COMPLETE_COMMIT)
        assert trio.lowlevel.current_statistics().seconds_to_next_deadline == inf
        nursery.cancel_scope.cancel()


def test_many_partitions_are_told_in_slices() -> None:
    play = ending(*(A._replace(partition=number) for number in range(2 * SLICE + 1)))
    for told_so_far in (SLICE, 2 * SLICE):
        play << tell >> is_in(PREPARE_COMMIT)
        assert len(play.partitions.markers) == told_so_far
    play << tell >> is_in(COMPLETE_COMMIT)
    assert all(len(markers) == 1 for markers in play.partitions.markers.values())


async def test_the_loop_goes_on_with_the_next_slice_at_once(mock_clock: MockClock) -> None:
    play = ending(*(A._replace(partition=number) for number in range(3 * SLICE)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(play.service.markers.run)
        await wait_all_tasks_blocked()
        play >> is_in(COMPLETE_COMMIT)
        nursery.cancel_scope.cancel()
