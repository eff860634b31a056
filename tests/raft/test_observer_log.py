"""The log of an observer on its own: what it takes, what counts, what a crash leaves."""

from pathlib import Path

import pytest

from pykbroker.clock import ManualClock
from pykbroker.errors import MalformedFrame
from pykbroker.log.files import Files
from pykbroker.raft import control, snapshot
from pykbroker.raft.metadata_log import LoadedBatch
from pykbroker.raft.observer_log import MetadataLost, ObserverLog
from pykbroker.raft.opening import open_observer_log
from pykbroker.raft.snapshot import SnapshotId
from pykbroker.record.damage import CorruptBatch
from tests.raft.logs import NOW, PARTITION, WatchedFiles, config
from tests.raft.test_observer import SNAPSHOT, batch


def open_log(folder: Path, files: Files | None = None) -> ObserverLog:
    folder.mkdir(exist_ok=True)
    return open_observer_log(str(folder), files=files or Files(), clock=ManualClock(wall_ms=NOW), config=config())


def offsets(batches: list[LoadedBatch]) -> list[int]:
    return [each.last_offset for each in batches]


def test_a_fresh_log_is_empty_and_nobody_formats_it(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    assert (log.end_offset, log.last_epoch, log.high_watermark, log.latest_snapshot()) == (0, 0, 0, None)
    assert [each.name for each in tmp_path.iterdir()] == [PARTITION]


def test_batches_are_kept_as_they_came(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    sent = batch(0, "a", "b") + batch(2, "c", epoch=4)
    log.append_as_follower(bytearray(sent), 4)
    assert (tmp_path / PARTITION / f"{0:020}.log").read_bytes() == sent
    assert (log.end_offset, log.last_epoch) == (3, 4)


def test_batches_of_a_later_epoch_than_the_leaders_are_not_taken(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.append_as_follower(bytearray(batch(0, "a") + batch(1, "b", epoch=4)), 3)
    assert (log.end_offset, log.last_epoch) == (1, 1)


def test_a_damaged_batch_is_not_taken(tmp_path: Path) -> None:
    log, damaged = open_log(tmp_path), bytearray(batch(0, "a"))
    damaged[-1] ^= 1
    with pytest.raises(CorruptBatch):
        log.append_as_follower(damaged, 1)
    assert log.end_offset == 0


def test_each_batch_counts_once_and_in_order(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.append_as_follower(bytearray(batch(0, "a") + batch(1, "b", "c") + batch(3, "d")), 1)
    assert offsets(list(log.committed())) == []
    log.commit(3)
    assert offsets(list(log.committed())) == [0, 2]
    assert offsets(list(log.committed())) == []
    log.commit(99)
    assert (offsets(list(log.committed())), log.high_watermark) == ([3], 4)


def test_control_records_tell_of_the_quorum(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    change = control.leader_change(100, [100])
    log.append_as_follower(
        control.control_batch([(control.LEADER_CHANGE, change)], base_offset=0, epoch=1, timestamp=5), 1
    )
    log.commit(1)
    assert [(each.last_offset, each.records, each.is_snapshot) for each in log.committed()] == [(0, [], False)]


def test_the_high_watermark_does_not_fall(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.append_as_follower(bytearray(batch(0, "a") + batch(1, "b")), 1)
    log.commit(2)
    log.commit(1)
    log.commit(-1)
    assert log.high_watermark == 2


@pytest.mark.parametrize(
    ("epoch", "end", "expected"),
    [(1, 1, 1), (1, 9, 2), (2, 3, 2), (0, 1, 1), (3, 2, 2), (3, 9, 4), (5, 9, 4)],
    ids=["inside", "ours is shorter", "an epoch we do not have", "no epoch", "the last", "beyond the end", "unknown"],
)
def test_where_two_histories_part(tmp_path: Path, epoch: int, end: int, expected: int) -> None:
    log = open_log(tmp_path)
    log.append_as_follower(
        bytearray(batch(0, "a") + batch(1, "b") + batch(2, "c", epoch=3) + batch(3, "d", epoch=3)), 3
    )
    assert (log.truncate(epoch, end), log.end_offset) == (expected, expected)


def test_nothing_committed_is_cut(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.append_as_follower(bytearray(batch(0, "a") + batch(1, "b")), 1)
    log.commit(2)
    with pytest.raises(MetadataLost, match=r"stop this node and delete .*__cluster_metadata-0, which is but a copy"):
        log.truncate(1, 1)


def test_no_snapshot_takes_back_what_was_committed(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.append_as_follower(bytearray(batch(0, "a") + batch(1, "b")), 1)
    log.commit(2)
    with pytest.raises(MetadataLost, match=r"snapshot ends at offset 1, .* up to 2: .*__cluster_metadata-0"):
        log.start_download(SnapshotId(1, 1))
    assert (log.end_offset, log.snapshots()) == (2, [])


@pytest.mark.parametrize("name", [SnapshotId(-1, 1), SnapshotId(1, -1)])
def test_half_a_name_is_no_snapshot(tmp_path: Path, name: SnapshotId) -> None:
    with pytest.raises(MalformedFrame):
        open_log(tmp_path).start_download(name)


def test_a_log_that_begins_behind_every_snapshot_is_refused(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    download = log.start_download(SnapshotId(40, 3))
    download.add(SNAPSHOT)
    download.finish()
    log.append_as_follower(bytearray(batch(40, "a", epoch=3)), 3)
    log.close()
    (tmp_path / PARTITION / SnapshotId(40, 3).file_name).unlink()
    with pytest.raises(MetadataLost, match="starts at offset 40, but no snapshot in it reaches there"):
        open_log(tmp_path)


def test_a_snapshot_that_outlived_its_log_is_right(tmp_path: Path) -> None:
    """A power cut took the log, for which nobody waited; the snapshot was synced."""
    log = open_log(tmp_path)
    log.append_as_follower(bytearray(batch(0, "a")), 1)
    log.close()
    (tmp_path / PARTITION / SnapshotId(40, 3).file_name).write_bytes(SNAPSHOT)
    log = open_log(tmp_path)
    assert (log.start_offset, log.end_offset, log.last_epoch, log.high_watermark) == (40, 40, 3, 40)
    loaded = list(log.committed())
    assert [(each.last_offset, each.epoch, each.is_snapshot, len(each.records)) for each in loaded] == [
        (39, 3, True, 2)
    ]


def test_remains_of_a_download_go_at_the_next_start(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.start_download(SnapshotId(40, 3)).add(SNAPSHOT[:50])
    log.close()
    log = open_log(tmp_path)
    assert log.latest_snapshot() is None
    assert not list((tmp_path / PARTITION).glob("*checkpoint*"))[1:], "leader-epoch-checkpoint alone"


def test_the_log_is_durable_before_a_snapshot_of_it_is_there(tmp_path: Path) -> None:
    """A restart does not look at what is below a snapshot."""
    files = WatchedFiles()
    log = open_log(tmp_path, files)
    log.append_as_follower(bytearray(batch(0, "a")), 1)
    log.commit(1)
    files.take()

    def write() -> SnapshotId:
        path = log.snapshot_path(SnapshotId(1, 1))
        snapshot.write(path, [], epoch=1, timestamp=0, now_ms=0, files=files)
        return SnapshotId(1, 1)

    assert log.durable_snapshot_job(write)() == SnapshotId(1, 1)
    synced = files.take()
    assert synced[0] == f"{0:020}.log"
    assert any("checkpoint" in name for name in synced[1:])
