"""What the tests of the log share: opening one, batches to append, the golden directories."""

import gzip
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pykbroker.clock import ManualClock
from pykbroker.config.topic_config import TopicConfig
from pykbroker.ids import TopicPartition
from pykbroker.log.files import Files
from pykbroker.log.recovery import load_log
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.record.batch import BatchHeader, iterate_batches
from pykbroker.record.builder import build_batch
from tests.golden_data import golden_path

NOW = 1_795_478_060_000


class Unsynced(Files):
    """Without fsync: for tests that kill processes, not machines."""

    def fsync(self, fd: int) -> None:
        return

    def fsync_directory(self, path: str) -> None:
        return


def topic_config(**values: Any) -> TopicConfig:
    """Kafka's defaults but for `values`; also such as a topic's owner may not set."""
    config = TopicConfig()
    config.__dict__.update(values)
    return config


def open_log(
    directory: Path,
    *,
    clean: bool = True,
    recovery_point: int = 0,
    log_start_offset: int = 0,
    files: Files | None = None,
    clock: ManualClock | None = None,
    **config: Any,
) -> UnifiedLog:
    """The log in `directory`, which is made; its name says topic and partition."""
    directory.mkdir(parents=True, exist_ok=True)
    topic, _, partition = directory.name.rpartition("-")
    return load_log(
        directory=str(directory),
        topic_partition=TopicPartition(topic, int(partition)),
        config=topic_config(**config),
        files=files if files is not None else Unsynced(),
        clock=clock or ManualClock(wall_ms=NOW),
        was_clean=clean,
        recovery_point=recovery_point,
        log_start_offset=log_start_offset,
        producer_id_expiration_ms=2**31 - 1,
    )


def batch(timestamps: Sequence[int] = (NOW,), value: bytes = b"v" * 50, **fields: Any) -> bytearray:
    return build_batch([(b"k", value, [], timestamp) for timestamp in timestamps], **fields)


def append(log: UnifiedLog, records: bytearray, leader_epoch: int = 0, origin: str = "coordinator") -> int:
    """Appends and commits; returns the first offset."""
    info = log.append_as_leader(records, leader_epoch, NOW, origin=origin)
    log.update_high_watermark(log.log_end_offset)
    return info.first_offset


def golden_directory(state: str, into: Path) -> tuple[Path, dict[str, Any]]:
    """A data directory of the real Kafka (clean, killed or torn), unpacked, and its manifest."""
    with tarfile.open(golden_path("disk", f"{state}.tar.gz")) as archive:
        archive.extractall(into, filter="data")
    with gzip.open(golden_path("disk", f"{state}.manifest.json.gz"), "rt", encoding="utf-8") as text:
        manifest: dict[str, Any] = json.load(text)
    return into / "data", manifest


def read_all(log: UnifiedLog, upper_bound: int | None = None) -> Iterator[tuple[BatchHeader, bytes]]:
    """Every batch from the log start offset on, one read after the other as a consumer does it."""
    offset, end = log.log_start_offset, log.log_end_offset if upper_bound is None else upper_bound
    while offset < end:
        found = log.read(offset, 1000, upper_bound=end, min_one=True)
        if not found.segments:
            return
        for region in found.segments:
            data = os.pread(region.file.fileno(), region.length, region.position)
            for header, position in iterate_batches(data):
                yield header, data[position : position + header.size_in_bytes]
                offset = header.last_offset + 1


class FailingFiles(Unsynced):
    """The operations named in `failing` raise that errno: a full disk (ENOSPC), a broken one (EIO)."""

    def __init__(self) -> None:
        self.failing: dict[str, int] = {}

    def __getattribute__(self, name: str) -> Any:
        failing = object.__getattribute__(self, "__dict__").get("failing", {})
        if name in failing:
            raise OSError(failing[name], os.strerror(failing[name]))
        return object.__getattribute__(self, name)
