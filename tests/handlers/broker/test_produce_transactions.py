"""Produce with a transactional id, as the real Kafka 4.3.1 answers it. KIP-890; scenarios 13, 14."""

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from tests.handlers.broker.asker import Asker, batch, produce
from tests.handlers.transaction_dialogue import begun, find_coordinator, stable_offsets, unique

OLD = 4


@pytest.mark.parametrize("version", [9, 10, 11])
def test_old_clients_must_add_the_partition_before(coordinated: Asker, version: int) -> None:
    """A late Produce after the abort would begin a transaction that nobody ends (scenario 14, KAFKA-14904)."""
    topic = coordinated.create(1)
    producer = begun(coordinated)
    refused = ErrorCode.TRANSACTION_ABORTABLE if version >= 11 else ErrorCode.INVALID_TXN_STATE
    row = producer.produce(topic, version=version)
    assert (row.error_code, row.base_offset, row.log_start_offset) == (refused, -1, -1)
    if refused == ErrorCode.INVALID_TXN_STATE:
        assert row.error_message == "Partition was not added to the transaction"
    assert producer.add(topic) == 0
    assert producer.produce(topic, version=version).error_code == 0
    assert producer.produce(topic, version=version, sequence=1).base_offset == 1
    assert producer.end(False, OLD) == 0
    producer.at_rest()
    assert producer.produce(topic, version=version, sequence=2).error_code == refused
    assert stable_offsets(coordinated, topic)[:2] == (3, 3)


@pytest.mark.parametrize("version", [12, 13])
def test_for_new_clients_the_broker_adds_it(coordinated: Asker, version: int) -> None:
    topic = coordinated.create(2)
    producer = begun(coordinated)
    assert producer.produce(topic, 1, version=version).error_code == 0
    row = producer.described()
    assert row.transaction_state == "Ongoing"
    assert [(item.topic, item.partitions) for item in row.topics] == [(topic.name, [1])]
    late = producer.identity
    assert producer.end(True) == 0
    producer.at_rest()
    row = producer.produce(topic, 1, version=version, sequence=1, identity=late)
    assert row.error_code == ErrorCode.INVALID_PRODUCER_EPOCH
    row = producer.produce(topic, 0, version=version, sequence=1, identity=late)
    assert row.error_code == ErrorCode.INVALID_PRODUCER_EPOCH
    assert producer.described().transaction_state == "CompleteCommit"


@pytest.mark.parametrize("version", [11, 12])
def test_compressed_batches(coordinated: Asker, version: int) -> None:
    """KAFKA-15653 (scenario 14): verified and compressed."""
    topic = coordinated.create(1, compression_type="lz4")
    producer = begun(coordinated)
    assert producer.add(topic) == 0
    for sequence in range(3):
        assert producer.produce(topic, version=version, sequence=sequence).error_code == 0
    assert producer.produce(topic, version=version, sequence=2).base_offset == 2  # a duplicate


def test_sequences_begin_anew_with_every_transaction(coordinated: Asker) -> None:
    topic = coordinated.create(1)
    producer = begun(coordinated)
    assert producer.produce(topic, sequence=3).error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert producer.produce(topic).error_code == 0
    assert producer.produce(topic, sequence=2).error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert producer.produce(topic, sequence=1).error_code == 0
    assert producer.end(True) == 0
    producer.at_rest()
    assert producer.produce(topic, sequence=2).error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert producer.produce(topic, sequence=0).error_code == 0


def test_strangers(coordinated: Asker) -> None:
    topic = coordinated.create(1)
    producer = begun(coordinated)
    producer_id, epoch = producer.identity
    for version in (11, 12):
        row = producer.produce(topic, version=version, identity=(producer_id, epoch + 1))
        assert row.error_code == ErrorCode.INVALID_PRODUCER_EPOCH
        row = producer.produce(topic, version=version, identity=(producer_id + 1000, epoch))
        assert row.error_code == ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert stable_offsets(coordinated, topic) == (0, 0, [])


def test_an_id_that_nobody_initialized(coordinated: Asker) -> None:
    topic = coordinated.create(1)
    transactional_id = unique("tx")
    find_coordinator(coordinated, transactional_id, 1)
    records = batch(producer_id=7, producer_epoch=0, base_sequence=0, is_transactional=True)
    for version in (9, 11, 12):
        row = produce(coordinated, topic, [(0, records)], version, transactional_id=transactional_id)[0]
        assert row.error_code == ErrorCode.INVALID_PRODUCER_ID_MAPPING
        row = produce(coordinated, topic, [(0, records)], version, transactional_id="")[0]
        assert row.error_code == ErrorCode.INVALID_REQUEST


def test_several_producers_in_one_request(coordinated: Asker) -> None:
    topic = coordinated.create(2)
    producer = begun(coordinated)
    producer_id, epoch = producer.identity
    rows = [
        (index, batch(producer_id=producer_id + index, producer_epoch=epoch, base_sequence=0, is_transactional=True))
        for index in (0, 1)
    ]
    answers = produce(coordinated, topic, rows, 12, transactional_id=producer.id)
    assert {row.error_code for row in answers.values()} == {ErrorCode.INVALID_PRODUCER_ID_MAPPING}


def test_plain_records_of_a_producer_in_a_transaction(coordinated: Asker) -> None:
    topic = coordinated.create(1)
    producer = begun(coordinated)
    producer_id, epoch = producer.identity
    assert producer.produce(topic).error_code == 0
    plain = batch(producer_id=producer_id, producer_epoch=epoch, base_sequence=1)
    assert produce(coordinated, topic, [(0, plain)], 12)[0].error_code == ErrorCode.INVALID_TXN_STATE


def test_one_partition_that_is_not_there(coordinated: Asker) -> None:
    topic = coordinated.create(1)
    producer = begun(coordinated)
    producer_id, epoch = producer.identity
    records = batch(producer_id=producer_id, producer_epoch=epoch, base_sequence=0, is_transactional=True)
    answers = produce(coordinated, topic, [(0, records), (5, records)], 12, transactional_id=producer.id)
    assert (answers[0].error_code, answers[5].error_code) == (0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
