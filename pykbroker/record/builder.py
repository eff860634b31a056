"""Builds v2 batches: for coordinators, markers, the metadata log, recompression, tests. (MemoryRecordsBuilder)"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pykbroker.protocol.primitives import write_varint, write_varlong
from pykbroker.record.batch import (
    CONTROL_BIT,
    CURRENT_MAGIC,
    DELETE_HORIZON_BIT,
    HEADER_SIZE,
    LOG_APPEND_TIME_BIT,
    TRANSACTIONAL_BIT,
    BatchHeader,
    pack_header,
)
from pykbroker.record.compression import compress
from pykbroker.record.varints import wrap_int64

NO_TIMESTAMP = -1


class SimpleRecord(NamedTuple):
    """What a record is before it has an offset. A tuple (key, value, headers, timestamp) does as well."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp: int = NO_TIMESTAMP


RecordLike = SimpleRecord | tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes | None]], int]


def build_batch(
    records: Iterable[RecordLike],
    *,
    base_offset: int = 0,
    codec: int = 0,
    level: int | None = None,
    leader_epoch: int = -1,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    is_transactional: bool = False,
    is_control: bool = False,
    log_append_time: int | None = None,
    delete_horizon_ms: int | None = None,
    offsets: Sequence[int] | None = None,
    last_offset: int | None = None,
) -> bytearray:
    """One batch, checksum included.

    Offsets are consecutive from `base_offset` unless `offsets` gives each (compaction leaves gaps); `last_offset` then
    keeps the end of the batch that was. `log_append_time` sets the timestamp type; milliseconds all.
    """
    payload = bytearray()
    base_timestamp = delete_horizon_ms
    max_timestamp = NO_TIMESTAMP
    offset_delta = -1
    record_count = 0
    for record in records:
        timestamp = record[3]
        if base_timestamp is None:
            base_timestamp = timestamp
        offset_delta = offsets[record_count] - base_offset if offsets is not None else record_count
        append_record(payload, record, offset_delta, timestamp - base_timestamp)
        max_timestamp = max(max_timestamp, timestamp)
        record_count += 1
    attributes = codec
    attributes |= TRANSACTIONAL_BIT if is_transactional else 0
    attributes |= CONTROL_BIT if is_control else 0
    attributes |= LOG_APPEND_TIME_BIT if log_append_time is not None else 0
    attributes |= DELETE_HORIZON_BIT if delete_horizon_ms is not None else 0
    header = BatchHeader(
        base_offset=base_offset,
        batch_length=0,
        partition_leader_epoch=leader_epoch,
        magic=CURRENT_MAGIC,
        crc=0,
        attributes=attributes,
        last_offset_delta=last_offset - base_offset if last_offset is not None else max(offset_delta, 0),
        base_timestamp=base_timestamp if base_timestamp is not None else NO_TIMESTAMP,
        max_timestamp=log_append_time if log_append_time is not None else max_timestamp,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        record_count=record_count,
    )
    out = bytearray(HEADER_SIZE)
    out += compress(codec, payload, level) if codec else payload
    pack_header(out, header)
    return out


def empty_batch(header: BatchHeader) -> bytearray:
    """What compaction leaves of a batch whose offsets and sequences must be remembered (writeEmptyHeader)."""
    out = bytearray(HEADER_SIZE)
    keep = LOG_APPEND_TIME_BIT | TRANSACTIONAL_BIT | CONTROL_BIT
    attributes = header.attributes & keep
    pack_header(out, header._replace(attributes=attributes, base_timestamp=NO_TIMESTAMP, record_count=0))
    return out


def append_record(out: bytearray, record: RecordLike, offset_delta: int, timestamp_delta: int) -> None:
    """Appends one record as DefaultRecord.writeTo does, its length in front."""
    key, value, headers, _ = record
    # The first byte are the attributes, of which no bit is defined.
    parts: list[bytes | bytearray] = [b"\0", _varlong(wrap_int64(timestamp_delta)), _varint(offset_delta)]
    parts += (_NULL,) if key is None else (_varint(len(key)), key)
    parts += (_NULL,) if value is None else (_varint(len(value)), value)
    parts.append(_varint(len(headers)))
    for name, content in headers:
        raw = name.encode()
        parts += (_varint(len(raw)), raw)
        parts += (_NULL,) if content is None else (_varint(len(content)), content)
    body = b"".join(parts)
    out += _varint(len(body))
    out += body


# What most lengths and deltas are, ready-made, by their zigzag value.
_SHORT = [bytes((value,)) for value in range(128)]
_NULL = _SHORT[1]


def _varint(value: int) -> bytes | bytearray:
    if 0 <= value < 64:
        return _SHORT[value << 1]
    if 0 <= value < 8192:
        return bytes((value << 1 & 127 | 128, value >> 6))
    out = bytearray()
    write_varint(out, value)
    return out


def _varlong(value: int) -> bytes | bytearray:
    if 0 <= value < 64:
        return _SHORT[value << 1]
    out = bytearray()
    write_varlong(out, value)
    return out
