"""Cleans compacted logs, the dirtiest one first. (LogCleaner, CleanerThread)

The jobs of a cleaning run in a thread, its steps between them on the loop.
"""

import sys
from collections.abc import Callable
from logging import getLogger
from threading import Event
from typing import TYPE_CHECKING

import trio

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.log.cleaner_manager import LogToClean, filthiest
from pykbroker.log.cleaner_metrics import CleanerMetrics
from pykbroker.log.cleaning_state import CleaningAborted
from pykbroker.log.log_manager import LogManager
from pykbroker.log.sparse_index import CorruptIndex
from pykbroker.log.throttler import Throttler
from pykbroker.log.unified_log import UnifiedLog

if TYPE_CHECKING:
    from pykbroker.log.cleaning import CleanerConfig, Steps

logger = getLogger(__name__)
# Seconds after which the cleaner's thread lets the loop go on. Python's usual ones are for threads that do not share
# the interpreter with a server: each of its wake-ups would wait so long.
BUSY_SWITCH_INTERVAL = 0.0005
# Seconds after which a resting thread looks whether it still has to: the rate may have changed, or the log be gone.
LONGEST_REST = 0.5


class CleanerLoop:
    """As many cleanings at once as log.cleaner.threads says."""

    def __init__(self, logs: LogManager, config: "Callable[[], CleanerConfig]") -> None:
        self.logs = logs
        self._config = config
        self._running = 0
        self._usual_switch_interval = sys.getswitchinterval()
        self._throttler = Throttler(config().log_cleaner_io_max_bytes_per_second, logs.clock)
        self._changed = trio.Event()
        self.metrics = CleanerMetrics(logs.clock.monotonic())
        self._written: dict[TopicPartition, int] = {}

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                config = self._config()
                self._changed = trio.Event()
                self._write_down()
                while self._running < config.log_cleaner_threads and (found := self.next_log()) is not None:
                    nursery.start_soon(self.clean, found)
                with trio.move_on_after(max(config.log_cleaner_backoff_ms, 1) / 1000):
                    await self._changed.wait()

    def reconfigure(self) -> None:
        """The configs have changed: the rate counts at once, also for who rests; for the others it looks again now."""
        self._throttler.rate = self._config().log_cleaner_io_max_bytes_per_second
        self._changed.set()

    def next_log(self) -> LogToClean | None:
        """The dirtiest one that is due, marked as being cleaned."""
        self.metrics.looked_at = self.logs.clock.monotonic()
        found = filthiest(self.logs.all(), self.logs.clock.wall_ms())
        if found is not None:
            found.log.cleaning.is_in_progress = True
            self._running += 1
            sys.setswitchinterval(BUSY_SWITCH_INTERVAL)
        return found

    async def clean(self, found: LogToClean) -> None:
        """One cleaning, whatever comes of it: a log that cannot be cleaned is left alone from then on."""
        stop = Event()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_set_when_cancelled, stop)
                await self._try_to_clean(found, stop)
                nursery.cancel_scope.cancel()
        finally:
            found.log.cleaning.is_in_progress = False
            self._running -= 1
            if not self._running:
                sys.setswitchinterval(self._usual_switch_interval)
            self._changed.set()

    async def _try_to_clean(self, found: LogToClean, stop: Event) -> None:
        # Most brokers have nothing to clean, and start sooner without.
        from pykbroker.log.cleaning import Cleaning

        log = found.log
        generation = log.cleaning.generation
        try:
            began = self.logs.clock.monotonic()
            await _run(Cleaning(found, self._config(), self._pace(log, stop)).steps())
            self.metrics.last_clean_seconds = self.logs.clock.monotonic() - began
            self._write_down()
            log.delete_old_segments(self.logs.clock.wall_ms())
        except CleaningAborted:
            logger.info("Cleaning of %s was aborted", log.topic_partition)
        except OSError as error:
            if log.cleaning.generation == generation:
                log.on_io_error(error)
        except (KafkaError, CorruptIndex, ValueError) as error:
            log.cleaning.is_uncleanable = True
            logger.warning("Cannot clean %s, marking it as uncleanable: %s", log.topic_partition, error)
        except Exception:
            log.cleaning.is_uncleanable = True
            logger.exception("Cleaning of %s failed, marking it as uncleanable", log.topic_partition)

    def _write_down(self) -> None:
        """How far each log is clean; also that one has gone or was truncated: what takes its name is all dirty."""
        offsets = {log: log.cleaning.first_dirty_offset for log in self.logs.all()}
        known = {log.topic_partition: offset for log, offset in offsets.items() if offset is not None}
        if known != self._written:
            self.logs.checkpoint_cleaner_offsets()
            self._written = known

    def _pace(self, log: UnifiedLog, stop: Event) -> Callable[[int], None]:
        state, generation, throttler = log.cleaning, log.cleaning.generation, self._throttler

        def pace(count: int) -> None:
            rest = throttler.rest_after(count)
            rate = throttler.rate
            while rest > 0 and throttler.rate == rate and not stop.wait(min(rest, LONGEST_REST)):
                rest -= LONGEST_REST
            if stop.is_set() or state.generation != generation:
                raise CleaningAborted

        return pace


async def _run(steps: "Steps") -> None:
    job = next(steps, None)
    while job is not None:
        result = await trio.to_thread.run_sync(job)
        try:
            job = steps.send(result)
        except StopIteration:
            return


async def _set_when_cancelled(stop: Event) -> None:
    """A thread cannot be cancelled, but asked."""
    try:
        await trio.sleep_forever()
    finally:
        stop.set()
