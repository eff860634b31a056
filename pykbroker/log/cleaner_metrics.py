"""What the cleaner tells of itself, by Kafka's names. (The gauges of LogCleaner and LogCleanerManager)"""

from typing import NamedTuple

from pykbroker.log.cleaner_manager import LogToClean, compaction_delay, to_clean
from pykbroker.log.log_manager import LogManager
from pykbroker.log.unified_log import UnifiedLog


class CleanerMetrics:
    """Set by the cleaner's loop; the rest is found when somebody asks. Seconds by the broker's clock."""

    def __init__(self, now: float) -> None:
        self.looked_at = now  # when the cleaner last looked for something to clean
        self.last_clean_seconds = 0.0

    def gauges(self, logs: LogManager) -> dict[str, float]:
        """The metrics of all directories together."""
        found = [told for log in _compacted(logs) if (told := _told(log, logs.clock.wall_ms())) is not None]
        return {
            "max-dirty-percent": int(100 * max((each.ratio for each in found), default=0.0)),
            "max-compaction-delay-secs": max((each.delay_ms for each in found), default=0) // 1000,
            "max-clean-time-secs": int(self.last_clean_seconds),
            "time-since-last-run-ms": int(1000 * (logs.clock.monotonic() - self.looked_at)),
        }


def uncleanable(logs: LogManager) -> dict[str, tuple[int, int]]:
    """uncleanable-partitions-count and uncleanable-bytes of each directory that is online."""
    totals = {directory.path: (0, 0) for directory in logs.directories if directory.is_online}
    for log in _compacted(logs):
        directory = logs.directory_of(log.topic_partition)
        if not log.cleaning.is_uncleanable or directory is None:
            continue
        told = _told(log, logs.clock.wall_ms())
        count, size = totals[directory.path]
        totals[directory.path] = count + 1, size + (0 if told is None else told.found.cleanable_bytes)
    return totals


class _Told(NamedTuple):
    found: LogToClean
    delay_ms: int

    @property
    def ratio(self) -> float:
        return self.found.ratio


def _compacted(logs: LogManager) -> list[UnifiedLog]:
    return [log for log in logs.all() if "compact" in log.config.cleanup_policy]


def _told(log: UnifiedLog, now_ms: int) -> _Told | None:
    try:
        found = to_clean(log, now_ms)
        return _Told(found, compaction_delay(log, found.first_dirty, now_ms))
    except OSError as error:
        log.on_io_error(error)
        return None
