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
    body = bytearray(1)  # attributes: no bit is defined
    write_varlong(body, wrap_int64(timestamp_delta))
    write_varint(body, offset_delta)
    _append_bytes(body, key)
    _append_bytes(body, value)
    write_varint(body, len(headers))
    for name, content in headers:
        _append_bytes(body, name.encode())
        _append_bytes(body, content)
    write_varint(out, len(body))
    out += body


def _append_bytes(out: bytearray, value: bytes | None) -> None:
    if value is None:
        write_varint(out, -1)
        return
    write_varint(out, len(value))
    out += value
