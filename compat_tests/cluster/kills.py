"""Brokers of a local cluster are killed, paused, stopped and started at random under load; nobody misses anything.

`python -m compat_tests.cluster.kills --events 100 [--seed N]`: the seed replays the plan. Prints how long partitions
were away.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from random import Random
from typing import NamedTuple

from compat_tests.cluster.replicated_load import ReplicatedLoad
from compat_tests.cluster.test_local_cluster import LocalCluster, local_cluster
from pykbroker.cli.cluster import ask

BROKERS = (1, 2, 3)
SESSION = 3.0  # seconds; Kafka's 9 make runs long
SETTINGS = (
    "broker.session.timeout.ms=3000",
    "broker.heartbeat.interval.ms=500",
    "replica.lag.time.max.ms=4000",
    "offsets.topic.num.partitions=3",
)
# A partition is looked at by what acknowledged in it: how often after so many seconds at most.
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)


class Kind(Enum):
    KILL = "SIGKILL"
    STOP = "stop"
    SHORT_PAUSE = "SIGSTOP within the session"
    LONG_PAUSE = "SIGSTOP past the session"
    CONTROLLER_PAUSE = "SIGSTOP of the controller"


WEIGHTS = {Kind.KILL: 8, Kind.STOP: 3, Kind.SHORT_PAUSE: 3, Kind.LONG_PAUSE: 3, Kind.CONTROLLER_PAUSE: 1}


class Event(NamedTuple):
    """`brokers` go one after the other, `apart` seconds between them, and come back in this order, after `away`
    seconds; before it the load goes on for `before` seconds, all in sync or not."""

    kind: Kind
    brokers: tuple[int, ...]
    before: float
    in_sync: bool
    apart: float
    away: float

    def __str__(self) -> str:
        whom = " ".join(map(str, self.brokers)) or "controller"
        return f"{self.kind.value}: {whom}, away {self.away:.1f} s{'' if self.in_sync else ', not all in sync'}"


def plan(seed: int, events: int) -> list[Event]:
    random = Random(f"cluster {seed}")
    return [one_event(random) for _ in range(events)]


def one_event(random: Random) -> Event:
    (kind,) = random.choices(list(WEIGHTS), list(WEIGHTS.values()))
    count = 0 if kind is Kind.CONTROLLER_PAUSE else random.choices((1, 2, 3), (12, 3, 1))[0]
    if kind is Kind.STOP:
        count = 1  # the last ones would wait for those that are gone
    away = {
        Kind.SHORT_PAUSE: random.uniform(0.1, SESSION * 0.8),
        Kind.LONG_PAUSE: random.uniform(SESSION * 1.5, SESSION * 3),
        Kind.CONTROLLER_PAUSE: random.uniform(0.2, SESSION * 1.5),
    }.get(kind, random.choice((0.0, random.uniform(0, 2), random.uniform(0, 5))))
    return Event(
        kind,
        tuple(random.sample(BROKERS, count)),
        random.uniform(0, 1.5),
        random.random() < 0.6,
        random.choice((0.0, random.uniform(0, 0.5))),
        away,
    )


class Cluster:
    """The local cluster, and the signals that its processes get."""

    def __init__(self, local: LocalCluster) -> None:
        self.local = local
        self._paused: dict[int, int] = {}

    def pause(self, broker: int) -> None:
        status = ask(str(self.local.directory), "status")
        (pid,) = (row["pid"] for row in status["brokers"] if row["broker"] == broker)
        assert pid, status
        self._paused[broker] = pid
        os.kill(pid, signal.SIGSTOP)

    def resume(self, broker: int) -> None:
        os.kill(self._paused.pop(broker), signal.SIGCONT)

    def resume_all(self) -> None:
        """When a run ends early: who is paused would stay for ever."""
        self.local.process.send_signal(signal.SIGCONT)
        for broker in list(self._paused):
            self.resume(broker)

    def do(self, event: Event) -> None:
        if event.kind is Kind.CONTROLLER_PAUSE:
            self.local.process.send_signal(signal.SIGSTOP)
            time.sleep(event.away)
            self.local.process.send_signal(signal.SIGCONT)
            return
        for broker in event.brokers:
            self.away(event.kind, broker)
            time.sleep(event.apart)
        time.sleep(event.away)
        for broker in event.brokers:
            self.back(event.kind, broker)

    def away(self, kind: Kind, broker: int) -> None:
        if kind in (Kind.SHORT_PAUSE, Kind.LONG_PAUSE):
            self.pause(broker)
        else:
            self.local.command("kill" if kind is Kind.KILL else "stop", broker)

    def back(self, kind: Kind, broker: int) -> None:
        if kind in (Kind.SHORT_PAUSE, Kind.LONG_PAUSE):
            self.resume(broker)
        else:
            self.local.command("start", broker)


class Report:
    """`longest`: by what was done, how long the partition that missed it most was away each time, in seconds."""

    def __init__(self) -> None:
        self.load: ReplicatedLoad
        self.longest: dict[str, list[float]] = defaultdict(list)

    def lines(self) -> Iterable[str]:
        gaps = self.load.gaps()
        yield f"{self.load.sent} records acknowledged; seconds between two acknowledgements of a partition:"
        lower = 0.0
        for upper in (*BUCKETS, float("inf")):
            if count := sum(lower < gap <= upper for gap in gaps):
                yield f"  {lower:5g} to {upper:5g}: {count:8d}"
            lower = upper
        for name, each in sorted(self.longest.items()):
            each.sort()
            yield f"  longest, {name}: {len(each)} times, median {each[len(each) // 2]:.2f} s, maximum {each[-1]:.2f} s"


def session_arguments(*more: str) -> list[str]:
    """For `pykbroker serve`."""
    return [part for setting in (*SETTINGS, *more) for part in ("--set", setting)]


def run(folder: Path, seed: int, events: int, told: Iterable[Event] | None = None, quiet: bool = True) -> Report:
    """Raises AssertionError when a promise is broken."""
    report = Report()
    folder.mkdir(parents=True, exist_ok=True)
    with local_cluster(folder / "data", *session_arguments()) as local, ExitStack() as stack:
        cluster = Cluster(local)
        stack.callback(cluster.resume_all)
        report.load = load = ReplicatedLoad(local.bootstrap)
        load.start()
        load.await_progress()
        for number, event in enumerate(plan(seed, events) if told is None else told, 1):
            if event.in_sync:
                local.await_in_sync()
            time.sleep(event.before)
            started = time.monotonic()
            if not quiet:
                print(f"{time.strftime('%H:%M:%S')} event {number}, {event}", flush=True)
            cluster.do(event)
            load.await_progress()
            name = event.kind.value if len(event.brokers) < 2 else f"{event.kind.value} of {len(event.brokers)}"
            report.longest[name].append(load.longest_gap(started, time.monotonic()))
        load.stop()
        local.await_in_sync()
        load.check()
    check_replicas(folder / "data")
    return report


def check_replicas(directory: Path) -> None:
    """Every broker's copy of every partition is the same, byte for byte; after the cluster has stopped at rest."""
    copies: dict[str, dict[str, bytes]] = defaultdict(dict)
    for broker in BROKERS:
        for folder in sorted(directory.glob(f"broker-{broker}/*-[0-9]*/")):
            if folder.name.startswith("__cluster_metadata") or "." in folder.name:
                continue
            segments = sorted(folder.glob("*.log"))
            copies[folder.name][f"broker-{broker}"] = b"".join(path.read_bytes() for path in segments)
    assert copies, f"no partitions in {directory}"
    for name, by_broker in copies.items():
        assert len(by_broker) == len(BROKERS), f"{name} is only at {sorted(by_broker)}"
        sizes = {broker: len(content) for broker, content in by_broker.items()}
        assert len(set(by_broker.values())) == 1, f"{name} differs between replicas; bytes: {sizes}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--data", type=Path, help="kept there; by default it goes when all was well")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    folder = arguments.data or Path(tempfile.mkdtemp(prefix="pykbroker-cluster-kills-"))
    try:
        report = run(folder, arguments.seed, arguments.events, quiet=False)
    except AssertionError as error:
        print(f"seed {arguments.seed} FAILED, data in {folder}: {error}", file=sys.stderr)
        return 1
    print("\n".join(report.lines()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
