"""SIGKILL for a whole broker under load, over and over: `python -m tests.crash.broker_kills [--kills N] [--seed N]`."""

import argparse
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random

from compat_tests.brokers import PykbrokerProcess, pykbroker
from tests.crash.load import Load

WHILE_STARTING = 0.25  # of the kills


def run(kills: int, seed: int, folder: Path) -> Load:
    """Raises AssertionError when a promise is broken."""
    random = Random(seed)
    with pykbroker(folder / "data", "offsets.topic.num.partitions=3") as broker:
        load = Load(broker.bootstrap, seed)
        load.start()
        try:
            load.await_more(200)
            for number in range(kills):
                kill_once(broker, load, random)
                print(f"kill {number + 1}: {load.acknowledged.total()} acknowledged", flush=True)
        finally:
            load.stop()
        load.check_records()
        load.check_commits(load.committed)
    return load


def kill_once(broker: PykbrokerProcess, load: Load, random: Random) -> None:
    if random.random() < WHILE_STARTING:
        broker.kill()
        kill_while_starting(broker, random.uniform(0.05, 0.6))
    else:
        time.sleep(random.uniform(0, 0.6))
        broker.kill()
    promised = Counter(load.committed)
    if broker.process is None:
        broker.start()
    load.check_records()
    load.check_commits(promised)
    load.await_more(random.randint(1, 300))


def kill_while_starting(broker: PykbrokerProcess, seconds: float) -> None:
    """Or a moment after."""

    def kill() -> None:
        assert broker.process is not None
        broker.process.kill()

    timer = threading.Timer(seconds, kill)
    timer.start()
    try:
        broker.start()
    except RuntimeError:
        broker.kill()  # it is dead: this waits for it
    timer.join()
    if broker.process is not None:
        broker.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="pykbroker-kills-") as folder:
        load = run(arguments.kills, arguments.seed, Path(folder))
    print(f"{arguments.kills} kills, {load.acknowledged.total()} acknowledged records, commits up to {load.committed}")


if __name__ == "__main__":
    main()
