"""Records out of a batch of any magic, decompressed within a bound. (DefaultRecordBatch, DefaultRecord.readFrom)"""

from collections.abc import Iterator
from typing import NamedTuple

from pykbroker.errors import MalformedFrame
from pykbroker.record import legacy
from pykbroker.record.batch import (
    CURRENT_MAGIC,
    HEADER_SIZE,
    MAGIC_OFFSET,
    BatchHeader,
    Buffer,
    batch_length_at,
    increment_sequence,
    parse_header,
)
from pykbroker.record.compression import DEFAULT_LIMIT, decompress
from pykbroker.record.damage import CorruptBatch, InvalidRecord
from pykbroker.record.varints import read_varint, read_varlong, wrap_int64

Headers = list[tuple[str, bytes | None]]
# length, attributes, timestamp delta, offset delta, key length, value length, header count: one byte each at least.
MIN_RECORD_SIZE = 7


class Record(NamedTuple):
    """One record. `timestamp` in milliseconds, -1 when there is none; `sequence` -1 without a producer id."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    sequence: int


def iterate_records(buf: Buffer, pos: int = 0, *, max_decompressed: int = DEFAULT_LIMIT) -> Iterator[Record]:
    """The records of the one batch at `pos`, whatever its magic.

    Raises CorruptBatch, InvalidRecord, Undecompressable or TooLargeDecompressed, possibly after some records.
    """
    size = batch_length_at(buf, pos)
    if size is None or pos + size > len(buf):
        raise CorruptBatch("The batch goes beyond the buffer")
    if buf[pos + MAGIC_OFFSET] < CURRENT_MAGIC:
        return iterate_legacy(buf, pos, size, max_decompressed)
    header = parse_header(buf, pos)
    if header.record_count == 0:  # Java looks no further
        return iter(())
    payload = memoryview(buf)[pos + HEADER_SIZE : pos + size]
    return iterate_payload(header, decompress(header.codec, payload, max_decompressed))


def iterate_legacy(buf: Buffer, pos: int, size: int, max_decompressed: int) -> Iterator[Record]:
    for offset, timestamp, key, value in legacy.iterate_messages(buf, pos, size, max_decompressed):
        yield Record(offset, timestamp, key, value, [], -1)


def iterate_payload(header: BatchHeader, payload: Buffer) -> Iterator[Record]:
    """The records of a v2 batch out of its decompressed payload. Raises InvalidRecord."""
    count = header.record_count
    if count < 0 or count * MIN_RECORD_SIZE > len(payload):
        raise InvalidRecord(f"Found invalid record count {count} in a batch of {len(payload)} bytes of records")
    # Plain bytes are faster to index and slice than a memoryview.
    data = payload if isinstance(payload, bytes) else bytes(payload)
    pos = 0
    append_time = header.max_timestamp if header.is_log_append_time else None
    try:
        for _ in range(count):
            record, pos = _read_record(header, data, pos, append_time)
            yield record
    except (MalformedFrame, IndexError) as error:
        raise InvalidRecord(f"Invalid record: {error}") from None
    if pos != len(data):
        raise InvalidRecord("Incorrect declared batch size, records still remaining in file")


def _read_record(header: BatchHeader, data: bytes, pos: int, append_time: int | None) -> tuple[Record, int]:
    length, pos = read_varint(data, pos)
    end = pos + length
    if length < 0 or end > len(data):
        raise InvalidRecord(f"Invalid record size {length}: {len(data) - pos} bytes are left")
    timestamp_delta, pos = read_varlong(data, pos + 1)
    offset_delta, pos = read_varint(data, pos)
    key, pos = _read_bytes(data, pos, end)
    value, pos = _read_bytes(data, pos, end)
    headers, pos = _read_headers(data, pos, end)
    if pos != end:
        raise InvalidRecord(
            f"Invalid record size: expected to read {length} bytes in record payload, read {pos - end + length}"
        )
    sequence = -1 if header.base_sequence < 0 else increment_sequence(header.base_sequence, offset_delta)
    timestamp = wrap_int64(header.base_timestamp + timestamp_delta) if append_time is None else append_time
    return Record(header.base_offset + offset_delta, timestamp, key, value, headers, sequence), end


def _read_bytes(data: bytes, pos: int, end: int) -> tuple[bytes | None, int]:
    length, pos = read_varint(data, pos)
    if length < 0:
        return None, pos
    if pos + length > end:
        raise InvalidRecord(f"Invalid record: {length} bytes announced, {end - pos} left")
    return data[pos : pos + length], pos + length


def _read_headers(data: bytes, pos: int, end: int) -> tuple[Headers, int]:
    count, pos = read_varint(data, pos)
    if count == 0:
        return [], pos
    if count < 0 or count > end - pos:
        raise InvalidRecord(f"Found invalid number of record headers {count}")
    headers: Headers = []
    for _ in range(count):
        key, pos = _read_bytes(data, pos, end)
        if key is None:
            raise InvalidRecord("Invalid negative header key size")
        value, pos = _read_bytes(data, pos, end)
        # Java replaces bytes that are no UTF-8 as well.
        headers.append((key.decode("utf-8", "replace"), value))
    return headers, pos
