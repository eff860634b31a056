"""The metadata log against its snapshots, and from where replaying goes on."""

from pathlib import Path

from pykbroker.raft import snapshot
from pykbroker.raft.inspection.data_check import DataCheck
from pykbroker.raft.snapshot import SnapshotId, find_snapshots
from tests.log.inspection.checking import Findings, Inspected
from tests.raft.inspection.test_snapshot_check import LEVEL

LOG = "__cluster_metadata-0/00000000000000000000.log"
FOLDER = "__cluster_metadata-0"


def path_of(inspected: Inspected, snapshot_id: SnapshotId) -> Path:
    return inspected.path / FOLDER / snapshot_id.file_name


def test_a_snapshot_that_differs_from_the_log(clean: Inspected) -> None:
    first = find_snapshots(str(clean.path / FOLDER))[0]
    path = path_of(clean, first)
    path.unlink()
    snapshot.write(str(path), [LEVEL], epoch=first.epoch, timestamp=0, now_ms=0)
    finding = clean.check().only()
    assert (finding.kind, finding.path, finding.offset) == ("metadata snapshot", str(path), first.end_offset)
    assert "topics" in finding.message


def test_the_name_says_another_epoch_than_the_log(clean: Inspected) -> None:
    first = find_snapshots(str(clean.path / FOLDER))[0]
    values = snapshot.read(str(path_of(clean, first))).values
    path_of(clean, first).unlink()
    other = first._replace(epoch=0)
    snapshot.write(str(path_of(clean, other)), values, epoch=0, timestamp=0, now_ms=0)
    assert "its name says epoch 0" in clean.check().only().message


def test_damage_before_a_snapshot_still_leaves_an_image(clean: Inspected) -> None:
    """Otherwise every partition would be told as unknown."""
    clean.flip(LOG, 500)
    findings = Findings()
    check = DataCheck([str(clean.path)], findings.report)
    check.run()
    assert [finding.kind for finding in findings] == ["checksum"]
    assert check.facts is not None
    assert "plain" in check.facts.topics


def test_damage_behind_all_snapshots_leaves_none(clean: Inspected) -> None:
    for found in find_snapshots(str(clean.path / FOLDER)):
        path_of(clean, found).unlink()
    clean.flip(LOG, 500)
    findings = clean.check()
    assert {finding.kind for finding in findings} == {"checksum", "metadata log"}


def test_a_log_shorter_than_its_snapshot(clean: Inspected) -> None:
    newest = find_snapshots(str(clean.path / FOLDER))[-1]
    beyond = SnapshotId(10_000, newest.epoch)
    path_of(clean, newest).rename(path_of(clean, beyond))
    assert "ahead of the log" in clean.check().only().message
