"""Where the latest batches of the active segment lie, so that readers at its end cost no look into the file."""

from array import array
from bisect import bisect_left

CAPACITY = 512


class TailPositions:
    """Last offset and position of each of the last appends, one batch each; 16 bytes apiece."""

    __slots__ = ("_last_offsets", "_positions")

    def __init__(self) -> None:
        self._last_offsets = array("q")
        self._positions = array("q")

    def add(self, last_offset: int, position: int) -> None:
        self._last_offsets.append(last_offset)
        self._positions.append(position)
        if len(self._positions) > CAPACITY:
            del self._last_offsets[: CAPACITY // 2]
            del self._positions[: CAPACITY // 2]

    def find(self, offset: int, end: int) -> tuple[int, int] | None:
        """(position, size) of the batch that holds `offset`, None when it is none of these. `end` is the last one's."""
        index = bisect_left(self._last_offsets, offset)
        count = len(self._positions)
        # What lies before the first one is unknown, unless that is the first of the file.
        if index == count or (index == 0 and self._positions[0] > 0):
            return None
        position = self._positions[index]
        following = self._positions[index + 1] if index + 1 < count else end
        return position, following - position

    def clear(self) -> None:
        del self._last_offsets[:]
        del self._positions[:]
