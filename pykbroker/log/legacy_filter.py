"""What is left of a message or a compressed set of magic 0 or 1 when some messages go: logs that old are compacted too.

They know no producers and no delete horizon.
"""

from collections.abc import Callable
from struct import Struct

from pykbroker.log.batch_filter import Filtered
from pykbroker.record import legacy
from pykbroker.record.batch import CODEC_MASK, LOG_APPEND_TIME_BIT, MAGIC_OFFSET, BatchHeader, Buffer
from pykbroker.record.compression import DEFAULT_LIMIT
from pykbroker.record.damage import CorruptBatch
from pykbroker.record.legacy_builder import compressed_set
from pykbroker.record.reader import Record, iterate_legacy

_ATTRIBUTES_OFFSET = 17
_TIMESTAMP = Struct(">q")
_TIMESTAMP_OFFSET = 18


def legacy_records(data: bytes) -> list[Record]:
    """All messages. Raises CorruptBatch, InvalidRecord, Undecompressable, TooLargeDecompressed."""
    if not legacy.crc_is_valid(data, 0, len(data)):
        raise CorruptBatch(f"The message at offset {legacy.last_offset_at(data, 0)} has a wrong checksum")
    return list(iterate_legacy(data, 0, len(data), DEFAULT_LIMIT))


def filter_legacy(data: bytes, stays: Callable[[Record], bool]) -> Filtered:
    """Raises what legacy_records() raises."""
    records = legacy_records(data)
    kept = [record for record in records if stays(record)]
    if not kept:
        return Filtered(None, _described(data, records), len(records), 0)
    if len(kept) == len(records):
        return Filtered(data, _described(data, records), len(records), len(kept))
    magic, attributes = data[MAGIC_OFFSET], data[_ATTRIBUTES_OFFSET]
    append_time = _timestamp(data) if magic and attributes & LOG_APPEND_TIME_BIT else None
    rebuilt = compressed_set(magic, attributes, kept, append_time)
    return Filtered(rebuilt, _described(rebuilt, kept), len(records), len(kept))


def _timestamp(data: Buffer) -> int:
    timestamp: int = _TIMESTAMP.unpack_from(data, _TIMESTAMP_OFFSET)[0]
    return timestamp


def _described(data: Buffer, records: list[Record]) -> BatchHeader:
    """What the indexes must know, in the form of a v2 header."""
    first, last = records[0].offset, legacy.last_offset_at(data, 0)
    return BatchHeader(
        base_offset=first,
        batch_length=len(data),
        partition_leader_epoch=-1,
        magic=data[MAGIC_OFFSET],
        crc=0,
        attributes=data[_ATTRIBUTES_OFFSET] & CODEC_MASK,
        last_offset_delta=last - first,
        base_timestamp=-1,
        max_timestamp=_timestamp(data) if data[MAGIC_OFFSET] else -1,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        record_count=len(records),
    )
