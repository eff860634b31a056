"""How fast replicas may be copied: a rate over the last windows of time. (ReplicationQuotaManager, SimpleRate)"""

from collections import deque


class ReplicationQuota:
    """`rate` in bytes a second, which may change at any time. Times in seconds of any one clock."""

    def __init__(self, rate: float, *, windows: int, window_seconds: float) -> None:
        """`windows`: how many of `window_seconds` are remembered, the current one included."""
        self.rate = rate
        self._window_seconds = window_seconds
        # (begin, bytes) of each, the oldest first.
        self._windows: deque[list[float]] = deque(maxlen=windows)

    def record(self, count: int, now: float) -> None:
        """So many bytes were copied."""
        if not self._windows or now - self._windows[-1][0] >= self._window_seconds:
            self._windows.append([now, 0])
        self._windows[-1][1] += count

    def rest(self, now: float) -> float:
        """Seconds to wait before more is copied: at most one window, for the rate may change; then ask again."""
        self._forget(now)
        total = sum(count for _, count in self._windows)
        if not total:
            return 0.0
        elapsed = max(now - self._windows[0][0], self._window_seconds)
        if total <= self.rate * elapsed:
            return 0.0
        missing = total / self.rate - elapsed if self.rate > 0 else self._window_seconds
        # Not for so short a time that the clock may not tell it.
        return max(min(missing, self._window_seconds), 0.001)

    def _forget(self, now: float) -> None:
        oldest = now - self._window_seconds * (self._windows.maxlen or 1)
        while self._windows and self._windows[0][0] <= oldest:
            self._windows.popleft()
