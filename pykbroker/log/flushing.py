"""One flush of a log: which files are synced, in which order. (LocalLog.flush, UnifiedLog.flush)"""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pykbroker.log.files import Files, sync_path
from pykbroker.log.partition_metadata import FILE_NAME as PARTITION_METADATA
from pykbroker.log.segment import LogSegment

if TYPE_CHECKING:
    from pykbroker.log.unified_log import UnifiedLog


class FlushJob:
    """Work for a thread: what it syncs was chosen before, so that it reads no broker state that changes."""

    def __init__(
        self,
        files: Files,
        segments: Sequence[LogSegment],
        small_files: Sequence[str],
        directory: str | None,
        parent: str | None,
        done: Callable[[], None],
    ) -> None:
        """The log's directory and the one that it lies in, where their names must be durable too. `done` is told after
        the last fsync, not before: another flush meanwhile must not rely on this one."""
        self._files = files
        self._segments = segments
        self._small_files = small_files
        self._directory = directory
        self._parent = parent
        self._done = done

    def __call__(self) -> None:
        """Raises OSError. What was deleted meanwhile needs no sync."""
        for segment in self._segments:
            segment.flush()
        for path in self._small_files:
            sync_path(self._files, path)
        if self._directory is not None:
            sync_directory(self._files, self._directory)
        if self._parent is not None:
            self._files.fsync_directory(self._parent)
        self._done()


def flush_job(log: "UnifiedLog", offset: int) -> FlushJob:
    """fsync of everything below `offset`; UnifiedLog.flushed() tells the log its end."""
    segments = log.segments_to_flush(offset)
    has_new = any(segment.base_offset >= log.recovery_point for segment in segments)
    if segments and segments[0].base_offset == log.recovery_point:
        # The one before may have been flushed before it was sealed: its indexes have got their last entries since.
        segments = [*log.segments[: log.segments.index(segments[0])][-1:], *segments]
    small_files = [log.producer_state.snapshot_path(offset)]
    if not log.leader_epochs.is_synced:
        small_files.append(log.leader_epochs.path)
    # The first flush makes the log's directory itself durable, and whose it is.
    is_first = bool(segments) and not log.is_placed
    directory = log.directory if has_new or is_first else None
    if is_first:
        small_files.append(f"{log.directory}/{PARTITION_METADATA}")
    parent = os.path.dirname(log.directory) if is_first else None
    epochs_version = log.leader_epochs.version

    def done() -> None:
        log.leader_epochs.synced_version = epochs_version
        log.is_placed = log.is_placed or is_first

    return FlushJob(log.files, segments, small_files, directory, parent, done)


def sync_directory(files: Files, directory: str) -> None:
    """fsync of a log's directory, which may have been deleted meanwhile. Raises OSError."""
    try:
        files.fsync_directory(directory)
    except FileNotFoundError:
        return
