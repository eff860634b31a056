"""Which segments may go: by time, by size, by log start offset. Pure. (UnifiedLog.deleteOldSegments)"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pykbroker.log.segment import LogSegment

if TYPE_CHECKING:
    from pykbroker.log.unified_log import UnifiedLog


def deletable_segments(log: "UnifiedLog", now_ms: int) -> list[LogSegment]:
    """The oldest segments that cleanup.policy=delete lets go now; only below the high watermark."""
    by_start = _oldest_while(log, lambda segment, end: segment is not log.active and end <= log.log_start_offset)
    if "delete" not in log.config.cleanup_policy:
        return by_start
    candidates = [by_start, _by_time(log, now_ms), _by_size(log)]
    return max(candidates, key=len)


def _by_time(log: "UnifiedLog", now_ms: int) -> list[LogSegment]:
    limit = log.config.retention_ms
    if limit < 0:
        return []
    return _oldest_while(log, lambda segment, end: now_ms - _newest_ms(segment) > limit)


def _newest_ms(segment: LogSegment) -> int:
    largest = segment.largest_timestamp()
    return largest if largest >= 0 else segment.last_modified_ms()


def _by_size(log: "UnifiedLog") -> list[LogSegment]:
    limit = log.config.retention_bytes
    if limit < 0:
        return []
    surplus = log.size - limit

    def is_surplus(segment: LogSegment, end: int) -> bool:
        nonlocal surplus
        if surplus < segment.size:
            return False
        surplus -= segment.size
        return True

    return _oldest_while(log, is_surplus)


def _oldest_while(log: "UnifiedLog", may_go: Callable[[LogSegment, int], bool]) -> list[LogSegment]:
    """From the oldest on, as long as `may_go(segment, end offset)`; never an empty active one."""
    going: list[LogSegment] = []
    for index, segment in enumerate(log.segments):
        is_last = index + 1 == len(log.segments)
        end = log.log_end_offset if is_last else log.segments[index + 1].base_offset
        if end > log.high_watermark or (is_last and segment.size == 0) or not may_go(segment, end):
            break
        going.append(segment)
    return going
