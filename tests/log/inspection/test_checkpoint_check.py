"""Checkpoints of a log directory against where its logs end."""

from pathlib import Path

import pytest

from pykbroker.ids import ZERO_UUID, TopicPartition
from pykbroker.log.inspection.checkpoint_check import Checkpoints
from pykbroker.log.inspection.cluster_facts import ClusterFacts, TopicFacts
from pykbroker.log.inspection.partition_check import PartitionResult
from pykbroker.log.inspection.report import Severity
from tests.log.inspection.checking import Findings

RECOVERY_POINT = "recovery-point-offset-checkpoint"
HIGH_WATERMARK = "replication-offset-checkpoint"
TP = TopicPartition("t", 0)
RESULTS = {TP: PartitionResult(ZERO_UUID, 10, 50, 0, is_preallocated=False)}
ALONE = ClusterFacts({"t": TopicFacts(ZERO_UUID, is_compacted=False, replicas={0: (1,)})}, (), -1)
SHARED = ClusterFacts({"t": TopicFacts(ZERO_UUID, is_compacted=False, replicas={0: (1, 2)})}, (), -1)


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        for name in (RECOVERY_POINT, HIGH_WATERMARK):
            self.write(name, "t 0 50")

    def write(self, name: str, *lines: str) -> None:
        (self.path / name).write_text("".join(f"{line}\n" for line in ("0", str(len(lines)), *lines)))

    def check(self, facts: ClusterFacts | None = ALONE, *, is_clean: bool = True) -> Findings:
        findings = Findings()
        Checkpoints(str(self.path), findings.report, is_clean=is_clean).compare(
            RESULTS, {TopicPartition("f", 0)}, facts
        )
        return findings


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_sound(folder: Folder) -> None:
    assert folder.check() == []
    folder.write(RECOVERY_POINT, "f 0 3", "t 0 50")  # of a copy under way
    assert folder.check() == []


@pytest.mark.parametrize("offset", [49, 51, -1])
@pytest.mark.parametrize("name", [RECOVERY_POINT, HIGH_WATERMARK])
def test_after_a_clean_stop_everything_is_flushed_and_committed(folder: Folder, name: str, offset: int) -> None:
    folder.write(name, f"t 0 {offset}")
    finding = folder.check().only()
    assert (finding.severity, finding.path, finding.position) == (Severity.DEFECT, str(folder.path / name), 4)


def test_with_other_replicas_the_high_watermark_may_be_lower(folder: Folder) -> None:
    folder.write(HIGH_WATERMARK, "t 0 30")
    assert folder.check(SHARED) == []
    folder.write(HIGH_WATERMARK, "t 0 9")
    assert "begins at 10" in folder.check(SHARED).only().message


def test_after_a_kill(folder: Folder) -> None:
    folder.write(RECOVERY_POINT, "t 0 10")
    folder.write(HIGH_WATERMARK, "t 0 60", "gone 0 1")
    findings = folder.check(is_clean=False)
    assert [finding.severity for finding in findings] == [Severity.RECOVERY, Severity.NOTE]
    folder.write(RECOVERY_POINT, "t 0 60")  # flushed, and yet not there
    assert len(folder.check(is_clean=False).defects) == 1


def test_partitions_that_are_not_there_or_not_named(folder: Folder) -> None:
    folder.write(RECOVERY_POINT, "s 0 50")
    assert [finding.message for finding in folder.check()] == ["s-0 has no directory here", "t-0 is not named"]


def test_missing_and_broken_files(folder: Folder) -> None:
    (folder.path / RECOVERY_POINT).unlink()
    assert folder.check().only().severity is Severity.DEFECT
    assert folder.check(is_clean=False).only().severity is Severity.RECOVERY
    (folder.path / RECOVERY_POINT).write_text("0\n2\nt 0 50\n")
    assert folder.check()[0].position == 2


def test_named_twice(folder: Folder) -> None:
    folder.write("cleaner-offset-checkpoint", "t 0 20", "t 0 30")
    assert folder.check().only().position == 11
