"""The v2 header: what its fields say, stamping in place, checksums, frames."""

import pytest

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import (
    HEADER_SIZE,
    BatchHeader,
    batch_length_at,
    compute_crc,
    crc_is_valid,
    increment_sequence,
    iterate_batches,
    iterate_frames,
    pack_header,
    parse_header,
    set_max_timestamp,
    stamp,
    unpack_header,
)
from pykbroker.record.builder import build_batch
from pykbroker.record.damage import CorruptBatch
from tests.golden_data import golden_lines

ATTRIBUTES = 21


def one(count: int = 3, **fields: int | bool) -> bytearray:
    return build_batch([(b"k", b"v", [], 1000 + at) for at in range(count)], **fields)  # type: ignore[arg-type]


def test_every_field_is_where_kafka_puts_it() -> None:
    header = BatchHeader(1, 49, 2, 2, 0, 0b0101_1011, 4, 5, 6, 7, 8, 9, 10)
    out = bytearray(HEADER_SIZE)
    pack_header(out, header)
    assert out[:17] == bytes.fromhex("0000000000000001 00000031 00000002 02".replace(" ", ""))
    assert out[21:] == bytes.fromhex(
        "005b 00000004 0000000000000005 0000000000000006 0000000000000007 0008 00000009 0000000a".replace(" ", "")
    )
    assert parse_header(out) == header._replace(crc=int.from_bytes(out[17:21], "big"))
    assert unpack_header(out) == parse_header(out)


def test_attribute_bits() -> None:
    header = parse_header(one())
    assert header.attributes == 0
    assert header._replace(attributes=4).codec == 4
    for bit, name in (
        (8, "is_log_append_time"),
        (16, "is_transactional"),
        (32, "is_control"),
        (64, "has_delete_horizon"),
    ):
        assert getattr(header._replace(attributes=bit), name)
        assert not getattr(header._replace(attributes=0xFF & ~bit), name)


def test_offsets_and_sequences() -> None:
    header = parse_header(one(3, base_offset=10, producer_id=1, producer_epoch=0, base_sequence=2**31 - 2))
    assert (header.last_offset, header.next_offset, header.size_in_bytes) == (12, 13, len(one(3)))
    assert header.last_sequence == 0
    assert header.has_producer_id
    without = parse_header(one())
    assert (without.last_sequence, without.has_producer_id) == (-1, False)


@pytest.mark.parametrize(
    ("sequence", "increment", "expected"),
    [(0, 1, 1), (2**31 - 1, 1, 0), (2**31 - 2, 5, 3), (3, -5, 2**31 - 2), (0, 0, 0)],
)
def test_sequences_wrap(sequence: int, increment: int, expected: int) -> None:
    assert increment_sequence(sequence, increment) == expected


def test_stamping_leaves_the_checksum_right() -> None:
    data = one()
    before = parse_header(data)
    stamp(data, 0, 2**40, 77)
    assert parse_header(data) == before._replace(base_offset=2**40, partition_leader_epoch=77)
    assert crc_is_valid(data)


def test_a_memoryview_is_stamped_in_place() -> None:
    data = bytearray(b"front") + one()
    stamp(memoryview(data), 5, 9, 1)
    assert parse_header(data, 5).base_offset == 9


@pytest.mark.parametrize("position", [21, 40, 60, 65])
def test_the_checksum_covers_everything_from_the_attributes_on(position: int) -> None:
    data = one()
    data[position] ^= 1
    assert not crc_is_valid(data)


@pytest.mark.parametrize("position", [0, 7, 12, 15])
def test_the_checksum_does_not_cover_offset_and_epoch(position: int) -> None:
    data = one()
    data[position] ^= 1
    assert crc_is_valid(data)


def test_checksums_are_castagnoli() -> None:
    for line in golden_lines("records/primitives.jsonl.gz"):
        if line["kind"] == "bytes":
            data = bytes(ATTRIBUTES) + bytes.fromhex(line["hex"])
            assert compute_crc(data, 0, len(data)) == line["crc32c"]


def test_log_append_time_replaces_the_largest_timestamp() -> None:
    data = one()
    data[ATTRIBUTES] = 0xFF  # bits that mean nothing go when the attributes are computed anew
    set_max_timestamp(data, 0, True, 5)
    header = parse_header(data)
    assert (header.is_log_append_time, header.max_timestamp) == (True, 5)
    assert header.attributes == 0x08
    assert crc_is_valid(data)


def test_an_unchanged_timestamp_leaves_the_bytes_alone() -> None:
    data = one()
    data[17] ^= 1  # a wrong checksum would be repaired by a rewrite
    before = bytes(data)
    set_max_timestamp(data, 0, False, parse_header(data).max_timestamp)
    assert bytes(data) == before


@pytest.mark.parametrize("length", [0, 16, HEADER_SIZE - 1])
def test_a_header_that_is_not_whole_is_refused(length: int) -> None:
    with pytest.raises(CorruptBatch, match="too few"):
        parse_header(one()[:length])


@pytest.mark.parametrize("length", [-1, 0, 48, 10_000, 2**31 - 1])
def test_a_length_that_does_not_fit_is_refused(length: int) -> None:
    data = one()
    data[8:12] = length.to_bytes(4, "big", signed=True)
    with pytest.raises(CorruptBatch, match="does not fit"):
        parse_header(data)


def test_another_magic_is_refused() -> None:
    data = one()
    data[16] = 1
    with pytest.raises(CorruptBatch, match="Invalid magic found in record: 1"):
        parse_header(data)
    data[16] = 0xFF
    with pytest.raises(CorruptBatch, match="Invalid magic found in record: -1"):
        batch_length_at(data, 0)


def test_a_length_at_the_end_of_int32_overflows_as_in_java() -> None:
    data = one()
    data[8:12] = (2**31 - 1).to_bytes(4, "big")
    with pytest.raises(KafkaError) as raised:
        batch_length_at(data, 0)
    assert raised.value.code == ErrorCode.UNKNOWN_SERVER_ERROR


def test_frames_end_before_an_incomplete_tail() -> None:
    data = bytes(one(1) + one(2))
    first, second = len(one(1)), len(one(2))
    assert list(iterate_frames(data)) == [(0, first), (first, second)]
    for cut in range(1, second + 1):
        assert list(iterate_frames(data[:-cut])) == [(0, first)]
    assert [header.record_count for header, _ in iterate_batches(data)] == [1, 2]
    assert [position for _, position in iterate_batches(data)] == [0, first]


def test_a_frame_shorter_than_any_message_is_refused() -> None:
    data = one()
    data[8:12] = (13).to_bytes(4, "big")
    with pytest.raises(CorruptBatch, match="less than the minimum record overhead"):
        list(iterate_frames(data))
