"""Random clients on a cluster whose network loses packets, or is slow, and whose brokers die meanwhile; their history
is checked.

`python -m compat_tests.cluster.cut_runs [--events 20] [--seed N] [--controller ours|kafka] [--kafka]`

Where a busy machine lets the sessions of all brokers end at once, clients hang: see cut_off().
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from compat_tests.cluster.cuts import SESSION, CutCluster, cut_cluster
from compat_tests.cluster.mixed import CONTROLLER, KAFKA, OURS, await_port
from compat_tests.cluster.mixed_runs import INTERNAL, await_more, history, judged


def cut_between(cluster: CutCluster, random: Random) -> str:
    one, other = random.sample([*map(str, cluster.brokers), CONTROLLER], 2)
    cluster.net.cut(one, other)
    return f"{one} and {other} cut from each other"


def lose_from(cluster: CutCluster, random: Random) -> str:
    one, other = random.sample([*map(str, cluster.brokers), CONTROLLER], 2)
    cluster.net.lose((one, other))
    return f"what {one} sends to {other} is lost"


def cut_off(cluster: CutCluster, random: Random) -> str:
    """No controller: librdkafka forgets all brokers, for ever, where a Metadata answer has none as all are fenced."""
    name = random.choice([*map(str, cluster.brokers)])
    cluster.net.cut_off(name)
    return f"{name} is cut off"


def mute(cluster: CutCluster, random: Random) -> str:
    name = random.choice([*map(str, cluster.brokers)])
    cluster.net.mute(name)
    return f"what {name} sends is lost"


def cut_twice(cluster: CutCluster, random: Random) -> str:
    return f"{cut_between(cluster, random)}, {lose_from(cluster, random)}"


KINDS: tuple[Callable[[CutCluster, Random], str], ...] = (cut_between, lose_from, cut_off, mute, cut_twice)


def disturb(cluster: CutCluster, random: Random) -> str:
    """One event, and its end; what it was."""
    if random.random() < 0.15:
        return slow_down(cluster, random)
    what = random.choice(KINDS)(cluster, random)
    if random.random() < 0.25:
        number = random.choice(list(cluster.brokers))
        what += f", {number} is killed"
        time.sleep(random.uniform(0, SESSION / 2))
        cluster.brokers[number].kill()
        time.sleep(random.uniform(0, SESSION / 2))
        cluster.net.heal()
        cluster.brokers[number].start()
        await_port(cluster.brokers[number])
        return what
    seconds = random.choice((random.uniform(0.1, SESSION * 0.7), random.uniform(SESSION, SESSION * 3)))
    time.sleep(seconds)
    cluster.net.heal()
    return f"{what} for {seconds:.1f} s"


def slow_down(cluster: CutCluster, random: Random) -> str:
    one, other = random.sample([*map(str, cluster.brokers), CONTROLLER], 2)
    delay, seconds = random.uniform(0.01, 0.3), random.uniform(1, 2 * SESSION)
    with cluster.net.slow(one, other, delay):
        time.sleep(seconds)
    return f"{one} and {other} are {delay:.2f} s apart for {seconds:.1f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--controller", choices=(KAFKA, OURS), default=OURS)
    parser.add_argument("--kafka", action="store_true", help="the first broker is Kafka's")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    random = Random(arguments.seed)
    kinds = {1: KAFKA if arguments.kafka else OURS, 2: OURS, 3: OURS}
    folder = Path(tempfile.mkdtemp(prefix="pykbroker-cuts-"))
    print(f"data in {folder}", flush=True)
    with cut_cluster(folder, arguments.controller, kinds) as cluster:
        one = history(cluster, "cuts")
        one.add_all()
        with judged(cluster, one):
            for number in range(1, arguments.events + 1):
                what = disturb(cluster, random)
                print(f"{time.strftime('%H:%M:%S')} event {number}: {what}", flush=True)
                if random.random() < 0.5:
                    cluster.await_all_in_sync(one.topic, one.target, *INTERNAL)
                await_more(one)
            cluster.await_unfenced(*cluster.brokers)
    print(f"{arguments.events} events: {one.figures()}")


if __name__ == "__main__":
    main()
