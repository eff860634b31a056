"""The .index file: relative offset (int32) → position in the segment (int32). (OffsetIndex)"""

from collections.abc import Iterator
from struct import Struct

from pykbroker.log.sparse_index import CorruptIndex, SparseIndex


class OffsetIndex(SparseIndex):
    layout = Struct(">ii")
    __slots__ = ()

    def lookup(self, offset: int) -> int:
        """The position of the last indexed batch that ends at or before `offset`; 0 when there is none."""
        found = self.floor(offset - self.base_offset, 0)
        return found[1] if found else 0

    def entries_down_from(self, offset: int) -> Iterator[tuple[int, int]]:
        """(last offset, position) of the last indexed batch that ends at or before `offset`, then of those before."""
        for relative, position in self.down_from(offset - self.base_offset, 0):
            yield self.base_offset + relative, position

    def append(self, offset: int, position: int) -> None:
        """`offset` is the last offset of the batch at `position`."""
        self._append(offset - self.base_offset, position)

    def truncate_to(self, offset: int) -> None:
        """Keeps entries below `offset`."""
        found = self.floor(offset - self.base_offset - 1, 0)
        self.truncate_entries(0 if found is None else self._count_up_to(found[0]))

    def _count_up_to(self, relative_offset: int) -> int:
        count = len(self)
        while count and self.entry(count - 1)[0] > relative_offset:
            count -= 1
        return count

    def sanity_check(self, segment_size: int) -> None:
        """Raises CorruptIndex unless the file is whole and its last entry points into the segment."""
        last = self.checked_last()
        if last is not None and not (last[0] >= 0 and 0 <= last[1] < segment_size):
            raise CorruptIndex(f"{self.path}: the last entry {last} is not of a segment of {segment_size} bytes")
