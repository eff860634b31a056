"""Random clients of all kinds on a local cluster whose brokers come and go; the checker judges what they did and heard.

`python -m compat_tests.cluster.histories --seeds 1-10 [--events 5]`
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

from compat_tests.cluster.kills import BROKERS, Cluster, plan, session_arguments
from compat_tests.cluster.test_local_cluster import local_cluster
from compat_tests.history.runs import Run, verify

PATIENCE = 120.0  # seconds in which something must be committed


@contextmanager
def cluster_in(folder: Path) -> Iterator[Cluster]:
    folder.mkdir(parents=True, exist_ok=True)
    settings = session_arguments("transaction.state.log.num.partitions=3")
    with local_cluster(folder / "data", *settings) as local:
        cluster = Cluster(local)
        try:
            yield cluster
        finally:
            cluster.resume_all()


def create(cluster: Cluster, name: str, partitions: int) -> None:
    topic = NewTopic(name, partitions, len(BROKERS), config={"min.insync.replicas": "2"})
    admin = AdminClient({"bootstrap.servers": cluster.local.bootstrap})
    admin.create_topics([topic])[name].result(PATIENCE)


def run(cluster: Cluster, seed: int, events: int, quiet: bool = True) -> Run:
    """Raises AssertionError with what was lost, doubled or out of order."""
    one = Run(cluster.local.bootstrap, str(seed), f"{seed}-{time.time_ns() // 1_000_000}", partial(create, cluster))
    one.add_all()
    one.start()
    await_committed(one)
    for event in plan(seed, events):
        if event.in_sync:
            cluster.local.await_in_sync()
        time.sleep(event.before)
        if not quiet:
            print(f"  {event}", flush=True)
        cluster.do(event)
        await_committed(one)
    one.stop()
    verify(one)
    return one


def await_committed(one: Run) -> None:
    """Until one more transaction is."""
    before, deadline = one.committed(), time.monotonic() + PATIENCE
    while one.committed() == before:
        one.check_clients()
        assert time.monotonic() < deadline, f"seed {one.seed}: nothing is committed any more"
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1-10", help="FIRST-LAST")
    parser.add_argument("--events", type=int, default=5, help="for each seed")
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("-")
    folder = Path(tempfile.mkdtemp(prefix="pykbroker-histories-"))
    print(f"data in {folder}", flush=True)
    with cluster_in(folder) as cluster:
        for seed in range(int(first), int(last or first) + 1):
            started = time.monotonic()
            one = run(cluster, seed, arguments.events, quiet=False)
            print(f"seed {seed}: {time.monotonic() - started:.0f} s, {one.figures()}", flush=True)


if __name__ == "__main__":
    main()
