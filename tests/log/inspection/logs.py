"""Logs that we write ourselves, and one partition's check of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pykbroker.ids import TopicPartition, Uuid
from pykbroker.log.files import Files
from pykbroker.log.inspection.partition_check import PartitionPlace, PartitionResult, check_partition
from pykbroker.log.partition_metadata import write_partition_metadata
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.record.control import end_transaction_batch
from tests.log.inspection.checking import Findings
from tests.log.logs import NOW, append, batch, open_log

TP = TopicPartition("t", 0)


class Written:
    """A partition's directory and what its log directory knows of it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / str(TP)
        self.is_clean = True
        self.recovery_point = 0
        self.log_start_offset = 0
        self.may_be_compacted = False

    def check(self) -> tuple[Findings, PartitionResult]:
        findings = Findings()
        place = PartitionPlace(
            str(self.path), TP, self.is_clean, self.recovery_point, self.log_start_offset, self.may_be_compacted
        )
        return findings, check_partition(place, findings.report, [])

    def findings(self) -> Findings:
        return self.check()[0]

    @contextmanager
    def opened(self, **config: int) -> Iterator[UnifiedLog]:
        """Closed in order at the end."""
        self.path.mkdir(parents=True, exist_ok=True)
        if not (self.path / "partition.metadata").exists():
            write_partition_metadata(Files(), str(self.path), Uuid(range(16)))
        log = open_log(self.path, **{"segment_bytes": 2000, "index_interval_bytes": 200, **config})
        yield log
        log.close()


def write_transactions(log: UnifiedLog) -> None:
    """Two producers, one aborts; and plain batches of a third between, over several segments."""
    for round_ in range(8):
        for producer in (1, 2):
            fields = {"producer_id": producer, "producer_epoch": 0, "base_sequence": 2 * round_}
            append(log, batch([NOW + round_, NOW - round_], is_transactional=True, **fields))
        append(log, batch([NOW + round_], value=b"w" * 100))
        for producer in (2, 1):
            marker = end_transaction_batch(
                commit=producer == 1, producer_id=producer, producer_epoch=0, coordinator_epoch=3, timestamp=NOW
            )
            append(log, marker, origin="coordinator")


def segments(path: Path, suffix: str = ".log") -> list[Path]:
    return sorted(path.glob(f"*{suffix}"))
