"""Random clients on a cluster of both kinds whose brokers and controller die and stop; their history is checked.

`python -m compat_tests.cluster.mixed_runs [--controller kafka|ours] [--dynamic] [--events 20] [--seed N]`
"""

import argparse
import tempfile
import time
from itertools import permutations
from pathlib import Path
from random import Random

from compat_tests.cluster.mixed import KAFKA, OURS, MixedCluster, await_port, eventually, mixed_cluster
from compat_tests.history.events import Sent
from compat_tests.history.runs import Run, verify

INTERNAL = ("__consumer_offsets", "__transaction_state")
PATIENCE = 120


def history(cluster: MixedCluster, label: str, copies: int = 3) -> Run:
    """Each partition is led by another broker at first."""

    def make_topic(name: str, partitions: int) -> None:
        orders = list(permutations(cluster.brokers))[::2]
        replicas = [list(orders[number % len(orders)])[:copies] for number in range(partitions)]
        cluster.create(name, *replicas, **{"min.insync.replicas": str(min(2, copies))})

    seed = str(time.time_ns() % 1_000_000)
    print(f"seed {seed}")
    return Run(cluster.bootstrap, seed, f"{label}-{seed}", make_topic)


def sent(one: Run) -> int:
    return sum(isinstance(event, Sent) for event in list(one.history.events))


def await_more(one: Run) -> None:
    """Of everything that clients do something is done that was begun by now."""
    records, transactions = sent(one) + 100, one.committed() + 5
    eventually(lambda: sent(one) >= records and one.committed() >= transactions, one.figures, PATIENCE)


def await_more_records(one: Run) -> None:
    records = sent(one) + 100
    eventually(lambda: sent(one) >= records, one.figures, PATIENCE)


def look_at_copies(cluster: MixedCluster, *topics: str) -> None:
    for topic in topics:
        cluster.await_all_in_sync(topic)
        for number, replicas in cluster.replicas(topic).items():
            await_same_bytes(cluster, topic, number, replicas)


def await_same_bytes(cluster: MixedCluster, topic: str, number: int, replicas: list[int]) -> None:
    """What all in sync have acknowledged is on all disks; of the internal topics the last record may be on its way."""
    eventually(
        lambda: not cluster.differences(topic, number, replicas),
        lambda: cluster.differences(topic, number, replicas),
        20,
    )


def kill_and_start(cluster: MixedCluster, one: Run, number: int) -> None:
    broker = cluster.brokers[number]
    broker.kill()
    eventually(lambda: number not in cluster.leaders(one.topic), lambda: cluster.leaders(one.topic))
    await_more(one)
    broker.start()
    await_port(broker)
    cluster.await_all_in_sync(one.topic, one.target, *INTERNAL)
    await_more(one)


def stop_and_start(cluster: MixedCluster, one: Run, number: int) -> None:
    """By controlled shutdown."""
    broker = cluster.brokers[number]
    broker.stop()
    assert number not in cluster.leaders(one.topic)
    await_more(one)
    broker.start()
    await_port(broker)
    cluster.await_all_in_sync(one.topic, one.target, *INTERNAL)


def restart_controller(cluster: MixedCluster, one: Run, random: Random) -> None:
    """Leaders need none."""
    random.choice([cluster.controller.stop, cluster.controller.kill])()
    records = sent(one) + 100
    eventually(lambda: sent(one) >= records, one.figures, PATIENCE)
    cluster.controller.start()
    await_port(cluster.controller)
    cluster.await_unfenced(*cluster.brokers)


def disturb(cluster: MixedCluster, one: Run, random: Random) -> str:
    """One event, and its end; what it was."""
    what = random.choice(["kill", "kill", "stop", "controller"])
    number = random.choice(list(cluster.brokers))
    if what == "controller":
        restart_controller(cluster, one, random)
        return "the controller was away"
    if what == "kill":
        kill_and_start(cluster, one, number)
    else:
        stop_and_start(cluster, one, number)
    return f"{what} {number} ({cluster.kinds[number]})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--controller", choices=(KAFKA, OURS), default=KAFKA)
    parser.add_argument("--dynamic", action="store_true", help="a quorum of dynamic voters (KIP-853)")
    parser.add_argument("--events", type=int, default=20)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    random = Random(arguments.seed)
    with (
        tempfile.TemporaryDirectory(prefix="pykbroker-mixed-", ignore_cleanup_errors=True) as folder,
        mixed_cluster(Path(folder), arguments.controller, dynamic=arguments.dynamic) as cluster,
    ):
        one = history(cluster, "mixed")
        one.add_all()
        one.start()
        try:
            await_more(one)
            for number in range(1, arguments.events + 1):
                print(f"event {number}: {disturb(cluster, one, random)}", flush=True)
        finally:
            one.stop()
        verify(one)
        look_at_copies(cluster, one.topic, one.target, *INTERNAL)
    print(f"{arguments.events} events: {one.figures()}")


if __name__ == "__main__":
    main()
