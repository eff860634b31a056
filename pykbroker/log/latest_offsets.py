"""The offset map turned over: whether an offset is the latest of its key. Then a dirty batch needs no look at its keys.

What the map was built from is in it with every record's key, so there a record stays when its offset is in the map.
"""

from pykbroker.log.offset_map import OffsetMap

WINDOW = 4 * 1024 * 1024


class LatestOffsets:
    """A byte for each offset, in a window of the log that moves on with its reader."""

    def __init__(self, offset_map: OffsetMap, first_offset: int, window: int = WINDOW) -> None:
        """When it is asked the map is whole, and of all that lies between `first_offset` and its latest one."""
        self._size = window
        self._map = offset_map
        self._first = first_offset
        self._window_start = 0
        self._window = b""

    def among(self, first: int, last: int) -> bytes | None:
        """1 for each offset from `first` to `last` that is the latest of its key, else 0; None where unknown."""
        if first < self._first or last > self._map.latest_offset or last - first >= self._size:
            return None
        start = first - self._window_start
        if start < 0 or last - self._window_start >= len(self._window):
            self._move_to(first)
            start = 0
        return self._window[start : start + last - first + 1]

    def _move_to(self, start: int) -> None:
        end = min(start + self._size, self._map.latest_offset + 1)
        window = bytearray(end - start)
        for offset in self._map.offsets():
            if start <= offset < end:
                window[offset - start] = 1
        self._window_start, self._window = start, bytes(window)
