"""AddPartitionsToTxn, as the real Kafka 4.3.1 answers it."""

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from tests.handlers.broker.asker import UNKNOWN_TOPIC, Asker
from tests.handlers.transaction_dialogue import batched, begun


@pytest.mark.parametrize("version", range(4))
def test_the_first_partition_begins_the_transaction(coordinated: Asker, version: int) -> None:
    topic = coordinated.create(3)
    producer = begun(coordinated)
    assert producer.add(topic, 2, version=version) == 0
    row = producer.described()
    assert (row.transaction_state, row.transaction_timeout_ms) == ("Ongoing", 60_000)
    assert (row.producer_id, row.producer_epoch) == producer.identity
    assert row.transaction_start_time_ms > 0
    assert producer.add(topic, 0, 2, version=version) == 0
    again = producer.described()
    assert again.transaction_start_time_ms == row.transaction_start_time_ms
    assert [(item.topic, sorted(item.partitions)) for item in again.topics] == [(topic.name, [0, 2])]


@pytest.mark.parametrize("version", range(4))
def test_strangers(coordinated: Asker, version: int) -> None:
    topic = coordinated.create(1)
    producer = begun(coordinated)
    producer_id, epoch = producer.identity
    fenced = ErrorCode.PRODUCER_FENCED if version >= 2 else ErrorCode.INVALID_PRODUCER_EPOCH
    for other in (epoch - 1, epoch + 1):
        assert producer.try_add(topic, version=version, identity=(producer_id, other)) == fenced
    unknown = ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert producer.try_add(topic, version=version, identity=(producer_id + 1000, epoch)) == unknown
    producer.id += "-of-nobody"
    assert producer.try_add(topic, version=version) == unknown
    producer.id = ""
    assert producer.try_add(topic, version=version) == ErrorCode.INVALID_REQUEST


def test_a_partition_that_does_not_exist_fails_all(coordinated: Asker) -> None:
    topic = coordinated.create(1)
    producer = begun(coordinated)
    assert producer.try_add(UNKNOWN_TOPIC) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert batched(coordinated, (producer, topic, [0, 7]), verify_only=False) == [
        {0: ErrorCode.OPERATION_NOT_ATTEMPTED, 7: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
    ]
    assert producer.described().transaction_state == "Empty"


@pytest.mark.parametrize("version", [4, 5])
def test_brokers_add_and_verify_for_many(coordinated: Asker, version: int) -> None:
    topic = coordinated.create(3)
    first, second, third = begun(coordinated), begun(coordinated), begun(coordinated)
    third.identity = (third.identity[0], third.identity[1] + 1)
    assert batched(
        coordinated,
        (first, topic, [0, 1]),
        (second, topic, [2]),
        (third, topic, [0]),
        verify_only=False,
        version=version,
    ) == [{0: 0, 1: 0}, {2: 0}, {0: ErrorCode.PRODUCER_FENCED}]
    abortable = ErrorCode.TRANSACTION_ABORTABLE
    assert batched(
        coordinated,
        (first, topic, [0, 1, 2]),
        (second, topic, [0, 2]),
        (third, topic, [0]),
        verify_only=True,
        version=version,
    ) == [{0: 0, 1: 0, 2: abortable}, {0: abortable, 2: 0}, {0: ErrorCode.PRODUCER_FENCED}]
    assert [len(item.described().topics) for item in (first, second)] == [1, 1]


def test_nothing_to_verify_without_a_transaction(coordinated: Asker) -> None:
    topic = coordinated.create(1)
    producer = begun(coordinated)
    assert batched(coordinated, (producer, topic, [0]), verify_only=True) == [{0: ErrorCode.TRANSACTION_ABORTABLE}]
    producer.id += "-of-nobody"
    unknown = ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert batched(coordinated, (producer, topic, [0]), verify_only=True) == [{0: unknown}]
