"""fsyncs of a log in a thread, one at a time: who comes while one runs shares the next. (UnifiedLog.flush)"""

import trio

from pykbroker.log.unified_log import UnifiedLog


class RunningFlush:
    """One on its way. Whoever waits for it gets its error."""

    def __init__(self) -> None:
        self.ended = trio.Event()
        self.error: BaseException | None = None

    async def wait(self) -> None:
        await self.ended.wait()
        if self.error is not None:
            raise self.error


async def flush_appended(log: UnifiedLog) -> None:
    """Until everything that is in the log at the call is on disk. Raises KafkaError KAFKA_STORAGE_ERROR.

    A connection that goes away interrupts nothing: others share the flush, and the high watermark waits for it.
    """
    end = log.log_end_offset
    with trio.CancelScope(shield=True):
        if log.running_flush is not None:
            await log.running_flush.wait()  # it began before, and may not cover the last append
        if log.recovery_point >= end:
            return
        if log.running_flush is not None:
            await log.running_flush.wait()  # another that waited has begun it: it covers both
        else:
            await _flush(log, log.log_end_offset)


async def flush_below(log: UnifiedLog, offset: int) -> None:
    """fsync of what is below `offset`; the recovery point moves when it is done. Raises KafkaError."""
    with trio.CancelScope(shield=True):
        while log.running_flush is not None:
            await log.running_flush.wait()
        await _flush(log, min(offset, log.log_end_offset))


async def _flush(log: UnifiedLog, offset: int) -> None:
    running = log.running_flush = RunningFlush()
    truncations = log.truncations
    try:
        await trio.to_thread.run_sync(log.flush_job(offset))
        if log.truncations == truncations:
            log.flushed(offset)
    except OSError as error:
        running.error = log.storage_error(error)
        raise running.error from error
    except BaseException as error:
        running.error = error
        raise
    finally:
        log.running_flush = None
        running.ended.set()
