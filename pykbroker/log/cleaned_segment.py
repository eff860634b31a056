"""A segment that the cleaner writes: its files end in .cleaned until they are swapped in. (createNewCleanedSegment)

Runs in the cleaner's thread, alone with its files.
"""

import os

from pykbroker.log.files import Files, write_all
from pykbroker.log.leftovers import CLEANED
from pykbroker.log.log_config import LogConfig
from pykbroker.log.offset_index import OffsetIndex
from pykbroker.log.segment import segment_path
from pykbroker.log.time_index import TimeIndex
from pykbroker.log.transaction_index import AbortedTransaction, TransactionIndex
from pykbroker.record.batch import Buffer

WRITE_BYTES = 256 * 1024
SUFFIXES = (".log", ".index", ".timeindex", ".txnindex")


class CleanedSegment:
    """append() in order, then finish(); or discard(). `size` in bytes."""

    def __init__(self, files: Files, directory: str, base_offset: int, config: LogConfig) -> None:
        """Removes what an earlier, aborted cleaning left under the names. Raises OSError."""
        self._files = files
        self.directory = directory
        self.base_offset = base_offset
        self.size = 0
        self._interval = config.index_interval_bytes
        self._since_index_entry = 0
        self._largest_timestamp = -1
        self._offset_of_largest = base_offset
        self._pending = bytearray()
        for suffix in SUFFIXES:
            files.unlink(self.path(suffix))
        self._offset_index = OffsetIndex(files, self.path(".index"), base_offset, config.segment_index_bytes)
        self._time_index = TimeIndex(files, self.path(".timeindex"), base_offset, config.segment_index_bytes)
        self._transaction_index = TransactionIndex(files, self.path(".txnindex"), base_offset)
        self._fd = files.open(self.path(".log"), os.O_RDWR | os.O_CREAT | os.O_TRUNC)

    def path(self, suffix: str) -> str:
        return segment_path(self.directory, self.base_offset, suffix + CLEANED)

    def append(self, data: Buffer, last_offset: int, max_timestamp: int) -> None:
        """Raises OSError."""
        if max_timestamp > self._largest_timestamp:
            self._largest_timestamp, self._offset_of_largest = max_timestamp, last_offset
        if self._since_index_entry > self._interval and not self._offset_index.is_full:
            self._offset_index.append(last_offset, self.size)
            self._time_index.maybe_append(self._largest_timestamp, self._offset_of_largest)
            self._since_index_entry = 0
        self._since_index_entry += len(data)
        self._pending += data
        self.size += len(data)
        if len(self._pending) >= WRITE_BYTES:
            self._write()

    def add_aborted(self, aborted: AbortedTransaction) -> None:
        """A transaction whose data is, at least in part, still there. Raises OSError."""
        self._transaction_index.append(aborted)

    def _write(self) -> None:
        write_all(self._files, self._fd, self._pending, self.size - len(self._pending))
        self._pending = bytearray()

    def finish(self, modified_ns: int) -> None:
        """Everything on disk, with the time of modification of what it replaces. Raises OSError."""
        self._write()
        self._time_index.maybe_append(self._largest_timestamp, self._offset_of_largest, even_if_full=True)
        self._offset_index.trim()
        self._time_index.trim()
        self._files.fsync(self._fd)
        self._close()
        self._offset_index.flush()
        self._time_index.flush()
        self._transaction_index.flush()
        self._files.set_modified(self.path(".log"), modified_ns)

    def discard(self) -> None:
        """Raises OSError."""
        self._close()
        for suffix in SUFFIXES:
            self._files.unlink(self.path(suffix))

    def _close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            self._files.close(fd)
