"""Rests that bring work down to its rate."""

from pykbroker.clock import ManualClock
from pykbroker.log.throttler import Throttler


def test_work_that_is_too_fast_rests() -> None:
    clock = ManualClock()
    throttler = Throttler(100.0, clock)
    assert throttler.rest_after(100) == 0  # looked at only every 0.3 s
    clock.advance(0.5)
    assert throttler.rest_after(100) == 1.5
    clock.advance(1.5)
    clock.advance(0.4)
    assert throttler.rest_after(39) == 0


def test_the_rate_may_change() -> None:
    clock = ManualClock()
    throttler = Throttler(1.7976931348623157e308, clock)
    clock.advance(1)
    assert throttler.rest_after(10**12) == 0
    throttler.rate = 10.0
    clock.advance(1)
    assert throttler.rest_after(30) == 2
