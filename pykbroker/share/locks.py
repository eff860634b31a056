"""Acquisition locks: a record that its member does not acknowledge in time is given to another.
(AcquisitionLockTimerTask)

Times are seconds of clock.monotonic.
"""

from heapq import heapify, heappop, heappush
from itertools import count
from math import inf

_SLACK = 64


class AcquisitionLock:
    """Of the offsets from `first_offset` to `last_offset`."""

    __slots__ = ("_locks", "deadline", "first_offset", "has_expired", "is_cancelled", "last_offset")

    def __init__(self, locks: "AcquisitionLocks", first_offset: int, last_offset: int, deadline: float) -> None:
        self._locks = locks
        self.first_offset = first_offset
        self.last_offset = last_offset
        self.deadline = deadline
        self.has_expired = False
        self.is_cancelled = False

    def cancel(self) -> None:
        if not (self.is_cancelled or self.has_expired):
            self.is_cancelled = True
            self._locks.on_cancel()


class AcquisitionLocks:
    """Those of one share partition: a heap with lazy deletion."""

    __slots__ = ("_cancelled", "_heap", "_sequence")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, AcquisitionLock]] = []
        self._sequence = count()
        self._cancelled = 0

    def __len__(self) -> int:
        return sum(not entry[2].is_cancelled for entry in self._heap)

    def add(self, first_offset: int, last_offset: int, deadline: float) -> AcquisitionLock:
        lock = AcquisitionLock(self, first_offset, last_offset, deadline)
        heappush(self._heap, (deadline, next(self._sequence), lock))
        return lock

    def add_part(self, whole: AcquisitionLock, offset: int) -> AcquisitionLock:
        """For one offset of `whole`. One that has run out does not do so again, as in Kafka, where a second timeout
        follows at once and finds nothing to release."""
        if not whole.has_expired:
            return self.add(offset, offset, whole.deadline)
        part = AcquisitionLock(self, offset, offset, whole.deadline)
        part.has_expired = True
        return part

    def next_deadline(self) -> float:
        """Infinity when nothing is locked."""
        heap = self._heap
        while heap and heap[0][2].is_cancelled:
            heappop(heap)
            self._cancelled -= 1
        return heap[0][0] if heap else inf

    def pop_expired(self, now: float) -> AcquisitionLock | None:
        """One that has run out by `now`."""
        if self.next_deadline() > now:
            return None
        lock = heappop(self._heap)[2]
        lock.has_expired = True
        return lock

    def clear(self) -> None:
        self._heap.clear()
        self._cancelled = 0

    def on_cancel(self) -> None:
        self._cancelled += 1
        if self._cancelled > len(self._heap) // 2 + _SLACK:
            self._heap = [entry for entry in self._heap if not entry[2].is_cancelled]
            self._cancelled = 0
            heapify(self._heap)
