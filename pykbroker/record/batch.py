"""The header of a v2 record batch: parse, stamp in place, checksum. (DefaultRecordBatch, KIP-98)

offset size field                    offset size field
     0    8 base offset                  27    8 base timestamp (delete horizon when attribute bit 6 is set)
     8    4 batch length (behind it)     35    8 max timestamp
    12    4 partition leader epoch       43    8 producer id
    16    1 magic                        51    2 producer epoch
    17    4 CRC-32C of all behind it     53    4 base sequence
    21    2 attributes                   57    4 record count
    23    4 last offset delta            61      records
"""

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.crc32c import crc32c
from pykbroker.record.damage import CorruptBatch

Buffer = bytes | bytearray | memoryview
WritableBuffer = bytearray | memoryview

LOG_OVERHEAD = 12
HEADER_SIZE = 61
MAGIC_OFFSET = 16
CRC_OFFSET = 17
ATTRIBUTES_OFFSET = 21
MAX_TIMESTAMP_OFFSET = 35
# The smallest v0 message: overhead, crc, magic, attributes, null key, null value (LegacyRecord.RECORD_OVERHEAD_V0).
MIN_LEGACY_LENGTH = 14
CURRENT_MAGIC = 2

CODEC_MASK = 0x07
LOG_APPEND_TIME_BIT = 0x08
TRANSACTIONAL_BIT = 0x10
CONTROL_BIT = 0x20
DELETE_HORIZON_BIT = 0x40
MEANT_BITS = 0x7F

_HEADER = Struct(">qiibIhiqqqhii")
_OVERHEAD = Struct(">qi")
_STAMP = Struct(">qii")
_BASE_OFFSET = Struct(">q")
_LEADER_EPOCH = Struct(">i")
_CRC = Struct(">I")
_ATTRIBUTES = Struct(">h")
_TIMESTAMP = Struct(">q")
_INT32_MAX = 0x7FFFFFFF


class BatchHeader(NamedTuple):
    """The fields of a v2 header. Timestamps in milliseconds; -1 where a producer id, epoch or sequence is absent."""

    base_offset: int
    batch_length: int
    partition_leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def size_in_bytes(self) -> int:
        return self.batch_length + LOG_OVERHEAD

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def codec(self) -> int:
        """0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd; 5 to 7 are unknown to Kafka."""
        return self.attributes & CODEC_MASK

    @property
    def is_log_append_time(self) -> bool:
        return bool(self.attributes & LOG_APPEND_TIME_BIT)

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & TRANSACTIONAL_BIT)

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & CONTROL_BIT)

    @property
    def has_delete_horizon(self) -> bool:
        return bool(self.attributes & DELETE_HORIZON_BIT)

    @property
    def has_producer_id(self) -> bool:
        return self.producer_id > -1

    @property
    def last_sequence(self) -> int:
        """-1 without a producer id; sequences wrap from 2³¹-1 to 0 (DefaultRecordBatch.incrementSequence)."""
        if self.base_sequence == -1:
            return -1
        return increment_sequence(self.base_sequence, self.last_offset_delta)


def increment_sequence(sequence: int, increment: int) -> int:
    return (sequence + increment) & _INT32_MAX


def parse_header(buf: Buffer, pos: int = 0) -> BatchHeader:
    """The v2 header at `pos`. Raises CorruptBatch when it is not one, or when its length goes beyond the buffer."""
    left = len(buf) - pos
    if left < HEADER_SIZE:
        raise CorruptBatch(f"{left} bytes are too few for a record batch header of {HEADER_SIZE} bytes")
    header = BatchHeader._make(_HEADER.unpack_from(buf, pos))
    if header.magic != CURRENT_MAGIC:
        raise CorruptBatch(f"Invalid magic found in record: {header.magic}")
    if not HEADER_SIZE - LOG_OVERHEAD <= header.batch_length <= left - LOG_OVERHEAD:
        raise CorruptBatch(f"Record batch length {header.batch_length} does not fit the {left} bytes that are there")
    return header


def unpack_header(buf: Buffer, pos: int = 0) -> BatchHeader:
    """The 61 bytes at `pos` as a v2 header, nothing checked: for batches known to be one."""
    return BatchHeader._make(_HEADER.unpack_from(buf, pos))


def batch_length_at(buf: Buffer, pos: int) -> int | None:
    """The whole size of the batch of any magic at `pos`, None when even its size is not there yet.

    Raises CorruptBatch for a size or magic that no batch can have (ByteBufferLogInputStream.nextBatchSize).
    """
    left = len(buf) - pos
    if left < LOG_OVERHEAD:
        return None
    length: int = _OVERHEAD.unpack_from(buf, pos)[1]
    if length > _INT32_MAX - LOG_OVERHEAD:  # overflows in Java, whose answer is no corrupt record but an unknown error
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"Record size {length} overflows")
    if length < MIN_LEGACY_LENGTH:
        raise CorruptBatch(f"Record size {length} is less than the minimum record overhead ({MIN_LEGACY_LENGTH})")
    if left <= MAGIC_OFFSET:
        return None
    magic = buf[pos + MAGIC_OFFSET]
    if magic > CURRENT_MAGIC:
        raise CorruptBatch(f"Invalid magic found in record: {magic - 256 if magic > 127 else magic}")
    return length + LOG_OVERHEAD


def iterate_frames(buf: Buffer, pos: int = 0) -> Iterator[tuple[int, int]]:
    """(position, size) of each complete batch of any magic; stops before an incomplete tail. Raises CorruptBatch."""
    end = len(buf)
    while True:
        size = batch_length_at(buf, pos)
        if size is None or pos + size > end:
            return
        yield pos, size
        pos += size


def iterate_batches(buf: Buffer, pos: int = 0) -> Iterator[tuple[BatchHeader, int]]:
    """Header and position of each complete v2 batch; stops before an incomplete tail. Raises CorruptBatch."""
    for position, _ in iterate_frames(buf, pos):
        yield parse_header(buf, position), position


def compute_crc(buf: Buffer, pos: int, size: int) -> int:
    """CRC-32C from the attributes to the end of the batch of `size` bytes."""
    checksum: int = crc32c(memoryview(buf)[pos + ATTRIBUTES_OFFSET : pos + size])
    return checksum


def crc_is_valid(buf: Buffer, pos: int = 0, header: BatchHeader | None = None) -> bool:
    """Whether the batch at `pos` has the checksum it says; `header` where it is parsed already. Raises CorruptBatch."""
    header = header if header is not None else parse_header(buf, pos)
    return compute_crc(buf, pos, header.batch_length + LOG_OVERHEAD) == header.crc


def stamp(buf: WritableBuffer, pos: int, base_offset: int, leader_epoch: int) -> None:
    """Writes base offset and partition leader epoch in place; both lie outside the checksum."""
    _BASE_OFFSET.pack_into(buf, pos, base_offset)
    _LEADER_EPOCH.pack_into(buf, pos + LOG_OVERHEAD, leader_epoch)


def set_max_timestamp(buf: WritableBuffer, pos: int, log_append_time: bool, max_timestamp: int) -> None:
    """Rewrites timestamp type and max timestamp, and the checksum when that changed anything."""
    header = parse_header(buf, pos)
    if log_append_time == header.is_log_append_time and max_timestamp == header.max_timestamp:
        return
    # Bits without a meaning go, as Java computes the attributes anew.
    attributes = header.attributes & MEANT_BITS & ~LOG_APPEND_TIME_BIT | (LOG_APPEND_TIME_BIT if log_append_time else 0)
    _ATTRIBUTES.pack_into(buf, pos + ATTRIBUTES_OFFSET, attributes)
    _TIMESTAMP.pack_into(buf, pos + MAX_TIMESTAMP_OFFSET, max_timestamp)
    _CRC.pack_into(buf, pos + CRC_OFFSET, compute_crc(buf, pos, header.size_in_bytes))


def pack_header(out: bytearray, header: BatchHeader) -> None:
    """Overwrites the first 61 bytes of `out`, a whole batch, with `header`; length and checksum are computed."""
    base_offset, _, leader_epoch, _, _, *rest = header
    pack_fields(out, base_offset, leader_epoch, *rest)


def pack_fields(out: bytearray, base_offset: int, leader_epoch: int, *rest: int) -> None:
    """The same of the single fields: `rest` are those behind the checksum."""
    _HEADER.pack_into(out, 0, base_offset, len(out) - LOG_OVERHEAD, leader_epoch, CURRENT_MAGIC, 0, *rest)
    _CRC.pack_into(out, CRC_OFFSET, crc32c(memoryview(out)[ATTRIBUTES_OFFSET:]))
