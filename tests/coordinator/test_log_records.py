"""Our batches in __consumer_offsets are Kafka's bytes, and Kafka's are read."""

import tarfile
from collections.abc import Iterator

import pytest

from pykbroker.coordinator.log_records import EndTransaction, decode_batches, decode_record, encode_batch
from pykbroker.coordinator.shard import CoordinatorRecord, Producer
from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.fast_offset_record import frame_group_record
from pykbroker.protocol.persisted.group.group_metadata import GroupMetadataKey
from pykbroker.protocol.persisted.group.offset_commit import OffsetCommitKey, OffsetCommitValue
from pykbroker.record.batch import iterate_batches, parse_header, stamp
from pykbroker.record.builder import build_batch
from pykbroker.record.control import end_transaction_batch
from tests.golden_data import golden_path

ROWS = [
    CoordinatorRecord(OffsetCommitKey(group="g", topic="t"), OffsetCommitValue(offset=5, metadata="m"), 4),
    CoordinatorRecord(GroupMetadataKey(group="g"), None),
]


def offset_logs() -> Iterator[bytes]:
    with tarfile.open(golden_path("disk", "clean.tar.gz")) as archive:
        for member in archive:
            if "__consumer_offsets" in member.name and member.name.endswith(".log"):
                content = archive.extractfile(member)
                assert content is not None
                yield content.read()


def test_kafkas_batches_are_built_again_byte_for_byte() -> None:
    count = 0
    for log in offset_logs():
        for header, position in iterate_batches(log):
            if header.is_transactional:
                continue
            raw = log[position : position + header.size_in_bytes]
            records = [e.content for e in decode_batches("group", raw) if isinstance(e.content, CoordinatorRecord)]
            batch = encode_batch(records, header.max_timestamp, 0, frame=frame_group_record)
            stamp(batch, 0, header.base_offset, header.partition_leader_epoch)
            assert bytes(batch) == raw
            count += 1
    assert count == 15


@pytest.mark.parametrize("codec", range(5))
def test_codecs(codec: int) -> None:
    entries = list(decode_batches("group", bytes(encode_batch(ROWS, 1, codec))))
    assert [entry.content for entry in entries] == [*ROWS, None]
    assert [entry.next_offset for entry in entries] == [1, 2, 2]
    assert {entry.producer_id for entry in entries} == {-1}


def test_the_end_of_a_compacted_batch_counts() -> None:
    batch = build_batch([(b"\0\2\0\1g", None, (), 1)], offsets=[3], base_offset=0, last_offset=9)
    assert [(e.offset, e.next_offset) for e in decode_batches("group", bytes(batch))] == [(3, 4), (9, 10)]


@pytest.mark.parametrize("committed", [True, False])
def test_markers(committed: bool) -> None:
    batch = end_transaction_batch(commit=committed, producer_id=7, producer_epoch=1, coordinator_epoch=3, timestamp=1)
    first = next(decode_batches("group", bytes(batch)))
    assert (first.content, first.producer_id) == (EndTransaction(committed), 7)


def test_unknown_kinds_are_left_out() -> None:
    assert decode_record("group", b"\x7f\xff whatever", b"x") is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b""),
        (b"\0", b""),
        (b"\0\1", None),
        (b"\0\2\0\1g", b"\0\x63"),
        (b"\0\2\0\1g", b""),
        (b"\0\2\0\1g", b"\0\3\0"),
        (b"\0\2\0\1gx", None),
    ],
)
def test_damaged_records_are_refused(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(MalformedFrame):
        decode_record("group", key, value)


def test_records_of_a_transaction_are_the_producers() -> None:
    batch = bytes(encode_batch(ROWS, 1, 0, Producer(7, 3)))
    header = parse_header(batch)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (7, 3, 0)
    assert header.is_transactional
    assert {entry.producer_id for entry in decode_batches("group", batch)} == {7}


def test_a_batch_with_a_wrong_checksum_becomes_no_state() -> None:
    data = encode_batch(ROWS, 0, 0)
    data[-1] ^= 1
    with pytest.raises(KafkaError) as caught:
        list(decode_batches("group", bytes(data)))
    assert caught.value.code == ErrorCode.CORRUPT_MESSAGE
