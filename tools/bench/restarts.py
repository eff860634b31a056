"""What a broker's start costs when its directory holds many partitions: after a clean stop, after SIGKILL; its memory.

Each broker fills a directory once and is killed; every round restores a copy of that, so that all rounds recover the
same: every segment that was never flushed.
"""

import subprocess
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tools.bench.loads import CONNECTIONS, WINDOW, await_record, new_topic
from tools.bench.processes import Broker
from tools.bench.wire import Wire, batch_of, produce_error, produce_frame

NAME = "restarts"
Figures = dict[str, float]
RECORDS_PER_BATCH = 100  # of 1 kB
BATCHES_PER_MB = 10
SETTLE = 2.0  # seconds before memory is looked at
AFTER_KILL, AFTER_STOP = "restarts: recovery after SIGKILL, s", "restarts: start after a clean stop, s"
MEMORY = "restarts: memory after a clean start, MB"
TARGETS = {AFTER_KILL: "≤ 0.5", AFTER_STOP: "≤ 0.5", MEMORY: "≤ 0.25"}


class Restarts:
    """`make(folder)` starts a broker on a directory in `folder`, new or old."""

    def __init__(self, make: Callable[[Path], Broker], folder: Path, partitions: int, megabytes: int) -> None:
        self.make = make
        self.killed = folder / "killed"
        self.work = folder / "work"
        self.partitions = partitions
        self.megabytes = megabytes
        self.topic = ""

    def fill(self) -> Figures:
        """Leaves a killed broker's directory."""
        broker = self.make(self.killed)
        try:
            started = time.monotonic()
            self.topic = new_topic(broker.address, self.partitions)
            write(broker.address, self.topic, self.partitions, self.megabytes)
            seconds = time.monotonic() - started
            time.sleep(SETTLE)
            return {"restarts: filled in s": seconds, "restarts: memory after that, MB": broker.memory_mb()}
        finally:
            broker.kill()

    def round(self) -> Figures:
        subprocess.run(["rm", "-rf", self.work], check=True)
        # cp keeps holes: Kafka's preallocated indexes would be gigabytes without.
        subprocess.run(["cp", "-a", self.killed, self.work], check=True)
        subprocess.run(["sync", "-f", self.work], check=True)
        recovered = self.start()
        recovered[1].stop()
        clean = self.start()
        try:
            time.sleep(SETTLE)
            return {AFTER_KILL: recovered[0], AFTER_STOP: clean[0], MEMORY: clean[1].memory_mb()}
        finally:
            clean[1].stop()

    def start(self) -> tuple[float, Broker]:
        """Seconds from the process' start until the last partition acknowledged a record."""
        started = time.monotonic()
        broker = self.make(self.work)
        for partition in (0, self.partitions - 1):
            await_record(broker.address, self.topic, partition)
        return time.monotonic() - started, broker


def write(address: tuple[str, int], topic: str, partitions: int, megabytes: int) -> None:
    """Batches of 100 kB, one partition after the other. Raises RuntimeError."""
    batch = batch_of(RECORDS_PER_BATCH)
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(address)) for _ in range(CONNECTIONS)]
        under_way: deque[Wire] = deque()
        for number in range(megabytes * BATCHES_PER_MB):
            wire = wires[number % CONNECTIONS]
            wire.send(produce_frame(topic, number % partitions, batch))
            under_way.append(wire)
            if len(under_way) == WINDOW * CONNECTIONS:
                receive(under_way.popleft())
        for wire in under_way:
            receive(wire)


def receive(wire: Wire) -> None:
    if error := produce_error(wire.receive()):
        raise RuntimeError(f"a batch is refused with error {error}")
