"""Offsets by timestamp, and by Kafka's special timestamps. (Partition.fetchOffsetForTimestamp, UnifiedLog)"""

from pykbroker.log.unified_log import TimestampOffset, UnifiedLog
from pykbroker.replica.partition import Partition

LATEST = -1
EARLIEST = -2
MAX_TIMESTAMP = -3
EARLIEST_LOCAL = -4
LATEST_TIERED = -5
EARLIEST_PENDING_UPLOAD = -6
# The first version of ListOffsets that knows a special timestamp.
MIN_VERSION = {MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9, EARLIEST_PENDING_UPLOAD: 11}

NOT_FOUND = TimestampOffset(-1, -1, -1)
READ_COMMITTED = 1
CONSUMER = -1


def offset_for(
    partition: Partition, timestamp: int, *, isolation_level: int, replica_id: int, current_leader_epoch: int
) -> TimestampOffset:
    """NOT_FOUND where Kafka answers offset -1. Raises KafkaError."""
    partition.check_leader(current_leader_epoch)
    log = partition.log
    end = _last_fetchable(log, isolation_level, replica_id)
    if timestamp == LATEST:
        return TimestampOffset(-1, end, partition.leader_epoch)
    if timestamp in (EARLIEST, EARLIEST_LOCAL):
        epoch = log.leader_epochs.epoch_for_offset(log.log_start_offset)
        return TimestampOffset(-1, log.log_start_offset, -1 if epoch is None else epoch)
    if timestamp in (LATEST_TIERED, EARLIEST_PENDING_UPLOAD):
        return NOT_FOUND  # nothing is tiered
    found = log.offset_of_max_timestamp() if timestamp == MAX_TIMESTAMP else log.offset_for_timestamp(timestamp)
    return found if found is not None and found.offset < end else NOT_FOUND


def _last_fetchable(log: UnifiedLog, isolation_level: int, replica_id: int) -> int:
    if replica_id != CONSUMER:
        return log.log_end_offset
    return log.last_stable_offset if isolation_level == READ_COMMITTED else log.high_watermark
