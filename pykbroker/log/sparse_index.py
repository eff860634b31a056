"""What .index and .timeindex have in common: fixed-width, ascending entries in a file, searched by bisection."""

import os
from bisect import bisect_right
from collections.abc import Iterator
from struct import Struct

from pykbroker.log.files import Files, write_all


class CorruptIndex(Exception):
    """The index contradicts itself or its segment: it is rebuilt from the segment."""


class SparseIndex:
    """Entries of `layout` (two integers each). They are read into memory when first needed.

    Kafka preallocates the file of the active segment with zeros; those are cut off at loading. Ours grows as it is
    written, which Kafka reads as well.
    """

    layout: Struct
    __slots__ = ("_entries", "_fd", "_files", "base_offset", "max_entries", "path")

    def __init__(self, files: Files, path: str, base_offset: int, max_bytes: int) -> None:
        self._files = files
        self.path = path
        self.base_offset = base_offset
        self.max_entries = max_bytes // self.layout.size
        self._entries: bytearray | None = None
        self._fd = -1

    @property
    def entries(self) -> bytearray:
        if self._entries is None:
            self._entries = self._load()
        return self._entries

    def _load(self) -> bytearray:
        try:
            data = bytearray(self._files.read_bytes(self.path))
        except FileNotFoundError:
            return bytearray()
        del data[len(data) - len(data) % self.layout.size :]
        return self.without_preallocated_tail(data)

    def without_preallocated_tail(self, data: bytearray) -> bytearray:
        """Cuts zero entries that Kafka preallocated: only an entry of all zeros in front may be real."""
        size = self.layout.size
        blank = bytes(size)
        end = len(data)
        while end > size and data[end - size : end] == blank:
            end -= size
        if end == size and data[:size] == blank:
            end = 0
        del data[end:]
        return data

    def __len__(self) -> int:
        return len(self.entries) // self.layout.size

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """The entries as they stand in the file."""
        return self.layout.iter_unpack(self.entries)

    @property
    def is_full(self) -> bool:
        return len(self.entries) // self.layout.size >= self.max_entries

    def entry(self, index: int) -> tuple[int, int]:
        return self.layout.unpack_from(self.entries, index * self.layout.size)

    def last(self) -> tuple[int, int] | None:
        count = len(self)
        return self.entry(count - 1) if count else None

    def floor(self, key: int, field: int) -> tuple[int, int] | None:
        """The last entry whose `field` is not above `key`."""
        found = bisect_right(range(len(self)), key, key=lambda index: self.entry(index)[field])
        return self.entry(found - 1) if found else None

    def _append(self, first: int, second: int) -> None:
        entries = self.entries
        packed = self.layout.pack(first, second)
        if self._fd < 0:
            self._fd = self._files.open(self.path)
        write_all(self._files, self._fd, packed, len(entries))
        entries += packed

    def truncate_entries(self, count: int) -> None:
        """Keeps the first `count` entries."""
        del self.entries[count * self.layout.size :]
        self.trim()

    def trim(self) -> None:
        """Makes the file exactly as long as its entries, creating it where it is missing."""
        if self._fd < 0:
            self._fd = self._files.open(self.path)
        self._files.truncate(self._fd, len(self.entries))

    def flush(self) -> None:
        if self._fd >= 0:
            self._files.fsync(self._fd)

    def release(self) -> None:
        """Closes the file and forgets the entries: they are loaded again when asked for."""
        if self._fd >= 0:
            self._files.close(self._fd)
            self._fd = -1
        self._entries = None

    def rename(self, path: str) -> None:
        if os.path.exists(self.path):
            self._files.rename(self.path, path)
        self.path = path
