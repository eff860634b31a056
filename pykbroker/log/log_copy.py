"""A log's files copied into another directory while the log goes on. (What ReplicaAlterLogDirsThread fetches, KIP-113)

Sealed segments do not change: they are copied as files, in a thread, until only a small tail is missing. The tail and
what belongs to the whole log are copied on the loop, in the step in which the copy takes the log's place.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from pykbroker.log import leader_epochs, producer_state
from pykbroker.log.files import Files, write_all
from pykbroker.log.partition_metadata import FILE_NAME as PARTITION_METADATA
from pykbroker.log.segment import LogSegment, segment_path
from pykbroker.log.unified_log import UnifiedLog

# The log last: where it is, its indexes are complete.
SUFFIXES = (".txnindex", ".timeindex", ".index", ".log")
CHUNK = 1024 * 1024
# The loop copies at most this much itself: it takes milliseconds.
MAX_TAIL = 1024 * 1024


class CopyError(Exception):
    """Copying failed: `path` is the file, on the side that failed."""

    def __init__(self, path: str, error: Exception) -> None:
        super().__init__(f"{path}: {error}")
        self.path = path
        self.error = error


class Round(NamedTuple):
    """Each of the `steps` copies a piece, is for a thread, gives the number of bytes and may raise CopyError; after the
    last one copied() is told of it."""

    segments: Sequence[LogSegment]
    steps: Iterator[int]

    def job(self) -> None:
        """All steps at once. Raises CopyError."""
        for _ in self.steps:
            pass


class LogCopy:
    """`directory` exists and is empty. `end_offset`: how far the copy goes."""

    def __init__(self, log: UnifiedLog, directory: str) -> None:
        self.log = log
        self.directory = directory
        self.end_offset = log.log_start_offset
        self._copied: dict[int, LogSegment] = {}
        self._truncations = log.truncations

    @property
    def size(self) -> int:
        """Bytes of the segments that are there already."""
        return sum(segment.size for segment in self._copied.values())

    def next_round(self) -> Round | None:
        """None: a small tail is all that is missing; then finish() at once. Raises CopyError."""
        log = self.log
        if log.active.size > MAX_TAIL:
            with _at(log.directory):
                log.roll(log.clock.wall_ms())
        sealed = log.segments[:-1]
        was_cut = log.truncations != self._truncations  # and what was sealed may have grown again since
        self._truncations = log.truncations
        self._drop([base for base, segment in self._copied.items() if was_cut or segment not in sealed])
        missing = [segment for segment in sealed if segment.base_offset not in self._copied]
        if not missing:
            return None
        sources = [(segment.directory, segment.base_offset) for segment in missing]
        return Round(missing, copy_segments(log.files, sources, self.directory))

    def copied(self, done: Round) -> None:
        """The job of this round has ended."""
        self._copied.update((segment.base_offset, segment) for segment in done.segments)
        sealed = self.log.segments[:-1]
        kept = [segment for segment in done.segments if segment in sealed]
        if kept:
            self.end_offset = self.log.segments[self.log.segments.index(kept[-1]) + 1].base_offset

    def _drop(self, bases: Sequence[int]) -> None:
        """The log deleted these segments meanwhile."""
        for base in bases:
            del self._copied[base]
            for suffix in SUFFIXES:
                with _at(self.directory):
                    self.log.files.unlink(segment_path(self.directory, base, suffix))

    def finish(self) -> int:
        """Copies the rest, right after next_round() gave None; its end offset. Raises CopyError.

        All of it is on disk then, for the original goes: after a restart nobody knows what of its tail was synced.
        """
        log = self.log
        active = log.active
        with _at(log.directory):
            log.producer_state.take_snapshot()
            names = [name for name in sorted(os.listdir(log.directory)) if _is_of_the_whole_log(name)]
        for name in (f"{active.base_offset:020d}.log", *names):
            is_needed = not name.endswith(producer_state.SUFFIX)  # torn ones are rebuilt from the segments
            for _ in copy_file(log.files, f"{log.directory}/{name}", f"{self.directory}/{name}", sync=is_needed):
                pass
        self.end_offset = log.log_end_offset
        return self.end_offset


def _is_of_the_whole_log(name: str) -> bool:
    return name.endswith(producer_state.SUFFIX) or name in (leader_epochs.FILE_NAME, PARTITION_METADATA)


def copy_segments(files: Files, sources: Sequence[tuple[str, int]], target: str) -> Iterator[int]:
    """Segments by directory and base offset, piece by piece; all on disk at the end. Raises CopyError."""
    for directory, base_offset in sources:
        yield from copy_segment(files, directory, target, base_offset)
    with _at(target):
        files.fsync_directory(target)


def copy_segment(files: Files, source: str, target: str, base_offset: int) -> Iterator[int]:
    """The files of a segment. One that the log deletes meanwhile is left out."""
    for suffix in SUFFIXES:
        try:
            yield from copy_file(
                files, segment_path(source, base_offset, suffix), segment_path(target, base_offset, suffix)
            )
        except CopyError as error:
            if not isinstance(error.error, FileNotFoundError):
                raise


def copy_file(files: Files, source: str, target: str, *, sync: bool = True) -> Iterator[int]:
    """The bytes of each piece. The file gets its name when it is whole, so that Kafka may finish what we began.

    Raises CopyError.
    """
    copying = f"{target}.tmp"
    with _at(source):
        reader = files.open(source, os.O_RDONLY)
    try:
        with _at(target):
            writer = files.open(copying, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            yield from _copy(files, (source, reader), (target, writer))
            with _at(target):
                if sync:
                    files.fsync(writer)
        finally:
            files.close(writer)
        with _at(target):
            files.rename(copying, target)
    finally:
        files.close(reader)


def _copy(files: Files, source: tuple[str, int], target: tuple[str, int]) -> Iterator[int]:
    position = 0
    while True:
        with _at(source[0]):
            data = files.pread(source[1], CHUNK, position)
        if not data:
            return
        with _at(target[0]):
            write_all(files, target[1], data, position)
        position += len(data)
        yield len(data)


@contextmanager
def _at(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CopyError(path, error) from error
