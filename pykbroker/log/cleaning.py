"""One cleaning of one log, from the offset map to the last swap, as steps: what is slow is handed out as jobs.

A job is for a thread and works on values that do not change; between the jobs everything happens at once, and only if
the log is still what it was when the cleaning began.
"""

import os
from collections.abc import Callable, Generator, Sequence
from functools import partial
from itertools import pairwise
from logging import getLogger
from typing import Any, Protocol

from pykbroker.log.cleaned_segment import CleanedSegment
from pykbroker.log.cleaned_transactions import CleanedTransactions
from pykbroker.log.cleaner import Cleaner, LastRecord, Round, SourceSegment
from pykbroker.log.cleaner_manager import LogToClean, segments_between
from pykbroker.log.cleaning_state import CleaningAborted
from pykbroker.log.offset_map import map_for
from pykbroker.log.segment import INT32_MAX, LogSegment
from pykbroker.log.segment_groups import Sizes, group_sizes
from pykbroker.log.swap import swap_in
from pykbroker.log.transaction_index import AbortedTransaction

logger = getLogger(__name__)
MEGABYTE = 1024 * 1024
# A map beyond this is more than Kafka uses for one thread.
LARGEST_MAP = 2**31 - 1

# Jobs out, their results in.
Steps = Generator[Callable[[], Any], Any, None]


class CleanerConfig(Protocol):
    """The broker configs of the cleaner. They may change while it runs."""

    @property
    def log_cleaner_threads(self) -> int: ...
    @property
    def log_cleaner_dedupe_buffer_size(self) -> int: ...
    @property
    def log_cleaner_io_buffer_load_factor(self) -> float: ...
    @property
    def log_cleaner_io_buffer_size(self) -> int: ...
    @property
    def log_cleaner_io_max_bytes_per_second(self) -> float: ...
    @property
    def log_cleaner_backoff_ms(self) -> int: ...


class Cleaning:
    """One log's cleaning, from the map to the last swap."""

    def __init__(
        self,
        found: LogToClean,
        config: CleanerConfig,
        pace: Callable[[int], None],
        *,
        largest_segment: int = INT32_MAX,
    ) -> None:
        """Raises ValueError when the map is too small for even one key."""
        self._log = found.log
        self._found = found
        self._generation = found.log.cleaning.generation
        memory = min(config.log_cleaner_dedupe_buffer_size // config.log_cleaner_threads, LARGEST_MAP)
        most_keys = found.first_uncleanable - found.first_dirty
        self._cleaner = Cleaner(
            found.log.files,
            map_for(memory, config.log_cleaner_io_buffer_load_factor, most_keys),
            found.first_dirty,
            io_buffer_size=max(config.log_cleaner_io_buffer_size // config.log_cleaner_threads // 2, 1),
            pace=pace,
            largest_segment=largest_segment,
        )

    def steps(self) -> Steps:
        """Raises CleaningAborted, OSError, KafkaError and CorruptIndex for damage; as do the jobs."""
        log, found = self._log, self._found
        began = log.clock.monotonic()
        round_ = self._round()
        aborted = log.aborted_transactions(log.segments[0].base_offset, found.first_uncleanable)
        # What makes older batches superfluous, of their keys or of their producers, must be as durable as they were.
        end, truncations = log.log_end_offset, log.truncations
        yield log.flush_job(end)
        self._check()
        if log.truncations == truncations:
            log.flushed(end)
        end_offset = yield self._map_job(round_, aborted)
        transactions = CleanedTransactions(aborted)
        for group in self._groups(end_offset):
            self._check()
            cleaned = yield partial(self._cleaner.clean_group, round_, self._sources(group), transactions)
            deleted = self._swap(cleaned, group)
            yield partial(log.files.fsync_directory, log.directory)
            log.doom(deleted)
        self._check()
        log.cleaning.first_dirty_offset = end_offset
        self._tell(end_offset, log.clock.monotonic() - began)

    def _map_job(self, round_: Round, aborted: Sequence[AbortedTransaction]) -> Callable[[], int]:
        """It returns the first offset that the map does not cover."""
        start = round_.first_dirty
        # Without those that ended before: their markers are not read, they would seem to go on.
        relevant = [transaction for transaction in aborted if transaction.last_offset >= start]
        dirty = segments_between(self._log, start, round_.first_uncleanable)
        sources = self._sources(dirty)
        if sources:
            sources[0] = sources[0]._replace(position=dirty[0].offset_index.lookup(start))
            dirty[0].release()
        return partial(self._cleaner.build_offset_map, round_, sources, CleanedTransactions(relevant))

    def _round(self) -> Round:
        log, found = self._log, self._found
        clean = segments_between(log, 0, found.first_dirty)
        retention = log.config.delete_retention_ms
        return Round(
            directory=log.directory,
            config=log.config,
            first_dirty=found.first_dirty,
            first_uncleanable=found.first_uncleanable,
            now_ms=self._log.clock.wall_ms(),
            legacy_horizon_ms=clean[-1].last_modified_ms() - retention if clean else 0,
            producers={
                producer_id: LastRecord(entry.batches[-1].last_offset if entry.batches else -1, entry.epoch)
                for producer_id, entry in log.producer_state.producers.items()
            },
        )

    def _groups(self, end_offset: int) -> list[list[LogSegment]]:
        segments = {segment.base_offset: segment for segment in segments_between(self._log, 0, end_offset)}
        following = [*list(segments)[1:], self._found.first_uncleanable]
        sizes = [
            Sizes(base, next_base - 1, segment.size, *self._index_sizes(segment))
            for (base, segment), next_base in zip(segments.items(), following, strict=True)
        ]
        config = self._log.config
        groups = group_sizes(sizes, config.segment_bytes, config.segment_index_bytes)
        return [[segments[one.base_offset] for one in group] for group in groups]

    def _index_sizes(self, segment: LogSegment) -> tuple[int, int]:
        return self._size_of(segment.offset_index.path), self._size_of(segment.time_index.path)

    def _size_of(self, path: str) -> int:
        return self._log.files.size_of(path) if os.path.exists(path) else 0

    def _sources(self, segments: Sequence[LogSegment]) -> list[SourceSegment]:
        log = self._log
        next_base = {one: following.base_offset for one, following in pairwise(log.segments)}
        return [SourceSegment(log.directory, one.base_offset, one.size, next_base[one]) for one in segments]

    def _swap(self, cleaned: list[CleanedSegment], group: list[LogSegment]) -> list[str]:
        if not self._is_current(group):
            for segment in cleaned:
                segment.discard()
            raise CleaningAborted
        return swap_in(self._log, cleaned, group)

    def _check(self) -> None:
        if not self._is_current(()):
            raise CleaningAborted

    def _is_current(self, group: Sequence[LogSegment]) -> bool:
        log = self._log
        return log.cleaning.generation == self._generation and set(group).issubset(log.segments)

    def _tell(self, end_offset: int, seconds: float) -> None:
        stats = self._cleaner.stats
        logger.info(
            "Cleaned %s (offsets %d to %d) in %.1f s: %.1f MB of %d records are now %.1f MB of %d records",
            self._log.topic_partition,
            self._found.first_dirty,
            end_offset,
            seconds,
            stats.bytes_read / MEGABYTE,
            stats.records_read,
            stats.bytes_written / MEGABYTE,
            stats.records_kept,
        )
        if stats.invalid:
            logger.warning("Found %d records without a key in %s", stats.invalid, self._log.topic_partition)
