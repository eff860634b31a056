"""Whole directories: the real Kafka's are sound, every damage is found, and what needs only a start is told as such."""

import random
import shutil
from pathlib import Path

import pytest

from pykbroker.log.inspection.report import Severity
from tests.log.inspection.checking import Inspected
from tests.log.logs import golden_directory

TORN = {
    "plain-0/00000000000000000111.log",
    "plain-1/00000000000000000099.log",
    "append-time-0/00000000000000000064.log",
    "recompressed-0/00000000000000000000.log",
    "default.config_topic-1-0/00000000000000000000.log",
    "txn-0/00000000000000000140.index",
    "txn-0/00000000000000000140.timeindex",
    "txn-0/00000000000000000140.txnindex",
    "big-index-0/00000000000000000000.index",
    "__consumer_offsets-1/00000000000000000000.log",
    "replication-offset-checkpoint",
}
# One file of each kind, with enough in it that something else contradicts every bit of it.
DAMAGED = [
    "__cluster_metadata-0/00000000000000000000.log",
    "__cluster_metadata-0/00000000000000000110-0000000001.checkpoint",
    "__cluster_metadata-0/quorum-state",
    "__consumer_offsets-0/00000000000000000000.log",
    "bootstrap.checkpoint",
    "compacted-0/00000000000000000430.log",
    "compacted-txn-0/00000000000000000101.snapshot",
    "plain-0/partition.metadata",
    "plain-0/leader-epoch-checkpoint",
    "recovery-point-offset-checkpoint",
    "replication-offset-checkpoint",
    "log-start-offset-checkpoint",
    "trimmed-0/00000000000000000029.timeindex",
    "txn-0/00000000000000000084.log",
    "txn-0/00000000000000000084.index",
    "txn-0/00000000000000000084.timeindex",
    "txn-0/00000000000000000084.txnindex",
    "txn-0/00000000000000000084.snapshot",
    ".kafka_cleanshutdown",
]


def test_a_clean_directory_is_sound(clean: Inspected) -> None:
    assert clean.check(is_deep=True) == []


def test_after_a_kill_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert Inspected(golden_directory("killed", tmp_path)[0]).check(is_deep=True) == []


def test_torn_logs_need_recovery(torn: Inspected) -> None:
    """Exactly the files that were damaged; a snapshot that is gone is made again without a word."""
    findings = torn.check(is_deep=True)
    assert {finding.severity for finding in findings} == {Severity.RECOVERY}
    assert {str(Path(finding.path).relative_to(torn.path)) for finding in findings} == TORN


@pytest.mark.parametrize("name", DAMAGED)
def test_flipped_bits_and_truncations(clean: Inspected, name: str) -> None:
    dice = random.Random(name)
    path = clean.file(name)
    whole = path.read_bytes()
    positions = range(len(whole)) if len(whole) < 10 else dice.sample(range(len(whole)), 6)
    for position in positions:
        clean.flip(name, position, 1 << dice.randrange(8))
        _assert_named(clean, path, position)
        path.write_bytes(whole)
    for _ in range(3):
        size = dice.randrange(1, len(whole))
        if name.endswith(".index") and size % 8 == 0:
            continue  # it is sparse: still right
        clean.cut(name, size)
        _assert_named(clean, path, size)
        path.write_bytes(whole)
    assert clean.check() == []


def _assert_named(inspected: Inspected, path: Path, position: int) -> None:
    """As the place, or by what contradicts it: a checkpoint and a batch cannot tell which of them is wrong."""
    told = [f"{finding.path} {finding.message}" for finding in inspected.check().defects]
    log_start = path.name == "log-start-offset-checkpoint" and any("leader-epoch" in line for line in told)
    assert any(str(path) in line or path.name in line for line in told) or log_start, (path.name, position, told)


def test_two_directories_of_one_node(clean: Inspected, tmp_path: Path) -> None:
    """The second is a new one, which the broker did not register yet."""
    other = tmp_path / "other"
    other.mkdir()
    (other / ".kafka_cleanshutdown").write_bytes((clean.path / ".kafka_cleanshutdown").read_bytes())
    shutil.move(clean.path / "plain-1", other)
    for name in ("recovery-point-offset-checkpoint", "replication-offset-checkpoint"):
        clean.replace(name, "plain 1 128\n", "")
        clean.replace(name, "0\n25\n", "0\n24\n")
        (other / name).write_text("0\n1\nplain 1 128\n")
    text = (clean.path / "meta.properties").read_text()
    (other / "meta.properties").write_text(text)
    assert clean.check(other) == []
    (other / "meta.properties").write_text(text.replace("cluster.id=M", "cluster.id=N"))
    assert clean.check(other).only().kind == "meta.properties"
    (other / "meta.properties").write_text(text.replace("directory.id=O", "directory.id=P"))
    assert "registered" in clean.check(other).only().message
    (other / "meta.properties").write_text(text)
    shutil.copytree(other / "plain-1", clean.path / "plain-1")
    assert {"double", "checkpoint"} == {finding.kind for finding in clean.check(other)}


def test_a_partition_that_is_gone(clean: Inspected) -> None:
    shutil.rmtree(clean.path / "plain-1")
    findings = clean.check().defects
    assert {finding.kind for finding in findings} == {"checkpoint", "missing"}


def test_without_the_metadata_log(clean: Inspected) -> None:
    """One of several directories: less can be told, and nothing false."""
    shutil.rmtree(clean.path / "__cluster_metadata-0")
    assert clean.check() == []


def test_a_missing_quorum_state(clean: Inspected) -> None:
    (clean.path / "__cluster_metadata-0" / "quorum-state").unlink()
    assert clean.check().only().kind == "quorum state"
