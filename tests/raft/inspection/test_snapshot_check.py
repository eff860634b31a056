"""Snapshots of the metadata log: whole, readable, replayable."""

from pathlib import Path

import pytest

from pykbroker.protocol.metadata_records import frame_record
from pykbroker.protocol.persisted.metadata.feature_level_record import FeatureLevelRecord
from pykbroker.protocol.persisted.metadata.remove_topic_record import RemoveTopicRecord
from pykbroker.raft import snapshot
from pykbroker.raft.inspection.snapshot_check import check_snapshot
from pykbroker.raft.snapshot import SnapshotId
from tests.log.inspection.checking import Findings, flip

ID = SnapshotId(10, 2)
NOW = 1_795_478_060_000
LEVEL = frame_record(FeatureLevelRecord(name="metadata.version", feature_level=30), 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / ID.file_name
    write(path, [LEVEL])
    return path


def write(path: Path, values: list[bytes]) -> None:
    snapshot.write(str(path), values, epoch=2, timestamp=NOW, now_ms=NOW, mode=0o600)


def check(path: Path, snapshot_id: SnapshotId | None = ID) -> Findings:
    findings = Findings()
    image = check_snapshot(str(path), snapshot_id, findings.report)
    assert (image is None) == bool(findings)
    return findings


def test_the_image(path: Path) -> None:
    findings = Findings()
    image = check_snapshot(str(path), ID, findings.report)
    assert image is not None
    assert (image.offset, image.epoch, image.features.metadata_version) == (9, 2, 30)
    assert check(path, None) == []


def test_every_flipped_bit(path: Path) -> None:
    for position in range(path.stat().st_size):
        bit = 1 << position % 8
        flip(path, position, bit)
        assert check(path), (position, bit)
        flip(path, position, bit)


def test_every_truncation(path: Path) -> None:
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert check(path), size


def test_the_epoch_is_that_of_the_name(path: Path) -> None:
    assert "epoch 2 in a snapshot of epoch 3" in check(path, SnapshotId(10, 3))[0].message


def test_records_that_do_not_follow(path: Path) -> None:
    write(path, [LEVEL, frame_record(RemoveTopicRecord(), 0)])
    finding = check(path).only()
    assert finding.offset == 2
    write(path, [LEVEL, LEVEL + b"\0"])
    assert "left over" in check(path).only().message
