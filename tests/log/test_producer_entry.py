"""One producer: duplicates among its last five batches, sequences, epochs."""

from typing import Any

import pytest

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.log.producer_entry import BatchMetadata, ProducerEntry
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import BatchHeader, parse_header
from tests.log.logs import batch

WHERE = TopicPartition("t", 0)
MAX = 2**31 - 1


def header(sequence: int, count: int = 1, epoch: int = 0, **fields: Any) -> BatchHeader:
    return parse_header(
        batch([100 + sequence] * count, producer_id=7, producer_epoch=epoch, base_sequence=sequence, **fields)
    )


def entry_with(*sequences: int, epoch: int = 0) -> ProducerEntry:
    entry = ProducerEntry(7)
    for sequence in sequences:
        entry.add_batch(header(sequence, 2, epoch), last_offset=1000 + sequence + 1)
    return entry


def test_a_batch_knows_its_beginning() -> None:
    assert (BatchMetadata(9, 109, 4, 0).first_offset, BatchMetadata(9, 109, 4, 0).first_sequence) == (105, 5)
    assert BatchMetadata(1, 0, 3, 0).first_sequence == MAX - 1


def test_the_last_five_batches_are_recognised() -> None:
    entry = entry_with(0, 2, 4, 6, 8, 10)
    assert entry.find_duplicate(header(0, 2)) is None
    for sequence in (2, 4, 6, 8, 10):
        found = entry.find_duplicate(header(sequence, 2))
        assert found is not None
        assert (found.first_offset, found.last_offset) == (1000 + sequence, 1001 + sequence)


@pytest.mark.parametrize("other", [header(8, 1), header(8, 3), header(9, 2), header(10, 2, epoch=1)])
def test_other_sequences_and_epochs_are_no_duplicates(other: BatchHeader) -> None:
    assert entry_with(8, 10).find_duplicate(other) is None


@pytest.mark.parametrize(("last", "first"), [(10, 12), (MAX - 1, 0)])
def test_sequences_that_follow(last: int, first: int) -> None:
    entry_with(last).check_sequence(header(first), 0, WHERE)


@pytest.mark.parametrize("first", [0, 10, 11, 13])
def test_sequences_that_do_not(first: int) -> None:
    with pytest.raises(KafkaError) as raised:
        entry_with(10).check_sequence(header(first), 0, WHERE)
    assert raised.value.code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert f"{first} (incoming seq. number), 11 (current end sequence number)" in str(raised.value)


def test_a_new_epoch_begins_with_zero() -> None:
    entry_with(10).check_sequence(header(0, epoch=1), 0, WHERE)
    with pytest.raises(KafkaError) as raised:
        entry_with(10).check_sequence(header(12, epoch=1), 0, WHERE)
    assert raised.value.code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert "new epoch" in str(raised.value)


def test_a_producer_that_is_not_known_may_begin_anywhere() -> None:
    """Retention may have taken its records, and it does not know."""
    ProducerEntry(7).check_sequence(header(77), 0, WHERE)


def test_a_superseded_epoch() -> None:
    entry = entry_with(0, epoch=3)
    entry.check_epoch(3, 0, WHERE)
    entry.check_epoch(4, 0, WHERE)
    with pytest.raises(KafkaError) as raised:
        entry.check_epoch(2, 55, WHERE)
    assert raised.value.code == ErrorCode.INVALID_PRODUCER_EPOCH


def test_a_new_epoch_forgets_the_batches_before() -> None:
    entry = entry_with(0, 2)
    entry.add_batch(header(0, 1, epoch=1), 2000)
    assert (entry.epoch, [each.last_offset for each in entry.batches], entry.last_sequence) == (1, [2000], 0)
    assert entry.last_timestamp == 100


def test_the_end_of_a_transaction() -> None:
    entry = entry_with(0, 2)
    entry.first_offset = 1000
    entry.end_transaction(0, coordinator_epoch=4, timestamp=999)
    assert (entry.first_offset, entry.coordinator_epoch, entry.last_timestamp, entry.last_sequence) == (-1, 4, 999, 3)
    entry.end_transaction(1, coordinator_epoch=4, timestamp=999)
    assert (entry.epoch, entry.last_sequence) == (1, -1)
