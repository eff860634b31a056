"""The .timeindex file: max timestamp so far (int64) → relative offset of its batch (int32). (TimeIndex)"""

from collections.abc import Iterator
from struct import Struct

from pykbroker.log.sparse_index import CorruptIndex, SparseIndex


class TimeIndex(SparseIndex):
    layout = Struct(">qi")
    spare = 1
    __slots__ = ()

    def lookup(self, timestamp: int) -> tuple[int, int]:
        """(timestamp, offset) of the last entry at or before `timestamp`; (-1, base offset) when there is none."""
        found = self.floor(timestamp, 0)
        return (found[0], self.base_offset + found[1]) if found else (-1, self.base_offset)

    def entries_down_from(self, timestamp: int) -> Iterator[tuple[int, int]]:
        """(timestamp, offset) of the last entry at or before `timestamp`, then of those before."""
        for found, relative in self.down_from(timestamp, 0):
            yield found, self.base_offset + relative

    def last_entry(self) -> tuple[int, int]:
        """(timestamp, offset) of the last entry; (-1, base offset) of an empty index."""
        last = self.last()
        return (last[0], self.base_offset + last[1]) if last else (-1, self.base_offset)

    def maybe_append(self, timestamp: int, offset: int, *, even_if_full: bool = False) -> None:
        """Appends unless the last entry has this timestamp or a later one already."""
        if self.is_full and not even_if_full:
            return
        if timestamp > self.last_entry()[0]:
            self._append(timestamp, offset - self.base_offset)

    def truncate_to(self, offset: int) -> None:
        """Keeps entries below `offset`."""
        count = len(self)
        while count and self.entry(count - 1)[1] >= offset - self.base_offset:
            count -= 1
        self.truncate_entries(count)

    def sanity_check(self) -> None:
        """Raises CorruptIndex unless the file is whole and its last entry can be one."""
        last = self.checked_last()
        if last is not None and (last[0] < 0 or last[1] < 0):
            raise CorruptIndex(f"{self.path}: the last entry {last} is none that can be")
