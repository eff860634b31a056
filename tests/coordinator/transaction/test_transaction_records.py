"""Records as the real Kafka wrote them, and our own in both versions."""

import tarfile

import pytest

from pykbroker.coordinator.log_records import decode_batches, encode_batch
from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.coordinator.transaction.transaction_metadata import EMPTY, ONGOING, PREPARE_ABORT, TransactionMetadata
from pykbroker.coordinator.transaction.transaction_records import (
    metadata_from,
    transaction_record,
    transaction_tombstone,
    value_version,
)
from pykbroker.errors import MalformedFrame
from pykbroker.ids import TopicPartition
from pykbroker.protocol.persisted.transaction.transaction_log import TransactionLogKey, TransactionLogValue
from tests.golden_data import golden_path

FULL = TransactionMetadata(
    "tx",
    7,
    500,
    previous_producer_id=7,
    next_producer_id=8,
    epoch=3,
    state=PREPARE_ABORT,
    partitions=frozenset((TopicPartition("b", 1), TopicPartition("a", 2), TopicPartition("a", 0))),
    start_timestamp=100,
    last_update_timestamp=200,
    client_version=2,
)


def test_real_kafkas_records_come_out_as_they_went_in() -> None:
    count = 0
    with tarfile.open(golden_path("disk", "clean.tar.gz")) as archive:
        for member in archive:
            if "__transaction_state" in member.name and member.name.endswith(".log") and member.size:
                file = archive.extractfile(member)
                assert file is not None
                for entry in decode_batches("transaction", file.read()):
                    if isinstance(entry.content, CoordinatorRecord):
                        check_round_trip(entry.content)
                        count += 1
    assert count > 50


def check_round_trip(record: CoordinatorRecord) -> None:
    key, value = record.key, record.value
    assert isinstance(key, TransactionLogKey)
    assert isinstance(value, TransactionLogValue)
    again = transaction_record(metadata_from(key.transactional_id, value), record.version)
    assert again.key == key
    mine = again.value
    assert isinstance(mine, TransactionLogValue)
    # Kafka writes topics in the order of a hash table.
    for topics in (mine.transaction_partitions, value.transaction_partitions):
        if topics is not None:
            topics.sort(key=lambda topic: topic.topic)
    assert mine.encode(record.version) == value.encode(record.version)


@pytest.mark.parametrize("state", [EMPTY, ONGOING, PREPARE_ABORT])
def test_the_new_version_has_room_for_everything(state: int) -> None:
    metadata = FULL._replace(state=state)
    if state == EMPTY:
        metadata = metadata._replace(partitions=frozenset())
    assert round_trip(metadata, value_version(2)) == metadata


def test_the_old_one_has_not() -> None:
    found = round_trip(FULL, value_version(0))
    assert found == FULL._replace(previous_producer_id=-1, next_producer_id=-1, client_version=0)


def round_trip(metadata: TransactionMetadata, version: int) -> TransactionMetadata:
    batch = encode_batch([transaction_record(metadata, version)], 1, 0)
    (record,) = [
        entry.content
        for entry in decode_batches("transaction", bytes(batch))
        if isinstance(entry.content, CoordinatorRecord)
    ]
    assert isinstance(record.value, TransactionLogValue)
    assert record.version == version
    return metadata_from("tx", record.value)


def test_a_tombstone_has_a_key_only() -> None:
    record = transaction_tombstone("tx")
    assert (record.key, record.value) == (TransactionLogKey(transactional_id="tx"), None)


def test_a_state_that_there_is_not() -> None:
    with pytest.raises(MalformedFrame, match="unknown state 9"):
        metadata_from("tx", TransactionLogValue(transaction_status=9))
