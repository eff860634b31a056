"""Every topic config that concerns storage, with what shows that it has changed on a topic that is being written.

A Case is observed over and over, each time with fresh writes: on the topic whose config changes, until it shows, and on
a control topic that keeps the old value, where it must not.
"""

import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from compat_tests.disk import served
from compat_tests.wire.conftest import SocketAsker
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.builder import build_batch
from tests.handlers.broker.asker import Topic, produce

HOUR = 3_600_000
DAY = 24 * HOUR
SMALL = {"internal_segment_bytes": "300", "min_cleanable_dirty_ratio": "0.01"}
COMPACTED = {"cleanup_policy": "compact", **SMALL}
HOURLY = {"segment_ms": str(HOUR), "retention_ms": "-1", "segment_bytes": str(1 << 20)}
TEXT = b" ".join(b"%d bottles of beer on the wall, number %d" % (n, n * n % 977) for n in range(700))


class Live:
    """A broker that is written to, and its data directory."""

    def __init__(self, asker: SocketAsker, data_dir: Path, now_ms: int) -> None:
        self.asker = asker
        self.data_dir = data_dir
        self.now_ms = now_ms
        self._hours: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        self.tombstones: dict[str, bytes] = {}

    def write(self, topic: Topic, size: int = 200, *, key: bytes = b"key", age: int = 0, text: bytes = b"") -> Any:
        """One batch of one record, `age` milliseconds old; the row of the answer."""
        records = build_batch([(key, text or bytes(size), [], self.now_ms - age)])
        return produce(self.asker, topic, [(0, bytes(records))])[0]

    def later(self, topic: Topic) -> int:
        """Hours pass on this topic: the age of what is written next."""
        self._hours[topic.name] = self._hours.get(topic.name, 0) + 2
        return 300 * DAY - self._hours[topic.name] * HOUR

    def files(self, topic: Topic, pattern: str) -> list[Path]:
        return sorted((self.data_dir / f"{topic.name}-0").glob(pattern))

    def segments(self, topic: Topic) -> int:
        return len(self.files(topic, "*.log"))

    def earliest(self, topic: Topic) -> int:
        return int(served.offset_for(self.asker, topic, 0, served.EARLIEST).offset)

    def latest(self, topic: Topic) -> int:
        return int(served.offset_for(self.asker, topic, 0, served.LATEST).offset)

    def recovery_point(self, topic: Topic) -> int:
        """As the checkpoint file says it: below that everything was flushed."""
        rows = (line.split() for line in (self.data_dir / "recovery-point-offset-checkpoint").read_text().splitlines())
        return next((int(row[2]) for row in rows if len(row) == 3 and row[0] == topic.name), 0)


class Case(NamedTuple):
    """`broker_name`: the default for topics; `before`: the value that it has first, None for Kafka's default;
    `settings`: others that the topics have. `default` is what the control topic is given."""

    name: str
    broker_name: str
    value: str
    default: str
    shows: Callable[[Live, Topic], bool]
    settings: Mapping[str, str] = {}
    before: str | None = None


def rolls_by_size(live: Live, topic: Topic) -> bool:
    live.write(topic, 600_000)
    live.write(topic, 600_000)
    return live.segments(topic) > 1


def rolls_by_time(live: Live, topic: Topic) -> bool:
    live.write(topic, age=10_000)
    live.write(topic)
    return live.segments(topic) > 1


def rolls_a_little_earlier(live: Live, topic: Topic) -> bool:
    """A segment's jitter is drawn when it begins."""
    live.write(topic, age=(age := live.later(topic)))
    before = live.segments(topic)
    live.write(topic, age=age - HOUR + 1000)
    return live.segments(topic) > before


def rolls_when_the_index_is_full(live: Live, topic: Topic) -> bool:
    """It is as large as it was configured when its segment began."""
    age = live.later(topic)
    live.write(topic, age=age)
    before = live.segments(topic)
    for step in range(6):
        live.write(topic, age=age - step)
    return live.segments(topic) > before


def indexes_every_batch(live: Live, topic: Topic) -> bool:
    for _ in range(3):
        live.write(topic)
    (index,) = live.files(topic, "*.index")
    return index.stat().st_size >= 8 and struct.unpack(">ii", index.read_bytes()[:8]) != (0, 0)


def begins_with_a_long_file(live: Live, topic: Topic) -> bool:
    live.write(topic, age=live.later(topic))
    return live.files(topic, "*.log")[-1].stat().st_size == 1 << 20


def deletes_old_segments(live: Live, topic: Topic) -> bool:
    live.write(topic, age=3 * HOUR)
    return live.earliest(topic) > 0


def removes_what_was_deleted(live: Live, topic: Topic) -> bool:
    return deletes_old_segments(live, topic) and not live.files(topic, "*.deleted")


def flushes(live: Live, topic: Topic) -> bool:
    live.write(topic)
    return live.recovery_point(topic) > 0


def compacts(live: Live, topic: Topic) -> bool:
    for _ in range(3):
        live.write(topic)
    return len(served.read_committed(live.asker, topic, 0)) < live.latest(topic)


def forgets_tombstones(live: Live, topic: Topic) -> bool:
    """The first one that was written."""
    if topic.name not in live.tombstones:
        key = live.tombstones[topic.name] = b"gone"
        records = build_batch([(key, None, [], live.now_ms)])
        assert produce(live.asker, topic, [(0, bytes(records))])[0].error_code == 0
    for _ in range(3):
        live.write(topic)
    keys = [row["key"] for row in served.partition(live.asker, topic, 0)["records"]]
    return live.tombstones[topic.name].hex() not in keys


def refuses_large_batches(live: Live, topic: Topic) -> bool:
    return bool(live.write(topic, 1000).error_code == ErrorCode.MESSAGE_TOO_LARGE)


def tells_its_own_time(live: Live, topic: Topic) -> bool:
    return bool(live.write(topic).log_append_time_ms >= 0)


def refuses_times(age: int) -> Callable[[Live, Topic], bool]:
    return lambda live, topic: bool(live.write(topic, age=age).error_code == ErrorCode.INVALID_TIMESTAMP)


def last_batch(live: Live, topic: Topic) -> tuple[int, int]:
    """(codec, bytes)."""
    *_, (header, data) = served.fetch_all(live.asker, topic, 0)
    return header.attributes & 7, len(data)


def compresses(live: Live, topic: Topic) -> bool:
    live.write(topic)
    return last_batch(live, topic)[0] == 4


def compresses_otherwise(live: Live, topic: Topic) -> bool:
    """Than the first time."""
    live.write(topic, text=TEXT)
    _, size = last_batch(live, topic)
    return size != live.sizes.setdefault(topic.name, size)


CASES = (
    Case("segment.bytes", "log.segment.bytes", str(1 << 20), str(1 << 30), rolls_by_size),
    Case("segment.ms", "log.roll.ms", "1", str(7 * DAY), rolls_by_time),
    Case("segment.jitter.ms", "log.roll.jitter.ms", str(7 * DAY), "0", rolls_a_little_earlier, HOURLY),
    Case(
        "segment.index.bytes",
        "log.index.size.max.bytes",
        "24",
        "10485760",
        rolls_when_the_index_is_full,
        {**HOURLY, "index_interval_bytes": "0"},
    ),
    Case("index.interval.bytes", "log.index.interval.bytes", "0", "4096", indexes_every_batch),
    Case("preallocate", "log.preallocate", "true", "false", begins_with_a_long_file, HOURLY),
    Case("retention.ms", "log.retention.ms", str(HOUR), str(7 * DAY), deletes_old_segments),
    Case("retention.bytes", "log.retention.bytes", "1", "-1", deletes_old_segments, SMALL),
    Case(
        "file.delete.delay.ms",
        "log.segment.delete.delay.ms",
        "0",
        "60000",
        removes_what_was_deleted,
        {"retention_ms": str(HOUR)},
    ),
    Case("flush.messages", "log.flush.interval.messages", "1", str(2**63 - 1), flushes),
    Case("flush.ms", "log.flush.interval.ms", "1", str(2**63 - 1), flushes),
    Case("cleanup.policy", "log.cleanup.policy", "compact", "delete", compacts, SMALL),
    Case(
        "min.cleanable.dirty.ratio",
        "log.cleaner.min.cleanable.ratio",
        "0.01",
        "1.0",
        compacts,
        {"internal_segment_bytes": "300", "cleanup_policy": "compact"},
        "1.0",
    ),
    Case("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms", "0", str(DAY), compacts, COMPACTED, str(DAY)),
    Case(
        "max.compaction.lag.ms",
        "log.cleaner.max.compaction.lag.ms",
        "1",
        str(2**63 - 1),
        compacts,
        {**COMPACTED, "min_cleanable_dirty_ratio": "1.0"},
    ),
    Case("delete.retention.ms", "log.cleaner.delete.retention.ms", "0", str(DAY), forgets_tombstones, COMPACTED),
    Case("max.message.bytes", "message.max.bytes", "100", "1048588", refuses_large_batches),
    Case("message.timestamp.type", "log.message.timestamp.type", "LogAppendTime", "CreateTime", tells_its_own_time),
    Case(
        "message.timestamp.before.max.ms",
        "log.message.timestamp.before.max.ms",
        str(HOUR),
        str(2**63 - 1),
        refuses_times(2 * HOUR),
    ),
    Case(
        "message.timestamp.after.max.ms",
        "log.message.timestamp.after.max.ms",
        "60000",
        str(HOUR),
        refuses_times(-HOUR // 2),
    ),
    Case("compression.type", "compression.type", "zstd", "producer", compresses),
    Case(
        "compression.gzip.level",
        "compression.gzip.level",
        "1",
        "9",
        compresses_otherwise,
        {"compression_type": "gzip"},
        "9",
    ),
    Case(
        "compression.lz4.level",
        "compression.lz4.level",
        "1",
        "17",
        compresses_otherwise,
        {"compression_type": "lz4"},
        "17",
    ),
    Case(
        "compression.zstd.level",
        "compression.zstd.level",
        "1",
        "19",
        compresses_otherwise,
        {"compression_type": "zstd"},
        "19",
    ),
)
