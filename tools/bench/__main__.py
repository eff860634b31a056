"""The same client load against pykbroker and the real Kafka, alternating in one run; prints both and the ratio."""

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from itertools import count
from pathlib import Path

from tools.bench import report, suites
from tools.bench.processes import Broker, Kafka, Pykbroker

Makers = dict[str, Callable[[], Broker]]


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


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/dev.py bench", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"{', '.join(suites.NAMES)} (all)")
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds; one more warms up (3)")
    parser.add_argument("--only", choices=("pykbroker", "kafka"), help="one of the two, without a ratio")
    arguments = parser.parse_args()
    if unknown := set(arguments.suites) - set(suites.NAMES):
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(suites.NAMES)}")
    with tempfile.TemporaryDirectory(prefix="pykbroker-bench-", ignore_cleanup_errors=True) as folder:
        fresh = (Path(folder) / str(number) for number in count())
        makers: Makers = {"pykbroker": lambda: Pykbroker(next(fresh)), "kafka": lambda: Kafka(next(fresh))}
        if arguments.only:
            makers = {arguments.only: makers[arguments.only]}
        noted = alternate(makers, arguments.suites or list(suites.NAMES), arguments.rounds)
    print("\n" + report.table(noted.results, suites.TARGETS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
