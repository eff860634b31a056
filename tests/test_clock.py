"""Clocks: the system's, and the one that tests move."""

import time

from pykbroker.clock import ManualClock, SystemClock


def test_the_system_clock_tells_the_time() -> None:
    clock = SystemClock()
    assert clock.monotonic() <= time.monotonic() <= clock.monotonic()
    assert abs(clock.wall_ms() - time.time() * 1000) < 60_000
    assert isinstance(clock.wall_ms(), int)


def test_a_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(5.0, 1_000)
    assert (clock.monotonic(), clock.wall_ms()) == (5.0, 1_000)
    clock.advance(1.2345)
    assert (clock.monotonic(), clock.wall_ms()) == (6.2345, 2_234)
