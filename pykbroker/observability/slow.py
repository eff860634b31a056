"""What held the event loop for too long, at most one line in a while."""

import logging
from collections.abc import Callable

LOG = logging.getLogger("pykbroker.slow")
QUIET = 10.0  # seconds between two reports


class SlowReports:
    """Called with who and how many seconds; counts all, reports the worst since the last report."""

    __slots__ = ("_now", "_reported_at", "_since", "_worst", "count")

    def __init__(self, now: Callable[[], float]) -> None:
        """`now`: seconds of a monotonic clock."""
        self._now = now
        self._reported_at = float("-inf")
        self._since = 0
        self._worst: tuple[float, str] = (0.0, "")
        self.count = 0

    def __call__(self, who: str, seconds: float) -> None:
        self.count += 1
        self._since += 1
        self._worst = max(self._worst, (seconds, who))
        now = self._now()
        if now - self._reported_at < QUIET:
            return
        worst, slowest = self._worst
        others = f"; {self._since} stalls since the last report" if self._since > 1 else ""
        LOG.warning("The event loop was held for %d ms by %s%s", round(worst * 1000), slowest, others)
        self._reported_at = now
        self._since = 0
        self._worst = (0.0, "")
