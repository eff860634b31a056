"""Receive buffers, used again: fresh memory costs page faults (about 0.1 CPU-s per GB), a used buffer none."""

SMALL = 64 * 1024  # every read starts in a buffer of this size; only a running connection holds one
LARGEST_KEPT = 4 * 1024 * 1024
_KEEP_BYTES = 8 * 1024 * 1024  # of one size class


class BufferPool:
    """Free buffers, as writable views, by size class: SMALL times a power of two, up to LARGEST_KEPT."""

    __slots__ = ("_free", "_least")

    def __init__(self) -> None:
        self._free: dict[int, list[memoryview]] = {}
        self._least: dict[int, int] = {}

    def take(self, capacity: int) -> memoryview:
        """A buffer of exactly `capacity` bytes (as capacity_for gives it), with old content."""
        free = self._free.get(capacity)
        if not free:
            return memoryview(bytearray(capacity))
        buffer = free.pop()
        if len(free) < self._least[capacity]:
            self._least[capacity] = len(free)
        return buffer

    def give(self, buffer: memoryview) -> None:
        """The caller keeps no view of it."""
        capacity = len(buffer)
        free = self._free.get(capacity)
        if free is None:
            if capacity != capacity_for(capacity) or capacity > LARGEST_KEPT:
                return
            free = self._free[capacity] = []
            self._least[capacity] = 0
        if len(free) * capacity < _KEEP_BYTES:
            free.append(buffer)

    def trim(self) -> None:
        """Drops the buffers that nobody needed since the last trim: called by the sweep."""
        for capacity, free in self._free.items():
            del free[: self._least[capacity]]
            self._least[capacity] = len(free)

    @property
    def free_bytes(self) -> int:
        return sum(capacity * len(free) for capacity, free in self._free.items())


def capacity_for(size: int) -> int:
    """The size class that holds `size` bytes; exactly `size` above LARGEST_KEPT."""
    if size > LARGEST_KEPT:
        return size
    capacity = SMALL
    while capacity < size:
        capacity *= 2
    return capacity
