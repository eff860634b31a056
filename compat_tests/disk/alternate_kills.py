"""Either broker is killed under load and the other goes on: `python -m compat_tests.disk.alternate_kills [--kills N]`.

The load does not know: same address, same producer, same group.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random

from compat_tests.disk.handover import kafka_on, ours_on
from tests.crash.load import Load

LONGEST = 1.0  # seconds under load before a kill


def run(kills: int, seed: int, folder: Path) -> Load:
    """As many of each broker. Raises AssertionError when a promise is broken."""
    random = Random(seed)
    with ours_on(folder) as ours, ExitStack() as stack:
        load = Load(ours.bootstrap, seed, in_flight=1)
        stack.callback(load.stop)
        load.start()
        load.await_more(100)
        for number in range(kills):
            kill_under_load(load, random, ours.kill)
            promised = Counter(load.committed)
            with kafka_on(folder, port=ours.port) as kafka:
                check(load, promised)
                kill_under_load(load, random, lambda: end(kafka.nodes[0].process.kill, kafka.nodes[0].process.wait))
            promised = Counter(load.committed)
            ours.start()
            check(load, promised)
            print(f"{number + 1} times: {load.acknowledged.total()} acknowledged", flush=True)
        stack.pop_all().close()
        check(load, Counter(load.committed))
    return load


def kill_under_load(load: Load, random: Random, kill: Callable[[], object]) -> None:
    load.await_more(random.randint(1, 300))
    time.sleep(random.uniform(0, LONGEST))
    kill()


def end(kill: Callable[[], None], wait: Callable[[], int]) -> None:
    kill()
    wait()


def check(load: Load, promised: Counter[int]) -> None:
    load.check_records()
    load.check_commits(promised)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="of each broker")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="pykbroker-kills-") as folder:
        load = run(arguments.kills, arguments.seed, Path(folder))
    print(f"2 x {arguments.kills} kills, {load.acknowledged.total()} acknowledged records, commits {load.committed}")


if __name__ == "__main__":
    main()
