"""Killed and damaged, one directory is recovered by us and a copy of it by the real Kafka: both serve the same.

Scenario 33. `python -m compat_tests.disk.test_same_bytes [SEED ...]` does it with the seeds told.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import pytest

from compat_tests.disk.damage import damage
from compat_tests.disk.handover import asking, data_of, kafka_on, ours_on
from compat_tests.disk.workload import create_everything, everything, write_round

pytestmark = pytest.mark.own_broker


def run(seed: int, folder: Path) -> list[str]:
    """What differs, led by what was done; nothing when all is well."""
    one, other = folder / "ours", folder / "kafka"
    with ours_on(one) as broker:
        with asking(broker.bootstrap) as asker:
            create_everything(asker)
            write_round(asker, 1)
        broker.kill()
    done = damage(data_of(one), Random(seed))
    shutil.copytree(one, other)
    with ours_on(one) as broker, asking(broker.bootstrap) as asker:
        ours = everything(asker)
    with kafka_on(other) as kafka, asking(kafka.bootstrap) as asker:
        kafkas = everything(asker)
    rows = [
        f"{kind}, {name}: ours {row}, Kafka's {kafkas[kind].get(name)}"
        for kind, found in ours.items()
        if isinstance(found, dict)
        for name, row in found.items()
        if row != kafkas[kind].get(name)
    ]
    return [f"seed {seed}: {done}", *rows] if rows or ours.keys() != kafkas.keys() else []


@pytest.mark.timeout(120)
def test_recovered_alike(tmp_path: Path) -> None:
    assert not run(time.time_ns() % 1_000_000, tmp_path)


if __name__ == "__main__":
    for each in map(int, sys.argv[1:]):
        with tempfile.TemporaryDirectory(prefix="pykbroker-same-") as path:
            print(each, *run(each, Path(path)), sep="\n", flush=True)
