"""Offsets by timestamp, and by Kafka's special timestamps. (Partition.fetchOffsetForTimestamp, UnifiedLog)"""

from pykbroker.errors import KafkaError
from pykbroker.log.time_search import TimestampOffset
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.replica.partition import Partition

LATEST = -1
EARLIEST = -2
MAX_TIMESTAMP = -3
EARLIEST_LOCAL = -4
LATEST_TIERED = -5
EARLIEST_PENDING_UPLOAD = -6
# The first version of ListOffsets that knows a special timestamp.
MIN_VERSION = {
    LATEST: 1,
    EARLIEST: 1,
    MAX_TIMESTAMP: 7,
    EARLIEST_LOCAL: 8,
    LATEST_TIERED: 9,
    EARLIEST_PENDING_UPLOAD: 11,
}

NOT_FOUND = TimestampOffset(-1, -1, -1)
READ_COMMITTED = 1
CONSUMER = -1
DEBUGGING_REPLICA = -2


def is_supported(timestamp: int, version: int) -> bool:
    """Whether this version of ListOffsets knows the special timestamp; all others are >= 0."""
    return timestamp >= 0 or version >= MIN_VERSION.get(timestamp, version + 1)


def offset_for(
    partition: Partition, timestamp: int, *, isolation_level: int, replica_id: int, current_leader_epoch: int
) -> TimestampOffset:
    """NOT_FOUND where Kafka answers offset -1. Raises KafkaError."""
    partition.check_leader(current_leader_epoch, only_leader=replica_id != DEBUGGING_REPLICA)
    log = partition.log
    end = _last_fetchable(log, isolation_level, replica_id)
    if timestamp == LATEST:
        _check_high_watermark(partition, replica_id)
        return TimestampOffset(-1, end, partition.leader_epoch)
    if timestamp in (EARLIEST, EARLIEST_LOCAL):
        epoch = log.leader_epochs.epoch_for_offset(log.log_start_offset)
        return TimestampOffset(-1, log.log_start_offset, -1 if epoch is None else epoch)
    found = _find(log, timestamp)
    if found is not None and found.offset < end:
        return found
    _check_high_watermark(partition, replica_id)
    return NOT_FOUND


def latest_offset(partition: Partition) -> int:
    """Where consumers find its end. Raises KafkaError."""
    return offset_for(partition, LATEST, isolation_level=0, replica_id=CONSUMER, current_leader_epoch=-1).offset


def _find(log: UnifiedLog, timestamp: int) -> TimestampOffset | None:
    if timestamp in (LATEST_TIERED, EARLIEST_PENDING_UPLOAD):
        return None  # nothing is tiered
    try:
        return log.offset_of_max_timestamp() if timestamp == MAX_TIMESTAMP else log.offset_for_timestamp(timestamp)
    except OSError as error:
        raise log.storage_error(error) from error


def _last_fetchable(log: UnifiedLog, isolation_level: int, replica_id: int) -> int:
    if replica_id != CONSUMER:
        return log.log_end_offset
    return log.last_stable_offset if isolation_level == READ_COMMITTED else log.high_watermark


def _check_high_watermark(partition: Partition, replica_id: int) -> None:
    """A new leader's high watermark may lag behind what the one before had committed (KIP-207)."""
    log = partition.log
    if replica_id == CONSUMER and partition.epoch_start_offset > log.high_watermark:
        raise KafkaError(
            ErrorCode.OFFSET_NOT_AVAILABLE,
            f"The high watermark {log.high_watermark} of {partition.topic_partition} is lagging behind the start "
            f"offset {partition.epoch_start_offset} of leader epoch {partition.leader_epoch}",
        )
