"""python tools/dev.py bench [SUITE ...] [--rounds N] [--megabytes N] [--no-kafka]"""

import argparse
import socket
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tools.bench import loads
from tools.bench.processes import Broker, Kafka, Pykbroker

Figures = dict[str, float]
# Figure → what issue 4 asks of it as ratio to Kafka; "≤" for costs, "≥" for speeds.
TARGETS = {
    "produce: CPU s/GB": "≤ 1.0",
    "fetch: CPU s/GB": "≤ 1.0",
    "produce: MB/s": "≥ 1.0",
    "fetch: MB/s": "≥ 1.0",
    "tiny: requests/s": "≥ 0.7",
    "start: to ready, s": "≤ 0.4 s",
    "start: to first acknowledged record, s": "≤ 0.5 s",
    "start: idle memory, MB": "≤ 50 MB",
}


def produce_and_fetch(broker: Broker, megabytes: int) -> Figures:
    """1 KB records in large batches by confluent-kafka, then read back."""
    topic = loads.new_topic(broker.bootstrap, 4)
    figures: Figures = {}
    for name, load in (("produce", loads.produce), ("fetch", loads.consume)):
        before = broker.cpu_seconds()
        seconds = load(broker.bootstrap, topic, megabytes)
        figures[f"{name}: MB/s"] = megabytes / seconds
        figures[f"{name}: CPU s/GB"] = (broker.cpu_seconds() - before) / megabytes * 1000
    figures["peak memory, MB"] = broker.memory_mb("VmHWM")
    return figures


def tiny(broker: Broker, seconds: float = 4, connections: int = 50) -> Figures:
    """One tiny record per request, one request in flight on each of 50 connections."""
    topic = loads.new_topic(broker.bootstrap, 10)
    frames = [loads.tiny_produce_frame(topic, partition) for partition in range(10)]
    before = broker.cpu_seconds()
    answered, elapsed = loads.tiny_requests(broker.address, frames, connections, seconds)
    cpu = broker.cpu_seconds() - before
    return {"tiny: requests/s": answered / elapsed, "tiny: CPU s per 10,000 requests": cpu / answered * 10_000}


def first_record(broker: Broker) -> None:
    """One record of an auto-created topic, acknowledged, by a raw connection: the client's own start does not count."""
    frame = loads.tiny_produce_frame("first", 0, acks=-1)
    metadata = loads.metadata_frame("first")
    with socket.create_connection(broker.address) as connection:
        connection.sendall(metadata)
        loads.read_frame(connection)
        while True:
            connection.sendall(frame)
            if loads.produce_error(loads.read_frame(connection)) == 0:
                return


def start(make: Callable[[], Broker]) -> Figures:
    broker = make()
    ready = broker.ready_seconds
    until_ready = time.monotonic()
    first_record(broker)
    figures = {
        "start: to ready, s": ready,
        "start: to first acknowledged record, s": ready + time.monotonic() - until_ready,
        "start: idle memory, MB": broker.memory_mb(),
    }
    broker.stop()
    return figures


def alternate(
    makers: dict[str, Callable[[], Broker]], suites: list[str], rounds: int, megabytes: int
) -> dict[str, dict[str, list[float]]]:
    """Every suite against every broker in turn, `rounds` times; the first round warms both up and is not counted."""
    results: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in makers}

    def note(name: str, figures: Figures, counted: bool = True) -> None:
        for figure, value in figures.items():
            if counted:
                results[name][figure].append(value)
        print(f"  {name:12}", "  ".join(f"{figure} {value:.3g}" for figure, value in figures.items()), flush=True)

    if "start" in suites:
        print("start", flush=True)
        for _ in range(rounds):
            for name, make in makers.items():
                note(name, start(make))
    running = {name: make() for name, make in makers.items()} if set(suites) - {"start"} else {}
    try:
        for suite in ("data", "tiny"):
            if suite not in suites:
                continue
            for number in range(rounds + 1):
                print(f"{suite}, round {number}" + (" (warm-up)" if number == 0 else ""), flush=True)
                for name, broker in running.items():
                    figures = produce_and_fetch(broker, megabytes) if suite == "data" else tiny(broker)
                    note(name, figures, number > 0)
    finally:
        for broker in running.values():
            broker.stop()
    return results


def report(results: dict[str, dict[str, list[float]]]) -> None:
    names = list(results)
    print(
        f"\n{'median of the counted rounds':42}" + "".join(f"{name:>14}" for name in names) + f"{'ratio':>9}   target"
    )
    for figure in results[names[0]]:
        medians = [statistics.median(results[name][figure]) for name in names]
        ratio = f"{medians[0] / medians[1]:9.2f}" if len(medians) == 2 and medians[1] else " " * 9
        print(f"{figure:42}" + "".join(f"{value:14.3g}" for value in medians) + f"{ratio}   {TARGETS.get(figure, '')}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/dev.py bench", description=__doc__)
    parser.add_argument("suites", nargs="*", default=["start", "data", "tiny"], help="start, data, tiny")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--no-kafka", action="store_true", help="pykbroker alone")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pykbroker-bench-") as folder:
        fresh = iter(range(1_000_000))
        makers: dict[str, Callable[[], Broker]] = {"pykbroker": lambda: Pykbroker(Path(folder) / str(next(fresh)))}
        if not arguments.no_kafka:
            makers["Kafka 4.3.1"] = Kafka
        report(alternate(makers, arguments.suites, arguments.rounds, arguments.megabytes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
