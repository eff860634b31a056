"""Magic 0 and 1, read only: messages and compressed message sets of old logs. (AbstractLegacyRecordBatch, LegacyRecord)

Message: offset(8) size(4) crc(4) magic(1) attributes(1) [timestamp(8), v1] key(4+n) value(4+n); the CRC-32 covers all
from the magic on. A compressed message's value is a message set; v1 gives its messages relative offsets.
"""

import zlib
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from pykbroker.record.batch import CODEC_MASK, LOG_APPEND_TIME_BIT, Buffer, batch_length_at
from pykbroker.record.compression import Codec, decompress
from pykbroker.record.damage import CorruptBatch, InvalidRecord
from pykbroker.record.xxhash32 import xxh32

_HEADER = Struct(">qiIBb")
_INT32 = Struct(">i")
_INT64 = Struct(">q")
_CRC_END = 16


class Message(NamedTuple):
    """A message as it stands: `value` is a compressed message set when `attributes` name a codec."""

    offset: int
    crc: int
    magic: int
    attributes: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def parse_message(buf: Buffer, pos: int, size: int) -> Message:
    """The message of `size` bytes with overhead at `pos`. Raises InvalidRecord when its fields overrun it."""
    view = memoryview(buf)[pos : pos + size]
    offset, _, crc, magic, attributes = _HEADER.unpack_from(view)
    at = _HEADER.size
    timestamp = -1
    if magic == 1:
        if size < at + 8:
            raise InvalidRecord(f"Message of {size} bytes is too short for its timestamp")
        timestamp = _INT64.unpack_from(view, at)[0]
        at += 8
    key, at = _read_bytes(view, at)
    value, at = _read_bytes(view, at)
    return Message(offset, crc, magic, attributes, timestamp, key, value)


def _read_bytes(view: memoryview, at: int) -> tuple[bytes | None, int]:
    if at + 4 > len(view):
        raise InvalidRecord("Message ends within a length")
    length: int = _INT32.unpack_from(view, at)[0]
    at += 4
    if length < 0:
        return None, at
    if at + length > len(view):
        raise InvalidRecord(f"Message announces {length} bytes where {len(view) - at} are left")
    return bytes(view[at : at + length]), at + length


def crc_is_valid(buf: Buffer, pos: int, size: int) -> bool:
    stored: int = _HEADER.unpack_from(buf, pos)[2]
    return zlib.crc32(memoryview(buf)[pos + _CRC_END : pos + size]) == stored


def last_offset_at(buf: Buffer, pos: int) -> int:
    """The offset of a message; of a compressed set it is the last one's."""
    offset: int = _INT64.unpack_from(buf, pos)[0]
    return offset


def iterate_messages(
    buf: Buffer, pos: int, size: int, limit: int
) -> Iterator[tuple[int, int, bytes | None, bytes | None]]:
    """(offset, timestamp, key, value) of a message, or of each message of a compressed set. Raises as reader does."""
    outer = parse_message(buf, pos, size)
    if not outer.attributes & CODEC_MASK:
        timestamp = outer.timestamp
        yield outer.offset, timestamp, outer.key, outer.value
        return
    inner = _inner_messages(outer, limit)
    # v1: relative offsets, the last of which is the outer offset (KIP-32); v0: absolute ones.
    shift = outer.offset - inner[-1].offset if outer.magic == 1 else 0
    for message in inner:
        timestamp = (
            outer.timestamp if outer.attributes & LOG_APPEND_TIME_BIT and outer.magic == 1 else message.timestamp
        )
        yield message.offset + shift, timestamp, message.key, message.value


def repair_lz4_header(frame: bytes) -> bytes:
    """Magic 0 computed the frame header's checksum over the frame's magic number too (KAFKA-3160): the right one."""
    if len(frame) < 7 or frame[4] & 0x08:
        return frame
    checksum = xxh32(frame[4:6]) >> 8 & 0xFF
    return frame[:6] + bytes([checksum]) + frame[7:]


def _inner_messages(outer: Message, limit: int) -> list[Message]:
    codec = outer.attributes & CODEC_MASK
    if outer.value is None:
        raise InvalidRecord(f"Found invalid compressed record set with null value (magic = {outer.magic})")
    if codec == Codec.ZSTD:
        raise InvalidRecord(f"Invalid wrapper compression type zstd for magic {outer.magic}")
    value = repair_lz4_header(outer.value) if codec == Codec.LZ4 and outer.magic == 0 else outer.value
    data = decompress(codec, value, limit)
    messages = []
    at = 0
    while at < len(data):
        size = batch_length_at(data, at)
        if size is None or at + size > len(data):
            raise CorruptBatch("The compressed message set ends within a message")
        message = parse_message(data, at, size)
        if message.magic != outer.magic:
            raise InvalidRecord(f"Compressed message magic {message.magic} does not match wrapper magic {outer.magic}")
        if message.attributes & CODEC_MASK:
            raise InvalidRecord("Inner records must not be compressed")
        messages.append(message)
        at += size
    if not messages:
        raise InvalidRecord("Found invalid compressed record set with no inner records")
    return messages
