"""Keeps work at a rate: counts what was done and says how long to rest. (Throttler)"""

from threading import Lock

from pykbroker.clock import Clock

CHECK_INTERVAL = 0.3


class Throttler:
    """Shared by threads. `rate` in units (bytes) a second."""

    def __init__(self, rate: float, clock: Clock) -> None:
        self.rate = rate
        self._clock = clock
        self._lock = Lock()
        self._begun = clock.monotonic()
        self._seen = 0.0

    def rest_after(self, units: float) -> float:
        """Seconds to sleep after this much more work, 0 when there is no hurry to curb."""
        with self._lock:
            self._seen += units
            now = self._clock.monotonic()
            elapsed = now - self._begun
            if elapsed <= CHECK_INTERVAL or not self._seen:
                return 0.0
            rest = max(self._seen / max(self.rate, 1.0) - elapsed, 0.0)
            # The next interval begins when this rest is over.
            self._begun = now + rest
            self._seen = 0.0
            return rest
