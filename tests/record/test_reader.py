"""Records out of batches: every field, and each way in which records may contradict their batch or themselves."""

import pytest

from pykbroker.record.batch import HEADER_SIZE, BatchHeader, pack_header, parse_header
from pykbroker.record.builder import build_batch
from pykbroker.record.damage import CorruptBatch, InvalidRecord, TooLargeDecompressed
from pykbroker.record.reader import Record, iterate_payload, iterate_records
from tests.golden_data import golden_lines


def batch_of(payload: bytes, count: int = 1, **fields: int) -> bytearray:
    """A batch whose header is right and whose payload is anything."""
    out = bytearray(HEADER_SIZE) + payload
    header = BatchHeader(10, 0, -1, 2, 0, 0, max(count - 1, 0), 1000, 1000, -1, -1, -1, count)
    pack_header(out, header._replace(**fields))
    return out


# attributes, timestamp 0, offset 0, key "k", value "v", no headers
RECORD = bytes.fromhex("10 00 00 00 02 6b 02 76 00".replace(" ", ""))


def test_a_record() -> None:
    assert list(iterate_records(batch_of(RECORD))) == [Record(10, 1000, b"k", b"v", [], -1)]


def test_batches_in_the_middle_of_a_buffer() -> None:
    data = b"front" + bytes(batch_of(RECORD)) + b"behind"
    assert [record.value for record in iterate_records(data, 5)] == [b"v"]
    with pytest.raises(CorruptBatch, match="beyond the buffer"):
        iterate_records(data[:-7], 5)


def test_sequences_go_with_the_offsets() -> None:
    data = build_batch([(None, b"", [], 0)] * 3, producer_id=1, producer_epoch=0, base_sequence=2**31 - 2)
    assert [record.sequence for record in iterate_records(data)] == [2**31 - 2, 2**31 - 1, 0]


def test_log_append_time_is_that_of_all_records() -> None:
    data = batch_of(RECORD, attributes=0x08, max_timestamp=77)
    assert [record.timestamp for record in iterate_records(data)] == [77]


def test_timestamps_wrap_as_in_java() -> None:
    data = batch_of(bytes.fromhex("10 00 02 00 02 6b 02 76 00".replace(" ", "")), base_timestamp=2**63 - 1)
    assert [record.timestamp for record in iterate_records(data)] == [-(2**63)]


def test_headers() -> None:
    payload = bytes.fromhex("1c 00 00 00 01 01 04 02 61 02 31 02 61 01 00".replace(" ", ""))
    with pytest.raises(InvalidRecord):  # the second of the two ends behind its record's end
        list(iterate_records(batch_of(payload)))
    payload = bytes.fromhex("18 00 00 00 01 01 04 02 61 02 31 02 61 01".replace(" ", ""))
    payload = bytes([(len(payload) - 1) * 2]) + payload[1:]
    (record,) = iterate_records(batch_of(payload))
    assert (record.key, record.value, record.headers) == (None, None, [("a", b"1"), ("a", None)])


def test_a_header_that_is_no_utf8_is_replaced_as_in_java() -> None:
    payload = bytes.fromhex("00 00 00 01 01 02 02 ff 01".replace(" ", ""))
    (record,) = iterate_records(batch_of(bytes([len(payload) * 2]) + payload))
    assert record.headers == [("�", None)]


@pytest.mark.parametrize(
    ("payload", "count", "message"),
    [
        (RECORD, 2, "record count 2"),
        (RECORD, -1, "record count -1"),
        (RECORD, 2**31 - 1, "record count"),
        (RECORD + b"\0", 1, "records still remaining"),
        (RECORD[:-1], 1, "Invalid record size 8"),
        (b"\x7f" + RECORD[1:], 1, "Invalid record size -64"),
        (b"\x0e" + RECORD[1:], 1, "Invalid record"),
        (b"\x12" + RECORD[1:] + b"\0", 1, "expected to read 9 bytes"),
        (RECORD[:4] + b"\x20" + RECORD[5:], 1, "16 bytes announced"),
        (RECORD[:6] + b"\x20" + RECORD[7:], 1, "16 bytes announced"),
        (RECORD[:8] + b"\x01", 1, "number of record headers -1"),
        (RECORD[:8] + b"\x7e", 1, "number of record headers 63"),
        (b"\x14" + RECORD[1:8] + b"\x02\x01\x01", 1, "negative header key"),
        (b"\x80" * 20, 1, "varint of more than 5 bytes"),
    ],
)
def test_contradictions_are_refused(payload: bytes, count: int, message: str) -> None:
    with pytest.raises(InvalidRecord, match=message):
        list(iterate_records(batch_of(payload, count)))


def test_a_batch_without_records_is_not_looked_at_further() -> None:
    assert list(iterate_records(batch_of(b"not even compressed", 0, attributes=7))) == []


@pytest.mark.parametrize("codec", range(1, 5))
def test_a_limit_for_what_is_decompressed(codec: int) -> None:
    data = build_batch([(None, bytes(10_000), [], 0)], codec=codec)
    assert len(list(iterate_records(data, max_decompressed=10_100))) == 1
    with pytest.raises(TooLargeDecompressed):
        list(iterate_records(data, max_decompressed=9_999))


def test_a_count_is_believed_only_as_far_as_the_bytes_go() -> None:
    """No list is made for what a damaged count announces: each record has seven bytes at least."""
    header = parse_header(batch_of(RECORD))._replace(record_count=2**31 - 1)
    with pytest.raises(InvalidRecord, match="record count 2147483647 in a batch of 9 bytes"):
        next(iterate_payload(header, RECORD))


def test_old_magics_are_read_too() -> None:
    seen = set()
    for line in golden_lines("records/batches.jsonl.gz"):
        if line["magic"] < 2:
            assert next(iterate_records(bytes.fromhex(line["hex"]))).sequence == -1
            seen.add(line["magic"])
    assert seen == {0, 1}
