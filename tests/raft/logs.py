"""What the tests of the metadata log and of the controller share: opening one, files that remember what was synced."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pykbroker.clock import ManualClock
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.log.files import Files
from pykbroker.metadata.features import LATEST_METADATA_VERSION, record_version
from pykbroker.protocol.message import Message
from pykbroker.protocol.persisted.metadata.config_record import ConfigRecord
from pykbroker.raft.metadata_log import MetadataLog
from pykbroker.raft.opening import open_metadata_log

NOW = 1_795_478_060_000
PARTITION = "__cluster_metadata-0"


def config(**values: Any) -> BrokerConfig:
    """Kafka's defaults but for `values`, by attribute."""
    made = BrokerConfig()
    made.__dict__.update(values)
    return made


def open_log(
    folder: Path, *, files: Files | None = None, clock: ManualClock | None = None, **values: Any
) -> MetadataLog:
    folder.mkdir(parents=True, exist_ok=True)
    clock = clock or ManualClock(wall_ms=NOW)
    return open_metadata_log(str(folder), files=files or Files(), clock=clock, config=config(**values))


def setting(name: str, value: str = "v", topic: str = "t") -> ConfigRecord:
    """A record that is easy to tell from others."""
    return ConfigRecord(resource_type=2, resource_name=topic, name=name, value=value)


def latest(record: Message) -> int:
    """The version of a record in a fresh cluster."""
    return record_version(record, LATEST_METADATA_VERSION)


def append(log: MetadataLog, *names: str) -> int:
    """One batch with a setting per name."""
    return log.append([setting(name) for name in names], latest)


def names(log: MetadataLog) -> list[list[str]]:
    """The settings in the log, per batch; batches without any are left out."""
    loaded = [[record.name for record in batch.records if isinstance(record, ConfigRecord)] for batch in log.load()]
    return [batch for batch in loaded if batch]


class WatchedFiles(Files):
    """Remembers what was synced, and can fail."""

    def __init__(self) -> None:
        self.synced: list[str] = []
        self.fail_sync: OSError | None = None

    def fsync(self, fd: int) -> None:
        if self.fail_sync is not None:
            raise self.fail_sync
        self.synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))

    def fsync_directory(self, path: str) -> None:
        self.synced.append(os.path.basename(path) + "/")

    def take(self) -> Sequence[str]:
        synced, self.synced = self.synced, []
        return synced
