"""Ends of partitions led elsewhere: one question for all that wait."""

from math import inf
from typing import Any

from pykbroker.clock import ManualClock
from pykbroker.coordinator.group.latest_offsets import LatestOffsets
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.pending import Pending
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.list_offsets import (
    ListOffsetsPartitionResponse,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)

A, B, C = TopicPartition("t", 0), TopicPartition("t", 1), TopicPartition("u", 0)


def outcome(pending: Pending[int]) -> int | str:
    try:
        return pending.result()
    except KafkaError as error:
        return E(error.code).name


def test_all_at_once() -> None:
    offsets = LatestOffsets(ManualClock().monotonic)
    pendings = [offsets.ask(2, tp) for tp in (A, B, C, A)]
    (request,) = offsets.next_requests()
    message: Any = request.message
    assert (request.api_key, message.replica_id, message.isolation_level) == (ApiKey.LIST_OFFSETS, -1, 0)
    asked = [
        (topic.name, [(row.partition_index, row.timestamp) for row in topic.partitions]) for topic in message.topics
    ]
    assert asked == [("t", [(0, -1), (1, -1)]), ("u", [(0, -1)])]
    rows = [
        ListOffsetsPartitionResponse(partition_index=0, offset=10),
        ListOffsetsPartitionResponse(partition_index=1, error_code=E.NOT_LEADER_OR_FOLLOWER),
    ]
    request.on_response(ListOffsetsResponse(topics=[ListOffsetsTopicResponse("t", rows)]))
    told = [outcome(pending) for pending in pendings]
    assert told == [10, "NOT_LEADER_OR_FOLLOWER", "UNKNOWN_TOPIC_OR_PARTITION", 10]


def test_a_leader_that_is_away_is_asked_five_times_more() -> None:
    clock = ManualClock(0)
    offsets = LatestOffsets(clock.monotonic)
    pending = offsets.ask(2, A)
    offsets.next_requests()[0].on_failure(KafkaError(E.NETWORK_EXCEPTION))
    for seconds in (1, 2, 4, 8, 16):
        assert not pending.done
        assert offsets.next_requests() == []
        pause = offsets.next_time() - clock.monotonic()
        assert 0.8 * seconds <= pause <= 1.2 * seconds
        clock.advance(pause)
        offsets.next_requests()[0].on_failure(KafkaError(E.NETWORK_EXCEPTION))
    assert outcome(pending) == "NETWORK_EXCEPTION"
    assert offsets.next_time() == inf


def test_a_leader_that_comes_back_answers_all_that_wait() -> None:
    clock = ManualClock(0)
    offsets = LatestOffsets(clock.monotonic)
    first = offsets.ask(2, A)
    offsets.next_requests()[0].on_failure(KafkaError(E.NETWORK_EXCEPTION))
    clock.advance(2)
    second = offsets.ask(2, B)
    (request,) = offsets.next_requests()
    rows = [ListOffsetsPartitionResponse(partition_index=index, offset=10 + index) for index in (0, 1)]
    request.on_response(ListOffsetsResponse(topics=[ListOffsetsTopicResponse("t", rows)]))
    assert (outcome(first), outcome(second)) == (10, 11)


def test_a_leader_that_does_not_know_the_question_is_not_asked_again() -> None:
    offsets = LatestOffsets(ManualClock().monotonic)
    pending = offsets.ask(2, A)
    offsets.next_requests()[0].on_failure(KafkaError(E.UNSUPPORTED_VERSION))
    assert outcome(pending) == "UNSUPPORTED_VERSION"
