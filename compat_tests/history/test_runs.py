"""A few random histories, checked; `runs` and `kills` do it with as many seeds and kills as told."""

import time
from pathlib import Path
from random import Random

import pytest

from compat_tests.brokers import pykbroker
from compat_tests.history import kills
from compat_tests.history.runs import SETTINGS, Run, kill_again, run

SECONDS = 3.0
WORTH_IT = 6  # committed transactions


def look_at(one: Run) -> None:
    """It was worth the while."""
    assert one.committed() >= WORTH_IT, one.figures()


@pytest.mark.timeout(180)
def test_without_faults(bootstrap: str) -> None:
    """Scenario 34, Jepsen on Bufstream: a long run without any fault is a test too."""
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")
    look_at(run(bootstrap, str(seed), str(seed), SECONDS, None, at_least=WORTH_IT))


@pytest.mark.own_broker
@pytest.mark.timeout(180)
def test_though_the_broker_is_killed(tmp_path: Path) -> None:
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")
    with pykbroker(tmp_path / "data", *SETTINGS) as broker:

        def kill(random: Random) -> None:
            kill_again(broker, random, 2, SECONDS)

        look_at(run(broker.bootstrap, str(seed), str(seed), SECONDS, kill, at_least=WORTH_IT))


@pytest.mark.own_broker
@pytest.mark.timeout(240)
def test_two_workers_lose_and_double_nothing_though_the_broker_is_killed(tmp_path: Path) -> None:
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")
    look_at(kills.run(tmp_path, 2, seed))
