"""Ends of partitions led elsewhere: one question for all that wait."""

from typing import Any

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
    offsets = LatestOffsets()
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


def test_a_leader_that_is_away() -> None:
    offsets = LatestOffsets()
    pending = offsets.ask(2, A)
    offsets.next_requests()[0].on_failure(KafkaError(E.NETWORK_EXCEPTION))
    assert outcome(pending) == "NETWORK_EXCEPTION"
