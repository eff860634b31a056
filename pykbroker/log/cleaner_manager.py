"""Which log is cleaned next, and which part of it. (LogCleanerManager, LogToClean)"""

from collections.abc import Iterable
from logging import getLogger
from typing import NamedTuple

from pykbroker.log.segment import LogSegment
from pykbroker.log.unified_log import UnifiedLog

logger = getLogger(__name__)


class Range(NamedTuple):
    """Of offsets to clean: from the first one not cleaned yet to the first that must not be cleaned."""

    first_dirty: int
    first_uncleanable: int


class LogToClean(NamedTuple):
    """`is_urgent`: max.compaction.lag.ms is over. `first_uncleanable` is where a segment begins."""

    log: UnifiedLog
    first_dirty: int
    first_uncleanable: int
    is_urgent: bool
    clean_bytes: int
    cleanable_bytes: int

    @property
    def ratio(self) -> float:
        """How much of it is dirty."""
        total = self.clean_bytes + self.cleanable_bytes
        return self.cleanable_bytes / total if total else 0.0

    @property
    def is_due(self) -> bool:
        urgent = self.is_urgent and self.cleanable_bytes > 0
        return urgent or self.ratio > self.log.config.min_cleanable_dirty_ratio


def filthiest(logs: Iterable[UnifiedLog], now_ms: int) -> LogToClean | None:
    """The compacted log most in need of cleaning, when there is one. Logs whose files can't be read are marked
    uncleanable or take their directory offline."""
    found: LogToClean | None = None
    for log in logs:
        state = log.cleaning
        if "compact" not in log.config.cleanup_policy or state.is_in_progress or state.is_uncleanable:
            continue
        try:
            candidate = to_clean(log, now_ms)
        except OSError as error:
            log.on_io_error(error)
            continue
        if candidate.is_due and (found is None or candidate.ratio > found.ratio):
            found = candidate
    return found


def to_clean(log: UnifiedLog, now_ms: int) -> LogToClean:
    """Raises OSError."""
    offsets = cleanable_range(log, now_ms)
    rest = segments_between(log, offsets.first_uncleanable, log.active.base_offset)
    first_uncleanable = (rest[0] if rest else log.active).base_offset
    cleanable = segments_between(log, min(offsets.first_dirty, first_uncleanable), first_uncleanable)
    clean = [segment for segment in log.segments if segment.base_offset < offsets.first_dirty]
    return LogToClean(
        log,
        offsets.first_dirty,
        first_uncleanable,
        compaction_delay(log, offsets.first_dirty, now_ms) > 0,
        sum(segment.size for segment in clean),
        sum(segment.size for segment in cleanable),
    )


def cleanable_range(log: UnifiedLog, now_ms: int) -> Range:
    """Sets the log's first dirty offset right where it cannot be. Raises OSError."""
    first_dirty = _first_dirty_offset(log)
    bounds = [log.last_stable_offset, log.active.base_offset]
    lag = log.config.min_compaction_lag_ms
    if lag > 0:
        bounds += [
            segment.base_offset
            for segment in segments_between(log, first_dirty, log.active.base_offset)
            if segment.largest_timestamp() > now_ms - lag
        ]
    return Range(first_dirty, max(first_dirty, min(bounds)))


def _first_dirty_offset(log: UnifiedLog) -> int:
    known, start = log.cleaning.first_dirty_offset, log.log_start_offset
    if known is None:
        return start
    if start <= known <= log.log_end_offset:
        return known
    # With retention beside compaction the start passes by all the time.
    if known > log.log_end_offset or "delete" not in log.config.cleanup_policy:
        logger.warning(
            "The cleaner's checkpoint %d of %s is not within its offsets %d to %d: cleaning it from its start",
            known,
            log.topic_partition,
            start,
            log.log_end_offset,
        )
    log.cleaning.first_dirty_offset = start
    return start


def compaction_delay(log: UnifiedLog, first_dirty: int, now_ms: int) -> int:
    """Milliseconds since max.compaction.lag.ms was over for the oldest dirty record, else 0. Raises OSError."""
    until = now_ms - log.config.max_compaction_lag_ms
    if until <= 0:
        return 0
    dirty = segments_between(log, first_dirty, log.active.base_offset)
    oldest = min((timestamp for segment in dirty if (timestamp := _first_timestamp(segment)) > 0), default=until)
    return max(until - oldest, 0)


def _first_timestamp(segment: LogSegment) -> int:
    is_known = segment.first_timestamp is not None
    timestamp = segment.first_batch_timestamp()
    if not is_known:
        segment.release()  # a thousand logs looked at must not cost a thousand descriptors
    return timestamp


def segments_between(log: UnifiedLog, start: int, end: int) -> list[LogSegment]:
    """From the one that holds `start` to the last that begins before `end`."""
    if start >= end:
        return []
    return [segment for segment in log.segments[log.segment_for(start) :] if segment.base_offset < end]
