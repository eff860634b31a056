"""Offsets by timestamp, over a log's segments. (UnifiedLog.searchOffsetInLocalLog, FileRecords.searchForTimestamp)"""

from collections.abc import Iterable
from typing import NamedTuple

from pykbroker.log.segment import LogSegment
from pykbroker.record.reader import iterate_records


class TimestampOffset(NamedTuple):
    timestamp: int
    offset: int
    leader_epoch: int  # -1 when unknown


def first_at_or_after(segments: Iterable[LogSegment], timestamp: int, start_offset: int) -> TimestampOffset | None:
    """The first record at or behind `start_offset` with a timestamp of at least `timestamp` (milliseconds).

    A deviation: Kafka 4.3.1 looks into the first segment with such a timestamp only. When that lies before the log
    start as a whole, after DeleteRecords, it finds nothing (-1), as if there were no newer record, until retention
    removes the segment some minutes later; then it finds what we find at once. (compat_tests/disk/test_log_start.py)
    """
    for segment in segments:
        if segment.largest_timestamp() < timestamp:
            continue
        found = _first_record(segment, timestamp, start_offset)
        if found is not None:
            return found
    return None


def largest(segments: Iterable[LogSegment]) -> TimestampOffset | None:
    """The first record with the largest timestamp of all segments, None without records that have one (KIP-734)."""
    best: LogSegment | None = None
    for segment in segments:
        if best is None or segment.largest_timestamp() > best.largest_timestamp():
            best = segment
    if best is None or best.largest_timestamp() < 0:
        return None
    return _first_record(best, best.largest_timestamp(), best.base_offset)


def _first_record(segment: LogSegment, timestamp: int, start_offset: int) -> TimestampOffset | None:
    for batch in segment.batches_for_timestamp(timestamp, start_offset):
        for record in iterate_records(segment.read(batch.position, batch.size)):
            if record.timestamp >= timestamp and record.offset >= start_offset:
                epoch = batch.header.partition_leader_epoch if batch.header is not None else -1
                return TimestampOffset(record.timestamp, record.offset, epoch)
    return None
