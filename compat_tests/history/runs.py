"""Random clients on a broker that may be killed; their history is checked.

`python -m compat_tests.history.runs --seeds 1-20 [--kills 4] [--seconds 6] [--bootstrap HOST:PORT | --oracle]`
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from random import Random

from compat_tests.brokers import PykbrokerProcess, oracle, pykbroker
from compat_tests.confluent.test_confluent import create
from compat_tests.history.checker import Anomaly, anomalies
from compat_tests.history.clients import (
    Client,
    Feeder,
    Member,
    Onlooker,
    Pipeline,
    Reader,
    Subscribed,
    Writer,
    fetch_offsets,
    read_to_end,
)
from compat_tests.history.events import History, Outcome, Transaction

PARTITIONS = 3
PATIENCE = 60  # seconds
SETTINGS = ("offsets.topic.num.partitions=3", "transaction.state.log.num.partitions=3")
PROTOCOLS = (
    {"partition.assignment.strategy": "range"},
    {"partition.assignment.strategy": "cooperative-sticky"},
    {"group.protocol": "consumer"},
)


class Run:
    """Names are unique to `label`, so that runs share a broker. `make_topic`: its name and partitions."""

    def __init__(
        self, bootstrap: str, seed: str, label: str, make_topic: Callable[[str, int], object] | None = None
    ) -> None:
        self.bootstrap = bootstrap
        self.seed = seed
        self.topic = f"history-{label}"
        self.target = f"target-{label}"
        self.history = History()
        self.random = Random(seed)
        self.clients: list[Client] = []
        for topic in (self.topic, self.target):
            if make_topic is not None:
                make_topic(topic, PARTITIONS)
            else:
                create(bootstrap, topic, PARTITIONS)

    def add(self, kind: type[Client], name: str) -> Client:
        client = kind(self.history, self.bootstrap, self.topic, PARTITIONS, name, self.seed)
        self.clients.append(client)
        return client

    def add_all(self) -> None:
        """Two of each kind that writes or reads, a group of three, a pipeline of two."""
        for name in ("feeder-a", "feeder-b"):
            self.add(Feeder, name)
        for name in ("writer-a", "writer-b"):
            self.add(Writer, name)
        for name, read_committed in (("reader-a", True), ("reader-b", False)):
            reader = self.add(Reader, name)
            assert isinstance(reader, Reader)
            reader.read_committed = read_committed
        self.add_group("member", 3)
        self.add_pipeline(2)

    def add_group(self, name: str, count: int) -> None:
        settings = self.settings()
        for number in range(count):
            member = self.add(Member, f"{name}-{number}")
            assert isinstance(member, Member)
            member.group, member.settings = f"{name}s-{self.topic}", settings

    def add_pipeline(self, count: int) -> None:
        settings = self.settings()
        for number in range(count):
            worker = self.add(Pipeline, f"pipeline-{number}")
            assert isinstance(worker, Pipeline)
            worker.group, worker.settings, worker.target = f"pipeline-{self.topic}", settings, self.target

    def settings(self) -> dict[str, str]:
        """One protocol for a whole group; classic members are missed quickly."""
        chosen = dict(self.random.choice(PROTOCOLS))
        if "group.protocol" not in chosen:
            chosen |= {"session.timeout.ms": "6000", "heartbeat.interval.ms": "500"}
        return chosen

    def start(self) -> None:
        for client in self.clients:
            client.start()

    def check_clients(self) -> None:
        """Raises AssertionError when one has met what it may not."""
        for client in self.clients:
            client.check()

    def stop(self) -> None:
        for client in self.clients:
            client.ends.set()
        for client in self.clients:
            client.stop()

    def check(self) -> list[Anomaly]:
        """Reads everything once more first."""
        for topic in (self.topic, self.target):
            for level in (True, False):
                last = Onlooker(self.history, self.bootstrap, topic, PARTITIONS, f"last-{topic}-{level}", "")
                read_to_end(last, topic, PARTITIONS, level)
        for group in {client.group for client in self.clients if isinstance(client, (Member, Pipeline))}:
            last = Onlooker(self.history, self.bootstrap, self.topic, PARTITIONS, f"last-{group}", "")
            subscribed = Subscribed(last, self.topic, group, {})
            fetch_offsets(last, subscribed.consumer, group, PARTITIONS)
            subscribed.consumer.close()
        return anomalies(self.history.events)

    def figures(self) -> str:
        kinds = Counter(type(event).__name__ for event in self.history.events)
        ends = Counter(event.outcome.value for event in self.history.events if isinstance(event, Transaction))
        shown = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        return f"{shown}; transactions {dict(ends)}"

    def committed(self) -> int:
        events = self.history.events
        return sum(isinstance(event, Transaction) and event.outcome is Outcome.OK for event in events)


def kill_again(broker: PykbrokerProcess, random: Random, times: int, seconds: float) -> None:
    for _ in range(times):
        time.sleep(random.uniform(0.3, 1.0) * seconds / max(times, 1))
        broker.kill()
        broker.start()


def run(
    bootstrap: str, seed: str, label: str, seconds: float, disturb: Callable[[Random], None] | None, at_least: int = 0
) -> Run:
    """Raises AssertionError with what was found; the history is left in a file. Takes longer than `seconds` where so
    many transactions are not committed by then: a real Kafka that has just started makes its internal topics first.
    """
    one = Run(bootstrap, seed, label)
    one.add_all()
    one.start()
    end = time.monotonic() + seconds
    if disturb is not None:
        disturb(Random(f"kills {seed}"))
    time.sleep(max(end - time.monotonic(), 0.5))
    while one.committed() < at_least and time.monotonic() < end + PATIENCE:
        time.sleep(0.2)
    one.stop()
    verify(one)
    return one


def verify(one: Run) -> None:
    if found := one.check():
        path = Path(tempfile.gettempdir()) / f"{one.topic}.history"
        one.history.write(path)
        shown = "\n".join(f"  {anomaly.kind}: {anomaly.what}" for anomaly in found[:20])
        raise AssertionError(f"seed {one.seed}, history in {path}: {len(found)} anomalies\n{shown}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1-20", help="FIRST-LAST")
    parser.add_argument("--kills", type=int, default=4, help="for each seed, of our own broker")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--bootstrap")
    parser.add_argument("--oracle", action="store_true")
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("-")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="pykbroker-history-", ignore_cleanup_errors=True) as folder:
        broker: PykbrokerProcess | None = None
        where: AbstractContextManager[PykbrokerProcess | str]
        if arguments.bootstrap:
            where = nullcontext(arguments.bootstrap)
        elif arguments.oracle:
            where = oracle(*SETTINGS)
        else:
            where = pykbroker(Path(folder) / "data", *SETTINGS)
        with where as there:
            broker = there if isinstance(there, PykbrokerProcess) else None
            bootstrap = there if isinstance(there, str) else there.bootstrap
            for seed in range(int(first), int(last or first) + 1):
                failed += not try_seed(bootstrap, seed, arguments.seconds, broker, arguments.kills)
    raise SystemExit(1 if failed else 0)


def try_seed(bootstrap: str, seed: int, seconds: float, broker: PykbrokerProcess | None, kills: int) -> bool:
    def disturb(random: Random) -> None:
        if broker is not None:
            kill_again(broker, random, kills, seconds)

    started = time.monotonic()
    try:
        one = run(bootstrap, str(seed), f"{seed}-{time.time_ns() // 1_000_000}", seconds, disturb)
    except AssertionError as error:
        print(f"seed {seed} FAILED: {error}", flush=True)
        return False
    print(f"seed {seed}: {time.monotonic() - started:.0f} s, {one.figures()}", flush=True)
    return True


if __name__ == "__main__":
    main()
