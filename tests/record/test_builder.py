"""Batches of our own: coordinators', markers', what compaction leaves. (Same bytes as Java's: test_golden_batches)"""

import pytest

from pykbroker.protocol.primitives import read_varint, write_varint, write_varlong
from pykbroker.record.batch import HEADER_SIZE, crc_is_valid, parse_header
from pykbroker.record.builder import SimpleRecord, append_record, build_batch, empty_batch
from pykbroker.record.reader import Record, iterate_records


def test_what_is_built_is_read_again() -> None:
    headers = [("h", b"1"), ("", None), ("ü", b"")]
    records = [SimpleRecord(b"k", b"v", headers, 7), SimpleRecord(None, None), SimpleRecord(b"", b"", (), 9)]
    data = build_batch(records, base_offset=100, leader_epoch=3, producer_id=5, producer_epoch=1, base_sequence=10)
    assert crc_is_valid(data)
    assert list(iterate_records(data)) == [
        Record(100, 7, b"k", b"v", headers, 10),
        Record(101, -1, None, None, [], 11),
        Record(102, 9, b"", b"", [], 12),
    ]
    header = parse_header(data)
    assert (header.base_timestamp, header.max_timestamp, header.last_offset_delta) == (7, 9, 2)
    assert header.partition_leader_epoch == 3


def test_gaps_of_compaction_are_kept() -> None:
    data = build_batch([(b"a", b"", [], 1), (b"b", b"", [], 2)], base_offset=10, offsets=[12, 15], last_offset=19)
    header = parse_header(data)
    assert (header.last_offset, header.record_count) == (19, 2)
    assert [record.offset for record in iterate_records(data)] == [12, 15]


def test_a_batch_without_records() -> None:
    header = parse_header(build_batch([]))
    assert (header.last_offset_delta, header.record_count) == (0, 0)
    assert (header.base_timestamp, header.max_timestamp) == (-1, -1)


def test_log_append_time_hides_the_records_timestamps() -> None:
    data = build_batch([(None, b"v", [], 5)], log_append_time=99)
    assert parse_header(data).is_log_append_time
    assert [record.timestamp for record in iterate_records(data)] == [99]


def test_a_delete_horizon_takes_the_place_of_the_base_timestamp() -> None:
    data = build_batch([(None, b"v", [], 5)], delete_horizon_ms=1000)
    header = parse_header(data)
    assert header.has_delete_horizon
    assert header.base_timestamp == 1000
    assert [record.timestamp for record in iterate_records(data)] == [5]


def test_what_compaction_leaves_of_a_batch() -> None:
    data = build_batch(
        [(b"k", b"v", [], 5)] * 3, base_offset=7, codec=1, producer_id=1, producer_epoch=2, base_sequence=3,
        is_transactional=True, delete_horizon_ms=9,
    )  # fmt: skip
    header = parse_header(empty_batch(parse_header(data)))
    assert (header.size_in_bytes, header.record_count) == (HEADER_SIZE, 0)
    assert (header.base_offset, header.last_offset, header.last_sequence) == (7, 9, 5)
    assert header.is_transactional
    assert header.codec == 0
    assert not header.has_delete_horizon
    assert list(iterate_records(empty_batch(header))) == []


def test_a_record_is_written_with_its_length_in_front() -> None:
    out = bytearray(b"before")
    append_record(out, (b"k", None, [("h", None)], 0), offset_delta=1, timestamp_delta=-1)
    # length 10; attributes, timestamp -1, offset 1, key "k", value null, one header "h" of null
    assert out == b"before" + bytes.fromhex("14 00 01 02 02 6b 01 02 02 68 01".replace(" ", ""))


def test_timestamps_wrap_as_javas_longs() -> None:
    out = bytearray()
    append_record(out, (None, None, [], 0), offset_delta=0, timestamp_delta=2**63)
    wrapped = bytearray()
    append_record(wrapped, (None, None, [], 0), offset_delta=0, timestamp_delta=-(2**63))
    assert out == wrapped


@pytest.mark.parametrize("size", [0, 1, 63, 64, 127, 128, 8191, 8192, 70_000])
def test_lengths_and_deltas_of_any_size(size: int) -> None:
    out = bytearray()
    append_record(out, (b"k" * size, b"v", [("h", b"x" * size)], 0), offset_delta=size, timestamp_delta=-size)
    length, start = read_varint(out, 0)
    assert length == len(out) - start
    expected = bytearray(1)
    write_varlong(expected, -size)
    for number, content in ((size, b""), (size, b"k" * size), (1, b"v"), (1, b""), (1, b"h"), (size, b"x" * size)):
        write_varint(expected, number)
        expected += content
    assert out[start:] == expected
