"""What .index and .timeindex have in common: fixed-width, ascending entries in a file, searched by bisection."""

import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from struct import Struct

from pykbroker.log.files import Files, sync_path, write_all

# New entries are written when they fill this much, and when the segment is flushed, sealed or closed.
WRITE_BYTES = 4096


class CorruptIndex(Exception):
    """The index contradicts itself or its segment: it is rebuilt from the segment."""


class SparseIndex:
    """Entries of `layout` (two integers each). They are read into memory when first needed.

    As Kafka's, the file of the active segment is preallocated with zeros (a hole) and trimmed when the segment is
    sealed or closed; zeros found at loading are cut off. New entries are written in groups: whatever an unclean stop
    loses of an index, recovery rebuilds from the segment. No file stays open.
    """

    layout: Struct
    # Slots that are kept for an entry at the roll.
    spare = 0
    __slots__ = ("_entries", "_files", "_full_size", "_written", "base_offset", "max_entries", "path")

    def __init__(self, files: Files, path: str, base_offset: int, max_bytes: int) -> None:
        self._files = files
        self.path = path
        self.base_offset = base_offset
        self.max_entries = max_bytes // self.layout.size
        self._full_size = (self.max_entries - self.spare) * self.layout.size
        self._entries: bytearray | None = None
        # Bytes of the entries that are in the file already.
        self._written = 0

    @property
    def entries(self) -> bytearray:
        if self._entries is None:
            self._entries = self._load()
            self._written = len(self._entries)
        return self._entries

    def _load(self) -> bytearray:
        try:
            data = bytearray(self._files.read_bytes(self.path))
        except FileNotFoundError:
            return bytearray()
        del data[len(data) - len(data) % self.layout.size :]
        is_preallocated = len(data) >= self.max_entries * self.layout.size
        return self.without_preallocated_tail(data) if is_preallocated else data

    def without_preallocated_tail(self, data: bytearray) -> bytearray:
        """Cuts the zeros that were preallocated; an entry whose own last bytes are zero stays whole.

        A trimmed file is taken as it is: an entry of zeros says timestamp 0 at the base offset.
        """
        size = self.layout.size
        used = len(data.rstrip(b"\0"))
        del data[(used + size - 1) // size * size :]
        return data

    def __len__(self) -> int:
        return len(self.entries) // self.layout.size

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """The entries as they stand in the file."""
        return self.layout.iter_unpack(self.entries)

    @property
    def is_full(self) -> bool:
        entries = self._entries
        return len(self.entries if entries is None else entries) >= self._full_size

    def entry(self, index: int) -> tuple[int, int]:
        return self.layout.unpack_from(self.entries, index * self.layout.size)

    def last(self) -> tuple[int, int] | None:
        """The last entry; of an index that was not read yet, without reading the rest."""
        if self._entries is None:
            return self._last_of_file(self._file_size())
        count = len(self)
        return self.entry(count - 1) if count else None

    def _file_size(self) -> int:
        try:
            return self._files.size_of(self.path)
        except FileNotFoundError:
            return 0

    def _last_of_file(self, size: int) -> tuple[int, int] | None:
        width = self.layout.size
        if size < width:
            self._entries = bytearray()  # known without a look into the file
            return None
        if size >= self.max_entries * width:  # it may be preallocated
            count = len(self)
            return self.entry(count - 1) if count else None
        with self._opened() as fd:
            return self.layout.unpack(self._files.pread(fd, width, (size // width - 1) * width))

    def checked_last(self) -> tuple[int, int] | None:
        """The last entry. Raises CorruptIndex when the file is missing, ends within an entry, or was not trimmed: then
        it may lack the entries that a sealed segment ends with."""
        try:
            size = self._files.size_of(self.path)
        except FileNotFoundError:
            raise CorruptIndex(f"{self.path} is missing") from None
        if size % self.layout.size:
            raise CorruptIndex(f"{self.path}: {size} bytes are no multiple of {self.layout.size}")
        last = self._last_of_file(size)
        is_full_size = self._entries is not None and len(self._entries) < size
        if is_full_size or (last == (0, 0) and size > self.layout.size):
            raise CorruptIndex(f"{self.path} ends in zeros: it was not trimmed")
        return last

    def floor(self, key: int, field: int) -> tuple[int, int] | None:
        """The last entry whose `field` is not above `key`."""
        found = bisect_right(range(len(self)), key, key=lambda index: self.entry(index)[field])
        return self.entry(found - 1) if found else None

    def down_from(self, key: int, field: int) -> Iterator[tuple[int, int]]:
        """The last entry whose `field` is not above `key`, then those before it: a damaged file is in no order."""
        found = bisect_right(range(len(self)), key, key=lambda index: self.entry(index)[field])
        for index in range(found - 1, -1, -1):
            entry = self.entry(index)
            if entry[field] <= key:
                yield entry

    def _append(self, first: int, second: int) -> None:
        entries = self.entries
        entries += self.layout.pack(first, second)
        # The first is written at once: kafka-dump-log takes a preallocated file that begins with zeros for damaged.
        if not self._written or len(entries) - self._written >= WRITE_BYTES:
            self._write_pending()

    def _write_pending(self) -> None:
        if self._entries is not None and self._written < len(self._entries):
            with self._opened() as fd:
                write_all(self._files, fd, memoryview(self._entries)[self._written :], self._written)
            self._written = len(self._entries)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        fd = self._files.open(self.path)
        try:
            yield fd
        finally:
            self._files.close(fd)

    def truncate_entries(self, count: int) -> None:
        """Keeps the first `count` entries, in the file too. Raises OSError."""
        if not count:
            self._entries = bytearray()  # what is in the file need not be read
        del self.entries[count * self.layout.size :]
        self._written = min(self._written, len(self.entries))
        self.trim()

    def reset(self) -> None:
        """Begins empty, in a file as long as it may become: a hole, no space (AbstractIndex). Raises OSError."""
        self._entries = bytearray()
        self._written = 0
        fd = self._files.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            self._files.truncate(fd, self.max_entries * self.layout.size)
        finally:
            self._files.close(fd)

    def trim(self) -> None:
        """Makes the file exactly as long as its entries, creating it where it is missing. Raises OSError."""
        self._write_pending()
        with self._opened() as fd:
            self._files.truncate(fd, len(self.entries))

    def flush(self) -> None:
        """fsync of what was written. Safe in a thread, also while the segment is deleted. Raises OSError."""
        sync_path(self._files, self.path)

    def release(self) -> None:
        """Forgets the entries, written down where they were not: they are loaded again when asked for."""
        self._write_pending()
        if self._entries:  # that there are none is known for free, reading a preallocated file is not
            self._entries = None
            self._written = 0
