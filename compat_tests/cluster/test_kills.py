"""Some events of compat_tests.cluster.kills; the plan of all kinds first, so that every run of this test has each."""

import time
from pathlib import Path

import pytest

from compat_tests.cluster.kills import Event, Kind, plan, run

pytestmark = pytest.mark.own_broker
EACH = (
    Event(Kind.KILL, (1,), 0.5, True, 0, 0.5),
    Event(Kind.LONG_PAUSE, (2,), 0.5, True, 0, 5),
    Event(Kind.SHORT_PAUSE, (3,), 0.2, False, 0, 1),
    Event(Kind.STOP, (3,), 0.2, True, 0, 0.5),
    Event(Kind.KILL, (2, 1), 0.2, True, 0.1, 1),
)
MORE = 3


def test_the_seed_replays_the_plan() -> None:
    assert plan(7, 20) == plan(7, 20) != plan(8, 20)


@pytest.mark.timeout(300)
def test_nothing_is_lost_doubled_or_out_of_order(tmp_path: Path) -> None:
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")
    report = run(tmp_path, seed, 0, told=(*EACH, *plan(seed, MORE)))
    assert report.load.sent > 500
    print("\n".join(report.lines()))
