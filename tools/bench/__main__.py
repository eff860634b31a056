"""The same client load against pykbroker and the real Kafka, alternating in one run; prints both and the ratio."""

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

from tools.bench import cluster, clusters, compaction, report, restarts, suites
from tools.bench.processes import Broker, Kafka, Pykbroker, compile_pykbroker

Makers = dict[str, Callable[[], Broker]]
Starters = dict[str, Callable[[Path], Broker]]  # on a folder, new or old
ALL = (*suites.NAMES, compaction.NAME, restarts.NAME, cluster.NAME)
CLUSTERS: dict[str, Callable[[Path], clusters.Brokers]] = {"pykbroker": clusters.Ours, "kafka": clusters.Real}


class Rounds:
    """Collects the figures of all brokers and shows them as they come; round 0 warms up and is not counted."""

    def __init__(self, names: list[str]) -> None:
        self.results: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in names}

    def note(self, name: str, number: int, figures: suites.Figures) -> None:
        for figure, value in figures.items():
            if number:
                self.results[name][figure].append(value)
        shown = "  ".join(f"{figure.split(': ')[-1]} {value:.4g}" for figure, value in figures.items())
        print(f"  {'warm-up' if number == 0 else f'round {number}'}  {name:12} {shown}", flush=True)


def alternate(makers: Makers, chosen: list[str], rounds: int) -> Rounds:
    """Every suite against every broker in turn. Raises what a load raises."""
    noted = Rounds(list(makers))
    if suites.START in chosen:
        print(suites.START, flush=True)
        for number in range(rounds + 1):
            for name, make in makers.items():
                noted.note(name, number, suites.start(make))
    running: dict[str, Broker] = {}
    try:
        for suite in [suite for suite in suites.LOADS if suite in chosen]:
            print(suite, flush=True)
            running = running or {name: make() for name, make in makers.items()}
            for number in range(rounds + 1):
                for name, broker in running.items():
                    noted.note(name, number, suites.measure(suite, broker))
    finally:
        for broker in running.values():
            broker.stop()
    return noted


def on_fresh(start: Callable[[Path], Broker], folders: Iterator[Path]) -> Broker:
    return start(next(folders))


def restart_all(noted: Rounds, starters: Starters, folder: Path, rounds: int, partitions: int, megabytes: int) -> None:
    """One broker runs at a time; the filling is not repeated."""
    print(f"{restarts.NAME}: {partitions} partitions, {megabytes} MB", flush=True)
    suite = {
        name: restarts.Restarts(start, folder / f"restarts-{name}", partitions, megabytes)
        for name, start in starters.items()
    }
    for name, each in suite.items():
        noted.note(name, 1, each.fill())
    for number in range(rounds + 1):
        for name, each in suite.items():
            noted.note(name, number, each.round())


def compact_all(noted: Rounds, starters: Starters, folder: Path, rounds: int, megabytes: int) -> None:
    print(f"{compaction.NAME}: {megabytes} MB", flush=True)
    suite: dict[str, compaction.Compaction] = {}
    try:
        for name, start in starters.items():
            suite[name] = compaction.Compaction(start, folder / f"compaction-{name}", megabytes)
        for number in range(rounds + 1):
            for name, each in suite.items():
                noted.note(name, number, each.round())
    finally:
        for each in suite.values():
            each.stop()


def cluster_all(noted: Rounds, folders: Iterator[Path], rounds: int) -> None:
    """One cluster runs at a time, from its start to its end; nothing warms up that a user would not."""
    print(cluster.NAME, flush=True)
    for number in range(1, rounds + 1):
        for name in noted.results:
            noted.note(name, number, cluster.round_of(partial(CLUSTERS[name], next(folders))))


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/dev.py bench", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"{', '.join(ALL)} (all but the last three)")
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds; one more warms up (3)")
    parser.add_argument("--only", choices=("pykbroker", "kafka"), help="one of the two, without a ratio")
    parser.add_argument("--realtime", action="store_true", help="groups and commits before all else; root on Linux")
    parser.add_argument("--partitions", type=int, default=1000, help=f"in the suite {restarts.NAME} (1000)")
    parser.add_argument("--megabytes", type=int, default=200, help=f"in {compaction.NAME} and {restarts.NAME} (200)")
    arguments = parser.parse_args()
    if unknown := set(arguments.suites) - set(ALL):
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    Broker.realtime = arguments.realtime
    compile_pykbroker()
    with tempfile.TemporaryDirectory(prefix="pykbroker-bench-", ignore_cleanup_errors=True) as folder:
        fresh = (Path(folder) / str(number) for number in count())
        starters: Starters = {"pykbroker": Pykbroker, "kafka": Kafka}
        if arguments.only:
            starters = {arguments.only: starters[arguments.only]}
        makers: Makers = {name: partial(on_fresh, start, fresh) for name, start in starters.items()}
        noted = alternate(makers, arguments.suites or list(suites.NAMES), arguments.rounds)
        if compaction.NAME in arguments.suites:
            compact_all(noted, starters, Path(folder), arguments.rounds, arguments.megabytes)
        if cluster.NAME in arguments.suites:
            cluster_all(noted, fresh, arguments.rounds)
        if restarts.NAME in arguments.suites:
            restart_all(noted, starters, Path(folder), arguments.rounds, arguments.partitions, arguments.megabytes)
    print(
        "\n"
        + report.table(noted.results, {**suites.TARGETS, **compaction.TARGETS, **restarts.TARGETS, **cluster.TARGETS})
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
