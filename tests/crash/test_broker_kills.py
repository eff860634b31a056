"""A whole broker is killed under load: every acknowledged record is there, in order, once; no commit goes back.

Scenario 33 (Kafka's log_dir_failure and Kibosh tests). `python -m tests.crash.broker_kills` does it as often as told.
"""

import time
from pathlib import Path

import pytest

from tests.crash.broker_kills import run

KILLS = 5


@pytest.mark.timeout(120)
def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path) -> None:
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")
    load = run(KILLS, seed, tmp_path)
    assert load.acknowledged.total() > 200
    assert load.committed.total() > 0
