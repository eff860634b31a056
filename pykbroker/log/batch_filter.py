"""What is left of one v2 batch when some of its records go. (MemoryRecords.filterTo, MemoryRecordsBuilder, KIP-534)

Offsets, producer, epoch, sequence and the batch's last offset stay. Records are copied as bytes; where the base
timestamp changes, only their timestamps are written anew.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NamedTuple

from pykbroker.log.record_spans import END, START, TAIL, TIMESTAMP_DELTA, Span, record_spans
from pykbroker.protocol.primitives import write_varint, write_varlong
from pykbroker.record.batch import (
    CODEC_MASK,
    CONTROL_BIT,
    DELETE_HORIZON_BIT,
    HEADER_SIZE,
    LOG_APPEND_TIME_BIT,
    TRANSACTIONAL_BIT,
    BatchHeader,
    Buffer,
    pack_header,
    unpack_header,
)
from pykbroker.record.builder import NO_TIMESTAMP, empty_batch
from pykbroker.record.compression import compress, decompress
from pykbroker.record.varints import wrap_int64

_KEPT_BITS = CODEC_MASK | LOG_APPEND_TIME_BIT | TRANSACTIONAL_BIT | CONTROL_BIT


class Retention(IntEnum):
    """What becomes of a batch (RecordFilter.BatchRetention)."""

    DELETE = 0  # without a look at its records
    RETAIN_EMPTY = 1  # a header stays even when no record does
    DELETE_EMPTY = 2


class Filtered(NamedTuple):
    """`data`: what to write, None for nothing; `header` describes it. `read` and `kept` count records."""

    data: Buffer | None
    header: BatchHeader
    read: int
    kept: int


Select = Callable[[BatchHeader, list[Span]], Sequence[Span]]


def filter_batch(
    data: Buffer,
    header: BatchHeader,
    retention: Retention,
    select: Select,
    new_horizon_ms: int,
    *,
    ends_empty_transaction: bool = False,
    payload: bytes | None = None,
) -> Filtered:
    """`data` is the whole batch, `payload` records_of() it where that is known; `select` picks the records that stay.

    Tombstones that stay, and markers of transactions without data, get a delete horizon (`new_horizon_ms`) when they
    have none: so long they can be read. Raises InvalidRecord, Undecompressable, TooLargeDecompressed.
    """
    if retention == Retention.DELETE:
        return Filtered(None, header, 0, 0)
    if payload is None:
        payload = records_of(data, header)
    spans = record_spans(payload, header.record_count)
    kept = select(header, spans)
    return with_records(data, header, retention, payload, kept, new_horizon_ms, ends_empty_transaction)


def with_records(
    data: Buffer,
    header: BatchHeader,
    retention: Retention,
    payload: bytes,
    kept: Sequence[Span],
    new_horizon_ms: int,
    ends_empty_transaction: bool = False,
) -> Filtered:
    """The batch with those of its records that were found to stay."""
    if not kept:
        return without_records(header, retention)
    needs_horizon = not header.has_delete_horizon and (ends_empty_transaction or has_tombstone(kept))
    if len(kept) == header.record_count and not needs_horizon:
        return as_it_is(data, header)
    horizon = new_horizon_ms if needs_horizon else header.base_timestamp if header.has_delete_horizon else None
    rebuilt = _rebuild(header, payload, kept, horizon)
    return Filtered(rebuilt, unpack_header(rebuilt), header.record_count, len(kept))


def as_it_is(data: Buffer, header: BatchHeader) -> Filtered:
    return Filtered(data, header, header.record_count, header.record_count)


def without_records(header: BatchHeader, retention: Retention) -> Filtered:
    """The batch when none of its records stays."""
    if retention != Retention.RETAIN_EMPTY:
        return Filtered(None, header, header.record_count, 0)
    emptied = empty_batch(header)
    return Filtered(emptied, unpack_header(emptied), header.record_count, 0)


def has_tombstone(spans: Sequence[Span]) -> bool:
    return any(not has_value for _, _, _, _, _, _, has_value in spans)


def records_of(data: Buffer, header: BatchHeader) -> bytes:
    """The decompressed records. Raises Undecompressable, TooLargeDecompressed."""
    if header.record_count == 0:
        return b""
    if not header.codec:
        return bytes(data[HEADER_SIZE:])
    return bytes(decompress(header.codec, memoryview(data)[HEADER_SIZE:]))


def _rebuild(header: BatchHeader, payload: bytes, kept: Sequence[Span], horizon: int | None) -> bytearray:
    append_time = header.max_timestamp if header.is_log_append_time else None
    first = _timestamp(header, kept[0]) if append_time is None else append_time
    base = first if horizon is None else horizon
    if append_time is None and base == header.base_timestamp:
        records = b"".join([payload[span[START] : span[END]] for span in kept])
    else:
        records = bytes(_with_new_base(header, payload, kept, base, append_time))
    newest = max([_timestamp(header, span) for span in kept]) if append_time is None else append_time
    attributes = header.attributes & _KEPT_BITS | (0 if horizon is None else DELETE_HORIZON_BIT)
    out = bytearray(HEADER_SIZE)
    out += compress(header.codec, records) if header.codec else records
    pack_header(
        out,
        header._replace(
            attributes=attributes,
            base_timestamp=base,
            max_timestamp=max(newest, NO_TIMESTAMP),
            record_count=len(kept),
        ),
    )
    return out


def _timestamp(header: BatchHeader, span: Span) -> int:
    return wrap_int64(header.base_timestamp + span[TIMESTAMP_DELTA])


def _with_new_base(
    header: BatchHeader, payload: bytes, kept: Sequence[Span], base: int, append_time: int | None
) -> bytearray:
    """The records with timestamps relative to `base`; all that stands behind those is copied."""
    out = bytearray()
    shift = header.base_timestamp - base
    for span in kept:
        delta = span[TIMESTAMP_DELTA] + shift if append_time is None else append_time - base
        prefix = bytearray(1)  # attributes: no bit is defined
        write_varlong(prefix, wrap_int64(delta))
        write_varint(out, len(prefix) + span[END] - span[TAIL])
        out += prefix
        out += payload[span[TAIL] : span[END]]
    return out
