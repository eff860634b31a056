"""pykbroker is killed under load and Kafka takes over, then the other way round; nobody misses anything."""

import time
from pathlib import Path

import pytest

from compat_tests.disk.alternate_kills import run

pytestmark = pytest.mark.own_broker
KILLS = 2  # of each


@pytest.mark.timeout(240)
def test_each_recovers_what_the_other_left(tmp_path: Path) -> None:
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")
    assert run(KILLS, seed, tmp_path).acknowledged.total() > 500
