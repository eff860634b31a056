"""The data directories that real Kafka left (clean, killed, torn), opened with their topics' configs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pykbroker.clock import ManualClock
from pykbroker.config.topic_config import TopicConfig
from pykbroker.ids import TopicPartition
from pykbroker.log.log_manager import LogManager
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.record.reader import Record, iterate_records
from tests.log.logs import NOW, Unsynced, golden_directory, read_all, topic_config

STATES = ["clean", "killed", "torn"]
LARGEST_INT = 2**31 - 1


class GoldenDirectory:
    """An unpacked directory, its manifest, and the logs in it; `clock` stands at the time of the manifest."""

    def __init__(self, state: str, into: Path) -> None:
        self.path, self.manifest = golden_directory(state, into)
        self.state = state
        self.served: dict[str, Any] = self.manifest["served"]["topics"]
        self.files: dict[str, Any] = self.manifest["files"]
        self.clock = ManualClock(wall_ms=NOW)
        self.manager = LogManager(
            [str(self.path)], files=Unsynced(), clock=self.clock, producer_id_expiration_ms=LARGEST_INT
        )

    def load(self) -> "GoldenDirectory":
        self.manager.open(node_id=1, cluster_id=None, new_cluster_id=lambda: "new")
        self.manager.load(self.config)
        for log in self.manager.all():
            log.update_high_watermark(log.log_end_offset)
        return self

    def config(self, topic: str) -> TopicConfig:
        """Also what Kafka keeps internal: the size of segments below 1 MiB."""
        values: dict[str, Any] = {"segment_index_bytes": 16384}  # the broker ran with it
        for name, value in self.served.get(topic, {}).get("configs", {}).items():
            attribute = name.removeprefix("internal.").replace(".", "_")
            if type(getattr(TopicConfig, attribute)) is int:
                values[attribute] = int(value)
            elif attribute in ("cleanup_policy", "message_timestamp_type"):
                values[attribute] = value.split(",") if attribute == "cleanup_policy" else value
        return topic_config(**values)

    def partitions(self) -> Iterator[tuple[TopicPartition, UnifiedLog, dict[str, Any]]]:
        """Each with what stock clients were served of it."""
        for topic, described in self.served.items():
            for number, served in described["partitions"].items():
                tp = TopicPartition(topic, int(number))
                log = self.manager.get(tp)
                assert log is not None, tp
                yield tp, log, served

    def segment_files(self, suffix: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Files of partitions with that suffix, with what lies in them."""
        for name, described in self.files.items():
            if name.endswith(suffix) and "/" in name:
                yield name, described


def records_of(log: UnifiedLog) -> list[Record]:
    """Of data batches, from the log start offset on."""
    found: list[Record] = []
    for header, data in read_all(log):
        if not header.is_control:
            found += [record for record in iterate_records(data) if record.offset >= log.log_start_offset]
    return found


def read_committed(log: UnifiedLog) -> list[int]:
    """The offsets that a consumer sees that leaves out aborted transactions, as the clients do it."""
    aborted = log.aborted_transactions(log.log_start_offset, log.last_stable_offset)
    return [
        record.offset
        for header, data in read_all(log, log.last_stable_offset)
        if not header.is_control
        and not any(
            header.is_transactional
            and header.producer_id == each.producer_id
            and each.first_offset <= header.base_offset <= each.last_offset
            for each in aborted
        )
        for record in iterate_records(data)
        if record.offset >= log.log_start_offset
    ]
