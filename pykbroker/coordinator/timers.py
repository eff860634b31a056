"""Deadlines by key, for one shard: O(1) to put off, as heartbeats do all the time (EventBasedCoordinatorTimer)."""

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf

_SLACK = 64


class Timers:
    """A heap with lazy deletion. Deadlines are seconds of clock.monotonic."""

    __slots__ = ("_deadlines", "_heap", "_queued", "_sequence")

    def __init__(self) -> None:
        self._deadlines: dict[Hashable, float] = {}
        # the earliest heap entry of a key; later ones are not needed, it is put back when it comes up too early
        self._queued: dict[Hashable, float] = {}
        self._heap: list[tuple[float, int, Hashable]] = []
        self._sequence = count()

    def schedule(self, key: Hashable, deadline: float) -> None:
        """Replaces an earlier deadline of the same key."""
        self._deadlines[key] = deadline
        queued = self._queued.get(key)
        if queued is None or deadline < queued:
            self._push(key, deadline)
            self._maybe_compact()

    def cancel(self, key: Hashable) -> None:
        """Nothing happens when it is not there."""
        if self._deadlines.pop(key, None) is not None:
            self._maybe_compact()

    def next_deadline(self) -> float:
        """When `pop_due` should be called next: never too late, sometimes too early; infinity without timers."""
        return self._heap[0][0] if self._heap else inf

    def pop_due(self, now: float) -> Hashable | None:
        """One key whose deadline has come, removed; None when there is none."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            queued, _, key = heappop(heap)
            if self._queued.get(key) != queued:
                continue
            del self._queued[key]
            deadline = self._deadlines.get(key)
            if deadline is None:
                continue
            if deadline <= now:
                del self._deadlines[key]
                return key
            self._push(key, deadline)
        return None

    def _push(self, key: Hashable, deadline: float) -> None:
        self._queued[key] = deadline
        heappush(self._heap, (deadline, next(self._sequence), key))

    def _maybe_compact(self) -> None:
        if len(self._heap) <= 2 * len(self._deadlines) + _SLACK:
            return
        self._heap = [(deadline, next(self._sequence), key) for key, deadline in self._deadlines.items()]
        self._queued = dict(self._deadlines)
        heapify(self._heap)

    def deadline(self, key: Hashable) -> float | None:
        return self._deadlines.get(key)

    def __len__(self) -> int:
        return len(self._deadlines)
