"""What logs need on a schedule: flushes, retention, checkpoints, expiry of producers, removal of deleted files.

One task; the slow parts (fsync, unlink) run in a thread on immutable lists of work. (LogManager.startup's tasks)
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import trio

from pykbroker.errors import KafkaError
from pykbroker.log.flush_loop import flush_below
from pykbroker.log.log_manager import LogManager
from pykbroker.log.unified_log import UnifiedLog


class Schedule(Protocol):
    """The broker configs that say when; milliseconds."""

    @property
    def log_initial_task_delay_ms(self) -> int: ...
    @property
    def log_retention_check_interval_ms(self) -> int: ...
    @property
    def log_flush_scheduler_interval_ms(self) -> int: ...
    @property
    def log_flush_offset_checkpoint_interval_ms(self) -> int: ...
    @property
    def log_flush_start_offset_checkpoint_interval_ms(self) -> int: ...
    @property
    def replica_high_watermark_checkpoint_interval_ms(self) -> int: ...
    @property
    def producer_id_expiration_check_interval_ms(self) -> int: ...


class Housekeeping:
    """Jobs with an interval each; the task sleeps until the next one is due."""

    def __init__(self, logs: LogManager, schedule: Schedule) -> None:
        self.logs = logs
        self.schedule = schedule

    def jobs(self) -> list[tuple[float, "Callable[[], object]"]]:
        """(interval in milliseconds, job): a coroutine function or a plain one."""
        schedule = self.schedule
        return [
            (schedule.log_retention_check_interval_ms, self.apply_retention),
            (schedule.log_flush_scheduler_interval_ms, self.flush_dirty_logs),
            (schedule.log_flush_offset_checkpoint_interval_ms, self.checkpoint_recovery_points),
            (schedule.log_flush_start_offset_checkpoint_interval_ms, self.logs.checkpoint_log_start_offsets),
            (schedule.replica_high_watermark_checkpoint_interval_ms, self.logs.checkpoint_high_watermarks),
            (schedule.producer_id_expiration_check_interval_ms, self.expire_producers),
            (schedule.log_initial_task_delay_ms, self.remove_deleted),
        ]

    async def run(self) -> None:
        """Until cancelled."""
        start = trio.current_time() + self.schedule.log_initial_task_delay_ms / 1000
        jobs = self.jobs()
        due = [start + interval / 1000 for interval, _ in jobs]
        while True:
            # Intervals may be as large as int64: trio sleeps an hour at the most and looks again.
            await trio.sleep_until(min(*due, trio.current_time() + 3600))
            now = trio.current_time()
            for index, (interval, job) in enumerate(jobs):
                if due[index] <= now:
                    result = job()
                    if result is not None:
                        await result  # type: ignore[misc]
                    due[index] = trio.current_time() + interval / 1000

    async def apply_retention(self) -> None:
        now_ms = self.logs.clock.wall_ms()
        for log in self.logs.all():
            if log.cleaning.is_in_progress:
                continue  # the cleaner does it when it is through
            try:
                log.delete_old_segments(now_ms)
            except OSError as error:
                log.on_io_error(error)
            await trio.lowlevel.checkpoint()

    async def flush_dirty_logs(self) -> None:
        """fsync of logs that were not flushed for flush.ms."""
        now_ms = self.logs.clock.wall_ms()
        for log in self.logs.all():
            if log.recovery_point < log.log_end_offset and now_ms - log.last_flushed_ms >= log.config.flush_ms:
                await flush(log, log.log_end_offset)

    async def checkpoint_recovery_points(self) -> None:
        """Sealed segments are flushed before, so that recovery need not read them again (UnifiedLog.roll)."""
        for log in self.logs.all():
            if log.recovery_point < log.active.base_offset:
                await flush(log, log.active.base_offset)
        self.logs.checkpoint_recovery_points()

    def expire_producers(self) -> None:
        now_ms = self.logs.clock.wall_ms()
        for log in self.logs.all():
            log.producer_state.expire(now_ms)

    async def remove_deleted(self) -> None:
        """Unlinks what was deleted at least file.delete.delay.ms ago."""
        now = self.logs.clock.monotonic()
        if any(when <= now for when, _ in self.logs.doomed_directories):
            await trio.to_thread.run_sync(self.logs.remove_doomed_directories, now)
        for log in self.logs.all():
            paths = log.take_doomed(now)
            if paths:
                await unlink(log, paths)


async def unlink(log: UnifiedLog, paths: Sequence[str]) -> None:
    def unlink_all() -> None:
        for path in paths:
            log.files.unlink(path)

    try:
        await trio.to_thread.run_sync(unlink_all)
    except OSError as error:
        log.on_io_error(error)


async def flush(log: UnifiedLog, offset: int) -> None:
    """fsync of what is below `offset`, in a thread; the recovery point moves when it is done."""
    with suppress(KafkaError):  # the directory is offline then, which the log has told its owner
        await flush_below(log, offset)
