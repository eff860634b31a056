"""Builds v2 batches: for coordinators, markers, the metadata log, recompression, tests. (MemoryRecordsBuilder)"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pykbroker.protocol.primitives import write_varint, write_varlong
from pykbroker.record.batch import (
    CONTROL_BIT,
    DELETE_HORIZON_BIT,
    HEADER_SIZE,
    LOG_APPEND_TIME_BIT,
    TRANSACTIONAL_BIT,
    BatchHeader,
    pack_fields,
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
    out = bytearray(HEADER_SIZE)
    payload = bytearray() if codec else out
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
        if timestamp > max_timestamp:
            max_timestamp = timestamp
        record_count += 1
    if codec:
        out += compress(codec, payload, level)
    attributes = codec
    attributes |= TRANSACTIONAL_BIT if is_transactional else 0
    attributes |= CONTROL_BIT if is_control else 0
    attributes |= LOG_APPEND_TIME_BIT if log_append_time is not None else 0
    attributes |= DELETE_HORIZON_BIT if delete_horizon_ms is not None else 0
    pack_fields(
        out,
        base_offset,
        leader_epoch,
        attributes,
        last_offset - base_offset if last_offset is not None else max(offset_delta, 0),
        base_timestamp if base_timestamp is not None else NO_TIMESTAMP,
        log_append_time if log_append_time is not None else max_timestamp,
        producer_id,
        producer_epoch,
        base_sequence,
        record_count,
    )
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
    start = _NO_DELTA if timestamp_delta == 0 else b"\0" + _varlong(wrap_int64(timestamp_delta))
    if headers or key is None or value is None:
        body = b"".join((start, _varint(offset_delta), *_content(key), *_content(value), _headers(headers)))
    else:
        size = len(key)
        key_size = _VARINTS[size] if size < _READY else _varint(size)
        size = len(value)
        value_size = _VARINTS[size] if size < _READY else _varint(size)
        body = b"".join((start, _varint(offset_delta), key_size, key, value_size, value, _NO_HEADERS))
    size = len(body)
    out += _VARINTS[size] if size < _READY else _varint(size)
    out += body


def _content(content: bytes | None) -> Sequence[bytes | bytearray]:
    return (_NULL,) if content is None else (_varint(len(content)), content)


def _headers(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    parts: list[bytes | bytearray] = [_varint(len(headers))]
    for name, content in headers:
        parts += _content(name.encode())
        parts += _content(content)
    return b"".join(parts)


# What most lengths and deltas are, ready-made.
_READY = 256
_VARINTS = [bytes((n << 1,)) if n < 64 else bytes((n << 1 & 127 | 128, n >> 6)) for n in range(_READY)]
_NULL = b"\1"  # the length -1
_NO_HEADERS = _VARINTS[0]
_NO_DELTA = bytes(2)


def _varint(value: int) -> bytes | bytearray:
    if 0 <= value < _READY:
        return _VARINTS[value]
    if 0 <= value < 8192:
        return bytes((value << 1 & 127 | 128, value >> 6))
    out = bytearray()
    write_varint(out, value)
    return out


def _varlong(value: int) -> bytes | bytearray:
    if 0 <= value < 64:
        return _VARINTS[value]
    out = bytearray()
    write_varlong(out, value)
    return out
