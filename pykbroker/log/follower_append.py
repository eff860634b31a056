"""Batches that a leader sent, stored as they are: offsets, epochs and bytes are its own. (UnifiedLog.appendAsFollower)

Checked are sizes, checksums and the order of offsets; nothing of a message is written when one of its batches is
damaged: the next fetch asks for all of it again.
"""

import zlib
from collections.abc import Iterator, Sequence
from logging import getLogger
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import (
    CURRENT_MAGIC,
    LOG_OVERHEAD,
    MAGIC_OFFSET,
    BatchHeader,
    Buffer,
    crc_is_valid,
    iterate_frames,
    parse_header,
)
from pykbroker.record.control import ControlType, control_type_of, end_transaction_coordinator_epoch
from pykbroker.record.damage import CorruptBatch
from pykbroker.record.reader import iterate_records

if TYPE_CHECKING:
    from pykbroker.log.unified_log import UnifiedLog

logger = getLogger(__name__)
_LEGACY = Struct(">qiIBbq")  # offset, size, crc, magic, attributes, timestamp (v1)
NO_EPOCH = -1


class UnexpectedAppendOffset(KafkaError):
    """The batches begin before the log's end (UnexpectedAppendOffsetException)."""

    def __init__(self, message: str, first_offset: int, last_offset: int) -> None:
        super().__init__(ErrorCode.UNKNOWN_SERVER_ERROR, message)
        self.first_offset = first_offset
        self.last_offset = last_offset


class FollowerAppendInfo(NamedTuple):
    """What was stored; offsets and epoch are -1 when nothing was, or has none."""

    first_offset: int
    last_offset: int
    last_leader_epoch: int
    num_bytes: int


NOTHING = FollowerAppendInfo(-1, -1, NO_EPOCH, 0)


def append_as_follower(log: "UnifiedLog", records: Buffer, now_ms: int, leader_epoch: int) -> FollowerAppendInfo:
    """Whole batches up to those of an epoch above `leader_epoch`: who sent these led no more when this was asked for,
    and what comes from them may be cut off (KAFKA-18723).

    Raises CorruptBatch, InvalidRecord, UnexpectedAppendOffset, KafkaError (KAFKA_STORAGE_ERROR when the disk fails).
    """
    headers = _checked(log, records, leader_epoch)
    if not headers:
        return NOTHING
    first, last = headers[0], headers[-1]
    if first.base_offset < log.log_end_offset:
        raise UnexpectedAppendOffset(
            f"Unexpected offset in append to {log.topic_partition}. First offset {first.base_offset} is less than the "
            f"next offset {log.log_end_offset}. Last offset in append: {last.last_offset}. "
            f"Log start offset = {log.log_start_offset}",
            first.base_offset,
            last.last_offset,
        )
    try:
        _note_epochs(log, headers)
    except OSError as error:
        raise log.storage_error(error) from error
    size = sum(header.size_in_bytes for header in headers)
    for position, chunk in _chunks(headers, size, log.config.segment_bytes):
        end = position + sum(header.size_in_bytes for header in chunk)
        data = memoryview(records)[position:end]
        log.write(data, chunk[-1].last_offset, max(header.max_timestamp for header in chunk), NO_EPOCH, now_ms, chunk)
        log.written(data, chunk)
    return FollowerAppendInfo(first.base_offset, last.last_offset, last.partition_leader_epoch, size)


def _checked(log: "UnifiedLog", records: Buffer, leader_epoch: int) -> list[BatchHeader]:
    headers: list[BatchHeader] = []
    last_offset = -1
    for position, size in iterate_frames(records):
        header = _header_at(records, position, size)
        if header.partition_leader_epoch > leader_epoch:
            logger.info(
                "Skipping batches of %s from offset %d on: their leader epoch %d is higher than %d",
                log.topic_partition,
                header.base_offset,
                header.partition_leader_epoch,
                leader_epoch,
            )
            break
        if header.last_offset <= last_offset:
            raise KafkaError(
                ErrorCode.UNKNOWN_SERVER_ERROR,
                f"Out of order offsets found in append to {log.topic_partition}: {header.last_offset} behind "
                f"{last_offset}",
            )
        if not _is_sound(records, position, header):
            raise CorruptBatch(
                f"Record is corrupt (stored crc = {header.crc}) in topic partition {log.topic_partition}."
            )
        if header.is_control and header.has_producer_id:
            _check_marker(records, position)
        last_offset = header.last_offset
        headers.append(header)
    return headers


def _header_at(records: Buffer, position: int, size: int) -> BatchHeader:
    """Of a message set of old (magic 0 and 1) only what its first bytes tell: the last offset, for one."""
    magic = records[position + MAGIC_OFFSET]
    if magic >= CURRENT_MAGIC:
        return parse_header(records, position)
    offset, length, crc, _, attributes, timestamp = _LEGACY.unpack_from(records, position)
    timestamp = timestamp if magic else -1
    return BatchHeader(offset, length, NO_EPOCH, magic, crc, attributes, 0, timestamp, timestamp, -1, -1, -1, 1)


def _is_sound(records: Buffer, position: int, header: BatchHeader) -> bool:
    if header.magic >= CURRENT_MAGIC:
        return crc_is_valid(records, position, header)
    end = position + LOG_OVERHEAD + header.batch_length
    return zlib.crc32(memoryview(records)[position + MAGIC_OFFSET : end]) == header.crc


def _check_marker(records: Buffer, position: int) -> None:
    """Before anything is written: what the producers' state cannot take must not be in the log. Raises KafkaError."""
    record = next(iter(iterate_records(records, position)), None)
    if record is not None and control_type_of(record.key) in (ControlType.COMMIT, ControlType.ABORT):
        end_transaction_coordinator_epoch(record.value)


def _note_epochs(log: "UnifiedLog", headers: Sequence[BatchHeader]) -> None:
    """Batches of old know no epochs: what the cache says is worth nothing once there are some again. Raises OSError."""
    epochs = log.leader_epochs
    for header in headers:
        if header.magic >= CURRENT_MAGIC:
            epochs.assign(header.partition_leader_epoch, header.base_offset)
        elif epochs.latest_epoch() is not None:
            logger.warning("Clearing the leader epochs of %s: a message of format v%d", log.directory, header.magic)
            epochs.clear()


def _chunks(
    headers: Sequence[BatchHeader], size: int, segment_bytes: int
) -> Iterator[tuple[int, Sequence[BatchHeader]]]:
    """(position, batches) of what is written at once: everything, unless that is more than a segment holds. Kafka's
    follower gives the partition up then."""
    if size <= segment_bytes:
        yield 0, headers
        return
    position = 0
    for header in headers:
        yield position, (header,)
        position += header.size_in_bytes
