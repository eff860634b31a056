"""Markers for other brokers: what is asked, byte for byte as Kafka asks it, and what the answers mean."""

from typing import Any

import pytest

from pykbroker.coordinator.broker_queue import BrokerRequest
from pykbroker.coordinator.shard import Marker
from pykbroker.coordinator.transaction.marker_queue import MOST, MarkerQueue
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.pending import Pending
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.headers import decode_request_header
from pykbroker.protocol.messages.write_txn_markers import (
    WritableTxnMarkerPartitionResult,
    WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)
from tests.golden_data import golden_lines

A, B = TopicPartition("t", 0), TopicPartition("t", 1)
COMMIT = Marker(1000, 1, 5, True, 2)


def only(queue: MarkerQueue) -> tuple[BrokerRequest, Any]:
    (request,) = queue.next_requests()
    return request, request.message


def answer(request: BrokerRequest, *rows: tuple[int, TopicPartition, int]) -> None:
    """Rows: producer id, partition, error code."""
    results = [
        WritableTxnMarkerResult(
            producer_id,
            [WritableTxnMarkerTopicResult(tp.topic, [WritableTxnMarkerPartitionResult(tp.partition, code)])],
        )
        for producer_id, tp, code in rows
    ]
    request.on_response(WriteTxnMarkersResponse(markers=results))


def code_of(pending: Pending[None]) -> int:
    try:
        pending.result()
    except KafkaError as error:
        return error.code
    return E.NONE


def test_as_kafka_asks() -> None:
    """Its sets of partitions have an order of their own: the first marker names 2 before 1."""
    sent = [
        bytes.fromhex(line["hex"])
        for number in (1, 2)
        for line in golden_lines(f"conversations/kraft-interbroker-{number}.jsonl.gz")
        if line.get("api") == "WriteTxnMarkers" and line["dir"] == ">"
    ]
    assert len(sent) == 3
    for frame in sent:
        body = frame[_body(frame) :]
        queue = MarkerQueue()
        for marker in WriteTxnMarkersRequest.decode(body, 2)[0].markers:
            for topic in marker.topics:
                for index in topic.partition_indexes:
                    queue.write(2, TopicPartition(topic.name, index), _marker(marker))
        request, message = only(queue)
        assert (request.api_key, request.broker_id) == (ApiKey.WRITE_TXN_MARKERS, 2)
        assert bytes(message.encode(2)) == body


def _body(frame: bytes) -> int:
    return decode_request_header(memoryview(frame))[-1]


def _marker(row: Any) -> Marker:
    return Marker(
        row.producer_id, row.producer_epoch, row.coordinator_epoch, row.transaction_result, row.transaction_version
    )


def test_partitions_of_one_end_go_together() -> None:
    queue = MarkerQueue()
    pendings = [queue.write(2, tp, COMMIT) for tp in (A, B)]
    request, message = only(queue)
    (marker,) = message.markers
    assert [(topic.name, topic.partition_indexes) for topic in marker.topics] == [("t", [0, 1])]
    assert (marker.transaction_version, marker.coordinator_epoch) == (2, 5)
    answer(request, (1000, A, 0), (1000, B, E.NOT_LEADER_OR_FOLLOWER))
    assert [code_of(pending) for pending in pendings] == [0, E.NOT_LEADER_OR_FOLLOWER]


def test_producers_go_together_and_are_told_apart() -> None:
    queue = MarkerQueue()
    other = COMMIT._replace(producer_id=2000, commit=False)
    first, second = queue.write(2, A, COMMIT), queue.write(2, A, other)
    request, message = only(queue)
    assert [(row.producer_id, row.transaction_result) for row in message.markers] == [(1000, True), (2000, False)]
    answer(request, (2000, A, E.INVALID_PRODUCER_EPOCH), (1000, A, 0))
    assert (code_of(first), code_of(second)) == (0, E.INVALID_PRODUCER_EPOCH)


def test_two_ends_of_one_producer_go_one_after_the_other() -> None:
    """An answer names the producer only."""
    queue = MarkerQueue()
    first, second = queue.write(2, A, COMMIT), queue.write(2, A, COMMIT._replace(epoch=2))
    request, message = only(queue)
    assert len(message.markers) == 1
    answer(request, (1000, A, 0))
    assert (first.done, second.done) == (True, False)
    _, message = only(queue)
    assert [row.producer_epoch for row in message.markers] == [2]


def test_a_leader_that_does_not_know_the_partition_may_hear_of_it_later() -> None:
    queue = MarkerQueue()
    pending = queue.write(2, A, COMMIT)
    request, _ = only(queue)
    answer(request, (1000, A, E.UNKNOWN_TOPIC_OR_PARTITION))
    assert code_of(pending) == E.NOT_LEADER_OR_FOLLOWER


def test_what_is_not_answered_fails() -> None:
    queue = MarkerQueue()
    pending = queue.write(2, A, COMMIT)
    request, _ = only(queue)
    answer(request, (1000, B, 0))
    assert code_of(pending) == E.UNKNOWN_SERVER_ERROR


def test_a_broker_that_is_away() -> None:
    queue = MarkerQueue()
    pending = queue.write(2, A, COMMIT)
    request, _ = only(queue)
    request.on_failure(KafkaError(E.NETWORK_EXCEPTION))
    assert code_of(pending) == E.NETWORK_EXCEPTION


def test_what_nobody_waits_for_is_not_sent() -> None:
    queue = MarkerQueue()
    queue.write(2, A, COMMIT).complete(None)
    assert queue.next_requests() == []


@pytest.mark.parametrize("more", [0, 1])
def test_a_request_has_its_bounds(more: int) -> None:
    queue = MarkerQueue()
    for index in range(MOST + more):
        queue.write(2, TopicPartition("t", index), COMMIT)
    request, message = only(queue)
    assert len(message.markers[0].topics[0].partition_indexes) == MOST
    request.on_failure(KafkaError(E.NETWORK_EXCEPTION))
    assert len(queue.next_requests()) == more
