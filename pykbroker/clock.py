"""Time, passed in: monotonic seconds for deadlines, wall milliseconds for timestamps."""

import time
from typing import Protocol


class Clock(Protocol):
    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never goes back."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC, what Kafka calls a timestamp."""


class SystemClock:
    monotonic = staticmethod(time.monotonic)  # without a frame of our own: it is asked several times per request

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that a test moves by hand."""

    def __init__(self, monotonic: float = 1000.0, wall_ms: int = 1_700_000_000_000) -> None:
        self._monotonic = monotonic
        self._wall_ms = wall_ms

    def monotonic(self) -> float:
        return self._monotonic

    def wall_ms(self) -> int:
        return self._wall_ms

    def advance(self, seconds: float) -> None:
        self._monotonic += seconds
        self._wall_ms += round(seconds * 1000)
