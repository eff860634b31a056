"""Random clients on a cluster of both kinds whose brokers and controller die and stop; their history is checked.

`python -m compat_tests.cluster.mixed_runs [--controller kafka|ours] [--dynamic] [--events 20] [--seed N]`
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path
from random import Random

from confluent_kafka.admin import NewTopic

from compat_tests.cluster.mixed import KAFKA, OURS, MixedCluster, await_port, eventually, mixed_cluster
from compat_tests.history.clients import Feeder
from compat_tests.history.events import Sent
from compat_tests.history.runs import Run, verify

INTERNAL = ("__consumer_offsets", "__transaction_state")
PATIENCE = 120
STEADY = "steady"


def history(cluster: MixedCluster, label: str, copies: int = 3) -> Run:
    """Each partition is led by another broker at first."""

    def make_topic(name: str, partitions: int) -> None:
        orders = list(permutations(cluster.brokers))[::2]
        replicas = [list(orders[number % len(orders)])[:copies] for number in range(partitions)]
        cluster.create(name, *replicas, **{"min.insync.replicas": str(min(2, copies))})

    seed = str(time.time_ns() % 1_000_000)
    print(f"seed {seed}")
    return Run(cluster.bootstrap, seed, f"{label}-{seed}", make_topic)


def sent(one: Run, by: str = "") -> int:
    return sum(isinstance(event, Sent) and event.process.startswith(by) for event in list(one.history.events))


class Steady(Feeder):
    """Keeps the producer id that it has: a broker that has none left gets more only from the controller."""

    def turn(self) -> bool:
        super().turn()
        return False


def await_more(one: Run) -> None:
    """Of everything that clients do something is done that was begun by now."""
    records, transactions = sent(one) + 100, one.committed() + 5
    eventually(lambda: sent(one) >= records and one.committed() >= transactions, one.figures, PATIENCE)


def await_more_records(one: Run, by: str = "") -> None:
    """`by`: the name of a client, else of all of them."""
    records = sent(one, by) + 100
    eventually(lambda: sent(one, by) >= records, one.figures, PATIENCE)


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
    """Leaders need none, and producers that have an id."""
    random.choice([cluster.controller.stop, cluster.controller.kill])()
    await_more_records(one, STEADY)
    cluster.controller.start()
    await_port(cluster.controller)
    await_controller(cluster)
    cluster.await_unfenced(*cluster.brokers)


def await_controller(cluster: MixedCluster) -> None:
    """Until it takes requests: what brokers say of each other may be what they knew before it went."""

    def answers() -> bool:
        asked = NewTopic("never-made", 1, 1)
        cluster.admin.create_topics([asked], validate_only=True)["never-made"].result(PATIENCE)
        return True

    eventually(answers)


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


@contextmanager
def judged(cluster: MixedCluster, one: Run) -> Iterator[None]:
    """The clients run meanwhile; then their history is checked, and the copies are compared."""
    one.start()
    try:
        await_more(one)
        yield
    finally:
        one.stop()
    verify(one)
    look_at_copies(cluster, one.topic, one.target, *INTERNAL)


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
        one.add(Steady, STEADY)
        with judged(cluster, one):
            for number in range(1, arguments.events + 1):
                print(f"event {number}: {disturb(cluster, one, random)}", flush=True)
    print(f"{arguments.events} events: {one.figures()}")


if __name__ == "__main__":
    main()
