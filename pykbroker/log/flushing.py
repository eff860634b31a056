"""One flush of a log: which files are synced, in which order. (LocalLog.flush, UnifiedLog.flush)"""

from collections.abc import Callable, Sequence

from pykbroker.log.files import Files, sync_path
from pykbroker.log.segment import LogSegment


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


def sync_directory(files: Files, directory: str) -> None:
    """fsync of a log's directory, which may have been deleted meanwhile. Raises OSError."""
    try:
        files.fsync_directory(directory)
    except FileNotFoundError:
        return
