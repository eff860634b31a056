"""A healthy broker, no fault at all: nothing acknowledged is missing, and offsets are what they were said to be.

Scenario 34, Jepsen on Bufstream: an acknowledged write lost, offset 0 answered for a real one, without any fault.
`python -m tests.crash.test_no_fault SECONDS` runs as long as told.
"""

import sys
import tempfile
import time
from pathlib import Path

from compat_tests.brokers import pykbroker
from tests.crash.load import Load

SECONDS = 2.0


def run(seconds: float, folder: Path) -> Load:
    """Loads differ in their topic: they share the broker and its coordinator."""
    with pykbroker(folder / "data", "offsets.topic.num.partitions=3") as broker:
        loads = [Load(broker.bootstrap, seed, f"load-{seed}", partitions=3) for seed in range(2)]
        for load in loads:
            load.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for load in loads:
                load.await_more(100)
        for load in loads:
            load.stop()
        for load in loads:
            load.check_records()
            load.check_commits(load.committed)
    return loads[0]


def test_nothing_is_lost_or_numbered_wrongly(tmp_path: Path) -> None:
    load = run(SECONDS, tmp_path)
    assert load.acknowledged.total() > 200
    assert all(load.acknowledged[partition] for partition in range(3))
    assert load.committed.total() > 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="pykbroker-no-fault-") as folder:
        print(run(float(sys.argv[1]), Path(folder)).acknowledged)
