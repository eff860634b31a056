"""How fast a broker compacts: a topic is filled while it is not due, then made due and watched until it is clean.

The clock runs from the change of the topic's config until the cleaner's checkpoint has the topic: on either side that
is one cleaning by one thread, map and copy and swap, and at most one back-off of 50 ms. Before it starts all that was
written is on disk, so that nobody's cleaning waits for the filling. Both get the same bytes.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # they are not in its __all__
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
)

from pykbroker.record.batch import HEADER_SIZE, LOG_OVERHEAD, batch_length_at
from pykbroker.record.builder import build_batch
from tools.bench.processes import Broker
from tools.bench.wire import Wire, produce_error, produce_frame

NAME = "compaction"
Figures = dict[str, float]
BATCH_SIZE = 16_384  # as Kafka's producers fill them
SEGMENT_SIZE = 32 * 1024 * 1024
KEYS = 20_000
PATIENCE = 300  # seconds
POLL = 0.01
CHECKPOINT = "cleaner-offset-checkpoint"
# name → size of a record's value
SIZES = {"1 kB records": 1000, "100 B records": 100}
TARGETS = {f"compaction: {name}, MB/s": "≥ 0.7" for name in SIZES}


class Compaction:
    """`make(folder)` starts a broker on a new directory in `folder`, which serves all rounds."""

    def __init__(self, make: Callable[[Path], Broker], folder: Path, megabytes: int) -> None:
        self.folder = folder
        self.megabytes = megabytes
        self.broker = make(folder)
        self.admin = AdminClient({"bootstrap.servers": self.broker.bootstrap})
        self._alter(ConfigResource(ConfigResource.Type.BROKER, "1"), "log.cleaner.backoff.ms", "50")
        self._number = 0

    def round(self) -> Figures:
        figures: Figures = {}
        for name, size in SIZES.items():
            self._number += 1
            topic = f"compacted-{self._number}"
            written = self._fill(topic, size)
            os.sync()
            cpu, started = self.broker.cpu_seconds(), time.monotonic()
            self._alter(ConfigResource(ConfigResource.Type.TOPIC, topic), "min.cleanable.dirty.ratio", "0.01")
            self._await_clean(topic)
            seconds = time.monotonic() - started
            figures[f"compaction: {name}, MB/s"] = written / seconds
            figures[f"compaction: {name}, CPU s/GB"] = (self.broker.cpu_seconds() - cpu) / written * 1000
        return figures

    def _fill(self, topic: str, size: int) -> float:
        """Megabytes that are to be cleaned. Raises RuntimeError."""
        config = {"cleanup.policy": "compact", "segment.bytes": str(SEGMENT_SIZE), "min.cleanable.dirty.ratio": "1"}
        self.admin.create_topics([NewTopic(topic, 1, 1, config=config)])[topic].result()
        written = 0
        with Wire(self.broker.address) as wire:
            for batch in self._batches(size):
                deadline = time.monotonic() + PATIENCE
                while error := produce_error(wire.ask(produce_frame(topic, 0, batch))):
                    if time.monotonic() > deadline:
                        raise RuntimeError(f"a record is refused with error {error}")
                written += len(batch)
        return written // SEGMENT_SIZE * SEGMENT_SIZE / 1_000_000

    def _batches(self, size: int) -> Iterator[bytes]:
        """Made once for all brokers and rounds: for small records that takes longer than the rest."""
        path = self.folder.parent / f"batches-{size}"
        if not path.exists():
            with path.open("wb") as file:
                made = batches(size)
                while file.tell() < self.megabytes * 1_000_000:
                    file.write(next(made))
        with path.open("rb") as file:
            while head := file.read(LOG_OVERHEAD):
                yield head + file.read((batch_length_at(head + bytes(HEADER_SIZE), 0) or 0) - LOG_OVERHEAD)

    def _await_clean(self, topic: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not any(f"\n{topic} 0 " in path.read_text() for path in self.folder.rglob(CHECKPOINT)):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{topic} was not compacted")
            time.sleep(POLL)

    def _alter(self, resource: ConfigResource, name: str, value: str) -> None:
        resource.add_incremental_config(ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET))
        for answer in self.admin.incremental_alter_configs([resource]).values():
            answer.result()

    def stop(self) -> None:
        self.broker.stop()


def batches(size: int) -> Iterator[bytes]:
    """Endless: random keys, values of `size` bytes."""
    random = Random(size)
    value = random.randbytes(size)
    count = BATCH_SIZE // (size + 20)
    while True:
        records = [(b"key-%08d" % random.randrange(KEYS), value, (), 1_700_000_000_000) for _ in range(count)]
        yield bytes(build_batch(records))
