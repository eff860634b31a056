"""WriteTxnMarkers, as the real Kafka 4.3.1 answers it. KIP-664, KIP-1228; scenario 12."""

from typing import Any

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
)
from tests.handlers.broker.asker import UNKNOWN_TOPIC, Asker, Topic
from tests.handlers.transaction_dialogue import begun, stable_offsets


def marker(topic: Topic, producer_id: int, epoch: int, *partitions: int, **fields: Any) -> WritableTxnMarker:
    settings: dict[str, Any] = {"transaction_result": False, "coordinator_epoch": 0, **fields}
    return WritableTxnMarker(
        producer_id=producer_id,
        producer_epoch=epoch,
        topics=[WritableTxnMarkerTopic(name=topic.name, partition_indexes=list(partitions or (0,)))],
        **settings,
    )


def write(asker: Asker, *markers: WritableTxnMarker, version: int = 2) -> dict[tuple[int, int], int]:
    """The codes by producer id and partition."""
    response = asker.ask(WriteTxnMarkersRequest(markers=list(markers)), version)
    return {
        (row.producer_id, partition.partition_index): partition.error_code
        for row in response.markers
        for topic in row.topics
        for partition in topic.partitions
    }


@pytest.mark.parametrize("version", [1, 2])
def test_an_admin_ends_a_hanging_transaction(coordinated: Asker, version: int) -> None:
    topic = coordinated.create(2)
    producer = begun(coordinated)
    producer_id, epoch = producer.identity
    assert producer.produce(topic).error_code == 0
    assert stable_offsets(coordinated, topic)[:2] == (1, 0)
    assert write(coordinated, marker(topic, producer_id, epoch, 0, 1), version=version) == {
        (producer_id, 0): 0,
        (producer_id, 1): 0,
    }
    assert stable_offsets(coordinated, topic) == (2, 2, [(producer_id, 0)])
    assert stable_offsets(coordinated, topic, 1) == (1, 1, [])


def test_many_producers_at_once(coordinated: Asker) -> None:
    topic = coordinated.create(1)
    answers = write(coordinated, marker(topic, 77_001, 0), marker(topic, 77_002, 5, transaction_result=True))
    assert answers == {(77_001, 0): 0, (77_002, 0): 0}
    assert stable_offsets(coordinated, topic)[:2] == (2, 2)
    assert write(coordinated) == {}


def test_a_late_marker_touches_only_its_epoch(coordinated: Asker) -> None:
    """redpanda#3232 (scenario 12)."""
    topic = coordinated.create(1)
    producer = begun(coordinated)
    producer_id, epoch = producer.identity
    assert producer.produce(topic).error_code == 0
    assert producer.end(True) == 0
    producer.at_rest()
    assert producer.produce(topic).error_code == 0
    assert write(coordinated, marker(topic, producer_id, epoch)) == {(producer_id, 0): ErrorCode.INVALID_PRODUCER_EPOCH}
    assert stable_offsets(coordinated, topic)[:2] == (3, 2)


def test_new_markers_come_with_a_new_epoch(coordinated: Asker) -> None:
    """KIP-1228: one with the epoch of the records was delayed."""
    topic = coordinated.create(1)
    producer = begun(coordinated)
    producer_id, epoch = producer.identity
    assert producer.produce(topic).error_code == 0
    late = marker(topic, producer_id, epoch, transaction_version=2)
    assert write(coordinated, late) == {(producer_id, 0): ErrorCode.INVALID_PRODUCER_EPOCH}
    assert stable_offsets(coordinated, topic)[:2] == (1, 0)
    good = marker(topic, producer_id, epoch + 1, transaction_version=2)
    assert write(coordinated, good) == {(producer_id, 0): 0}
    assert stable_offsets(coordinated, topic)[:2] == (2, 2)
    # Again, by a coordinator that did not hear the answer.
    assert write(coordinated, good) == {(producer_id, 0): 0}
    assert write(coordinated, late) == {(producer_id, 0): ErrorCode.INVALID_PRODUCER_EPOCH}
    assert stable_offsets(coordinated, topic)[:2] == (3, 3)


def test_a_coordinator_that_was_replaced(coordinated: Asker) -> None:
    topic = coordinated.create(1)
    assert write(coordinated, marker(topic, 77_003, 0, coordinator_epoch=5)) == {(77_003, 0): 0}
    assert write(coordinated, marker(topic, 77_003, 0, coordinator_epoch=4)) == {
        (77_003, 0): ErrorCode.TRANSACTION_COORDINATOR_FENCED
    }


def test_partitions_that_do_not_exist(coordinated: Asker) -> None:
    topic = coordinated.create(1)
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert write(coordinated, marker(topic, 77_004, 0, 0, 9)) == {(77_004, 0): 0, (77_004, 9): unknown}
    assert write(coordinated, marker(UNKNOWN_TOPIC, 77_004, 0)) == {(77_004, 0): unknown}
