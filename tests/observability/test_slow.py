"""Stalls of the loop: all are counted, the worst is told, and not too often."""

import logging

import pytest

from pykbroker.clock import ManualClock
from pykbroker.observability.slow import QUIET, SlowReports


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def reports(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> SlowReports:
    caplog.set_level(logging.INFO, "pykbroker.slow")
    return SlowReports(clock.monotonic)


def test_the_first_is_told_at_once(reports: SlowReports, caplog: pytest.LogCaptureFixture) -> None:
    reports("Fetch v12 #3", 0.0614)
    assert caplog.messages == ["The event loop was held for 61 ms by Fetch v12 #3"]
    assert caplog.records[0].levelno == logging.WARNING


def test_later_ones_are_collected(reports: SlowReports, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    reports("first", 0.06)
    for who, seconds in (("small", 0.07), ("worst", 0.2), ("last", 0.08)):
        clock.advance(QUIET / 4)
        reports(who, seconds)
    assert len(caplog.messages) == 1
    clock.advance(QUIET / 4)
    reports("after", 0.06)
    assert caplog.messages[1:] == [
        "The event loop was held for 200 ms by worst; 4 stalls since the last report",
    ]
    assert reports.count == 5
    clock.advance(QUIET)
    reports("new", 0.051)
    assert caplog.messages[-1] == "The event loop was held for 51 ms by new"
