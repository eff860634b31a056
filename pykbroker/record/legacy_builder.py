"""Compressed message sets of magic 0 and 1, written only when cleaning took messages out of one. (LegacyRecord)"""

import zlib
from collections.abc import Sequence
from struct import Struct

from pykbroker.record.batch import CODEC_MASK, LOG_APPEND_TIME_BIT
from pykbroker.record.compression import Codec, compress
from pykbroker.record.reader import Record
from pykbroker.record.xxhash32 import xxh32

_OVERHEAD = Struct(">qi")
_CRC = Struct(">I")
_INT32 = Struct(">i")
_INT64 = Struct(">q")


def message(
    magic: int, attributes: int, offset: int, timestamp: int, key: bytes | None, value: bytes | None
) -> bytearray:
    """One message as it stands in a log."""
    body = bytearray((magic, attributes))
    if magic:
        body += _INT64.pack(timestamp)
    for part in (key, value):
        body += _INT32.pack(-1 if part is None else len(part))
        body += part or b""
    out = bytearray(_OVERHEAD.pack(offset, len(body) + _CRC.size))
    out += _CRC.pack(zlib.crc32(body))
    out += body
    return out


def compressed_set(magic: int, attributes: int, records: Sequence[Record], append_time: int | None) -> bytearray:
    """`records`, at least one, in one message of the codec and timestamp type in `attributes`.

    Magic 1 counts the inner offsets from the first one, and the outer offset is the last one's (KIP-32).
    """
    codec = attributes & CODEC_MASK
    inner_attributes = attributes & LOG_APPEND_TIME_BIT if magic else 0
    shift = records[0].offset if magic else 0
    inner = bytearray()
    for record in records:
        inner += message(magic, inner_attributes, record.offset - shift, record.timestamp, record.key, record.value)
    value = compress(codec, inner)
    if codec == Codec.LZ4 and magic == 0:
        value = _with_old_checksum(value)
    newest = append_time if append_time is not None else max(record.timestamp for record in records)
    return message(magic, codec | inner_attributes, records[-1].offset, newest, None, value)


def _with_old_checksum(frame: bytes) -> bytes:
    """Magic 0 counts the frame's magic number into the header's checksum (KAFKA-3160)."""
    return frame[:6] + bytes([xxh32(frame[:6]) >> 8 & 0xFF]) + frame[7:]
