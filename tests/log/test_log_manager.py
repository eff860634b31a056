"""All logs of a broker: loading, making, deleting, checkpoints, stopping, and directories that fail."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pykbroker.clock import ManualClock
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition, Uuid
from pykbroker.log.log_dir import LogDirError
from pykbroker.log.log_manager import LogManager
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.protocol.error_codes import ErrorCode
from tests.log.logs import NOW, FailingFiles, append, batch, topic_config

TP = TopicPartition("t", 0)
OTHER = TopicPartition("t", 1)
TOPIC_ID = Uuid.parse("PEXy-nNgToGi2RBdUPHsjQ")
RECOVERY, WATERMARK, START = (
    "recovery-point-offset-checkpoint",
    "replication-offset-checkpoint",
    "log-start-offset-checkpoint",
)


class Stand:
    """Starts managers on the same directories, one after the other."""

    def __init__(self, *paths: Path, **config: Any) -> None:
        self.paths = paths
        self.config = topic_config(**config)
        self.clock = ManualClock(wall_ms=NOW)
        self.files = FailingFiles()
        self.failed: list[str] = []
        self.manager = self.start()

    def start(self, node_id: int = 1, cluster_id: str | None = None) -> LogManager:
        self.manager = LogManager([str(path) for path in self.paths], clock=self.clock, files=self.files)
        self.manager.on_directory_failure = self.failed.append
        self.manager.open(node_id=node_id, cluster_id=cluster_id, new_cluster_id=lambda: "new-cluster")
        self.manager.load(lambda topic: self.config)
        return self.manager

    def restart(self, *, clean: bool = True) -> LogManager:
        self.manager.shutdown(5) if clean else self.manager.release()
        return self.start()

    def create(self, tp: TopicPartition = TP, batches: int = 0) -> None:
        log = self.manager.create(tp, TOPIC_ID, self.config)
        for _ in range(batches):
            append(log, batch())


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path / "data")


def state_of(log: UnifiedLog) -> dict[str, Any]:
    producers = log.producer_state
    return {
        "offsets": (log.log_start_offset, log.log_end_offset, log.high_watermark, log.recovery_point),
        "bases": [segment.base_offset for segment in log.segments],
        "topic id": log.topic_id,
        "is placed": log.is_placed,
        "epochs": log.leader_epochs.entries,
        "producers": (producers.map_end_offset, producers.last_snapshot_offset, sorted(producers.producers)),
        "files": {entry.name: entry.stat().st_size for entry in os.scandir(log.directory)},
    }


def storage_error(action: Callable[[], object]) -> None:
    with pytest.raises(KafkaError) as raised:
        action()
    assert raised.value.code == ErrorCode.KAFKA_STORAGE_ERROR


class TestOpening:
    def test_a_fresh_directory_is_formatted(self, stand: Stand) -> None:
        (directory,) = stand.manager.directories
        assert directory.cluster_id == "new-cluster"
        assert stand.manager.directory_ids == [directory.id]
        assert sorted(os.listdir(directory.path)) == [".lock", "meta.properties"]
        assert stand.restart().directories[0].id == directory.id

    def test_a_second_directory_joins_the_cluster_of_the_first(self, tmp_path: Path) -> None:
        Stand(tmp_path / "b").manager.release()
        stand = Stand(tmp_path / "a", tmp_path / "b")
        assert {directory.cluster_id for directory in stand.manager.directories} == {"new-cluster"}
        assert len(set(stand.manager.directory_ids)) == 2

    def test_another_nodes_directory(self, stand: Stand) -> None:
        stand.manager.release()
        with pytest.raises(LogDirError, match=r"belongs to node 1, not 2: set node\.id=1"):
            stand.start(node_id=2)

    def test_another_clusters_directory(self, stand: Stand) -> None:
        stand.manager.release()
        with pytest.raises(LogDirError, match="belongs to cluster new-cluster, not mine"):
            stand.start(cluster_id="mine")

    def test_the_broker_epoch_of_the_last_clean_stop(self, tmp_path: Path) -> None:
        stand = Stand(tmp_path / "a", tmp_path / "b")
        assert stand.manager.previous_broker_epoch() == -1
        assert stand.restart().previous_broker_epoch() == 5
        assert stand.restart(clean=False).previous_broker_epoch() == -1
        stand.manager.shutdown(6)
        (tmp_path / "b" / ".kafka_cleanshutdown").write_text('{"version":0,"brokerEpoch":7}')
        assert stand.start().previous_broker_epoch() == -1


class TestLogs:
    def test_made_found_and_loaded_again(self, stand: Stand) -> None:
        stand.create(batches=3)
        log = stand.manager.get(TP)
        assert log is not None
        assert log.topic_id == TOPIC_ID
        assert stand.manager.create(TP, TOPIC_ID, stand.config) is log
        assert stand.manager.get(OTHER) is None
        for clean in (True, False):
            again = stand.restart(clean=clean).get(TP)
            assert again is not None
            assert (again.log_end_offset, again.topic_id) == (3, TOPIC_ID)

    def test_a_new_one_is_as_one_loaded_from_an_empty_directory(self, stand: Stand) -> None:
        (stand.paths[0] / "t-1").mkdir()
        new, loaded = (stand.manager.create(tp, TOPIC_ID, stand.config) for tp in (TP, OTHER))
        for log in (new, loaded):
            log.producer_state.take_snapshot()
        assert state_of(new) == state_of(loaded)
        for log in (new, loaded):
            append(log, batch(producer_id=7, producer_epoch=0, base_sequence=0), leader_epoch=3)
            log.roll(NOW)
        assert state_of(new) == state_of(loaded)
        assert "00000000000000000001.snapshot" in state_of(new)["files"]

    def test_a_new_one_reads_nothing(self, stand: Stand) -> None:
        stand.files.failing = {"read_bytes": errno.EIO, "size_of": errno.EIO}
        stand.create()
        (stand.paths[0] / "t-1").mkdir()
        storage_error(lambda: stand.create(OTHER))

    def test_what_its_directory_holds_counts(self, stand: Stand) -> None:
        stand.create(batches=3)
        stand.manager.release()
        manager = LogManager([str(path) for path in stand.paths], clock=stand.clock, files=stand.files)
        manager.open(node_id=1, cluster_id=None, new_cluster_id=lambda: "another")
        assert manager.create(TP, TOPIC_ID, stand.config).log_end_offset == 3

    def test_the_directory_of_another_topic(self, stand: Stand) -> None:
        stand.create()
        with pytest.raises(KafkaError) as raised:
            stand.manager.create(TP, Uuid.random(), stand.config)
        assert raised.value.code == ErrorCode.INCONSISTENT_TOPIC_ID

    def test_a_directory_without_a_topic_id_gets_it(self, stand: Stand) -> None:
        stand.create()
        os.unlink(f"{stand.paths[0]}/t-0/partition.metadata")
        stand.restart()
        stand.create()
        assert (stand.paths[0] / "t-0" / "partition.metadata").exists()

    def test_the_directory_with_the_fewest_logs_takes_the_next(self, tmp_path: Path) -> None:
        stand = Stand(tmp_path / "a", tmp_path / "b")
        for partition in range(6):
            stand.create(TopicPartition("t", partition))
        assert len(list((tmp_path / "a").glob("t-*"))) == len(list((tmp_path / "b").glob("t-*"))) == 3

    def test_deleted_ones_are_renamed_then_removed(self, stand: Stand) -> None:
        stand.create(batches=1)
        stand.manager.delete(TP)
        assert stand.manager.get(TP) is None
        (name,) = [name for name in os.listdir(stand.paths[0]) if name.startswith("t-0")]
        assert name.endswith("-delete")
        stand.manager.remove_doomed_directories(stand.clock.monotonic() + 59)
        assert name in os.listdir(stand.paths[0])
        stand.manager.remove_doomed_directories(stand.clock.monotonic() + 60)
        assert name not in os.listdir(stand.paths[0])
        stand.manager.delete(TP)

    def test_a_deletion_is_finished_after_a_restart(self, stand: Stand) -> None:
        stand.create(batches=1)
        stand.manager.delete(TP)
        assert list(stand.restart().all()) == []
        stand.manager.remove_doomed_directories(stand.clock.monotonic())
        assert not [name for name in os.listdir(stand.paths[0]) if name.startswith("t-0")]

    def test_a_topic_made_again_begins_empty(self, stand: Stand) -> None:
        stand.create(batches=3)
        stand.manager.delete(TP)
        stand.create(batches=1)
        log = stand.manager.get(TP)
        assert log is not None
        assert log.log_end_offset == 1

    def test_checkpoints_of_the_earlier_one_do_not_count(self, stand: Stand) -> None:
        """Also when the broker is killed before they are written the next time."""
        stand.create(batches=3)
        log = stand.manager.get(TP)
        assert log is not None
        log.increment_log_start_offset(2)
        log.flush()
        stand.manager.checkpoint_log_start_offsets()
        stand.manager.checkpoint_recovery_points()
        stand.manager.delete(TP)
        stand.create(batches=3)
        log = stand.restart(clean=False).get(TP)
        assert log is not None
        assert (log.log_start_offset, log.recovery_point) == (0, 0)

    def test_what_is_no_partition_is_left_alone(self, stand: Stand) -> None:
        for name in ("__cluster_metadata-0", "lost+found", "t-0.0123456789abcdef0123456789abcdef-stray"):
            (stand.paths[0] / name).mkdir()
        (stand.paths[0] / "file-0").touch()
        assert list(stand.restart().all()) == []
        assert (stand.paths[0] / "__cluster_metadata-0").is_dir()

    def test_changed_configs_reach_the_topics_logs(self, stand: Stand) -> None:
        stand.create()
        stand.create(TopicPartition("u", 0))
        changed = topic_config(segment_bytes=77)
        stand.manager.update_config("t", changed)
        assert {log.topic_partition.topic: log.config is changed for log in stand.manager.all()} == {
            "t": True,
            "u": False,
        }


class TestCheckpoints:
    def read(self, stand: Stand, name: str) -> str:
        return (stand.paths[0] / name).read_text()

    def test_what_they_say(self, stand: Stand) -> None:
        stand.create(batches=3)
        log = stand.manager.get(TP)
        assert log is not None
        stand.manager.checkpoint_recovery_points()
        stand.manager.checkpoint_high_watermarks()
        stand.manager.checkpoint_log_start_offsets()
        assert self.read(stand, RECOVERY) == "0\n1\nt 0 0\n"
        assert self.read(stand, WATERMARK) == "0\n1\nt 0 3\n"
        assert self.read(stand, START) == "0\n0\n"
        log.flush()
        log.increment_log_start_offset(2)
        stand.manager.checkpoint_recovery_points()
        stand.manager.checkpoint_log_start_offsets()
        assert self.read(stand, RECOVERY) == "0\n1\nt 0 3\n"
        assert self.read(stand, START) == "0\n1\nt 0 2\n"

    @pytest.mark.parametrize("clean", [True, False])
    def test_they_are_believed(self, clean: bool, stand: Stand) -> None:
        stand.create(batches=5)
        log = stand.manager.get(TP)
        assert log is not None
        log.high_watermark = 3
        log.increment_log_start_offset(2)
        log.high_watermark = 4
        stand.manager.checkpoint_log_start_offsets()
        stand.manager.checkpoint_high_watermarks()
        again = stand.restart(clean=clean).get(TP)
        assert again is not None
        assert (again.log_start_offset, again.high_watermark, again.log_end_offset) == (2, 4, 5)
        assert again.recovery_point == (5 if clean else 0)

    @pytest.mark.parametrize("name", [RECOVERY, WATERMARK, START])
    def test_a_damaged_one_is_done_without(self, name: str, stand: Stand) -> None:
        stand.create(batches=5)
        stand.manager.shutdown(5)
        (stand.paths[0] / name).write_text("nonsense")
        again = stand.start().get(TP)
        assert again is not None
        assert again.log_end_offset == 5

    @pytest.mark.parametrize("fully", [False, True])
    def test_they_know_of_a_truncation(self, fully: bool, stand: Stand) -> None:
        """What a follower stores behind it is not synced, though its offsets were: a crash must have it looked at."""
        stand.create(batches=3)
        log = stand.manager.get(TP)
        assert log is not None
        log.flush()
        stand.manager.checkpoint_recovery_points()
        if fully:
            stand.manager.truncate_fully_and_start_at(log, 1)
        else:
            assert stand.manager.truncate_to(log, 1)
        append(log, batch((NOW,) * 5))
        assert (log.recovery_point, log.log_end_offset) == (1, 6)
        again = stand.restart(clean=False).get(TP)
        assert again is not None
        assert again.recovery_point == 1
        assert not stand.manager.truncate_to(again, 6)

    def test_a_recovery_point_comes_with_the_start_offset_that_moved_it(self, tmp_path: Path) -> None:
        """Below it nothing was synced: after a power cut those segments may hold anything."""
        stand = Stand(tmp_path / "data", segment_bytes=300)
        stand.create(batches=10)
        log = stand.manager.get(TP)
        assert log is not None
        last = log.active.base_offset
        log.increment_log_start_offset(last)
        log.flush()
        stand.manager.checkpoint_recovery_points()
        assert self.read(stand, START) == f"0\n1\nt 0 {last}\n"
        for segment in log.segments[:-1]:
            os.truncate(segment.path(".log"), segment.size - 1)
            os.unlink(segment.path(".index"))
        for name in os.listdir(log.directory):
            if name.endswith(".snapshot"):
                os.unlink(f"{log.directory}/{name}")
        again = stand.restart(clean=False).get(TP)
        assert again is not None
        assert (again.log_start_offset, again.log_end_offset) == (last, 10)

    def test_each_directory_has_its_own(self, tmp_path: Path) -> None:
        stand = Stand(tmp_path / "a", tmp_path / "b")
        stand.create()
        stand.create(OTHER)
        stand.manager.checkpoint_high_watermarks()
        texts = [(path / WATERMARK).read_text() for path in stand.paths]
        assert sorted(texts) == ["0\n1\nt 0 0\n", "0\n1\nt 1 0\n"]


class TestStopping:
    def test_a_clean_stop_leaves_what_kafka_leaves(self, stand: Stand) -> None:
        stand.create(batches=3)
        stand.create(OTHER)
        stand.manager.shutdown(12)
        assert sorted(os.listdir(stand.paths[0])) == sorted(
            [".kafka_cleanshutdown", ".lock", "meta.properties", "t-0", "t-1", RECOVERY, WATERMARK, START]
        )
        first = f"{0:020d}"
        logs = {f"{first}.log", f"{first}.index", f"{first}.timeindex", "partition.metadata"}
        assert set(os.listdir(stand.paths[0] / "t-0")) == {*logs, "leader-epoch-checkpoint", f"{3:020d}.snapshot"}
        assert set(os.listdir(stand.paths[0] / "t-1")) == logs

    def test_the_mark_goes_before_logs_are_loaded(self, stand: Stand) -> None:
        """A crash in the middle of loading is no clean stop (KAFKA-10471)."""
        stand.create(batches=1)
        stand.manager.shutdown(5)

        def crash(topic: str) -> Any:
            raise RuntimeError("crash")

        manager = LogManager([str(stand.paths[0])], clock=stand.clock, files=stand.files)
        manager.open(node_id=1, cluster_id=None, new_cluster_id=lambda: "x")
        with pytest.raises(RuntimeError, match="crash"):
            manager.load(crash)
        assert not (stand.paths[0] / ".kafka_cleanshutdown").exists()


class TestFailures:
    @pytest.fixture
    def two(self, tmp_path: Path) -> Stand:
        """A log in each of two directories."""
        stand = Stand(tmp_path / "a", tmp_path / "b")
        stand.create(batches=1)
        stand.create(OTHER, batches=1)
        return stand

    def fail(self, stand: Stand, operation: str, error: int = errno.ENOSPC) -> None:
        stand.files.failing[operation] = error

    @pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
    def test_a_failed_append_takes_the_directory_offline_and_no_other(self, error: int, two: Stand) -> None:
        log = two.manager.get(TP)
        assert log is not None
        self.fail(two, "pwrite", error)
        storage_error(lambda: append(log, batch()))
        two.files.failing.clear()
        assert two.failed == [str(two.paths[0])]
        assert (two.manager.get(TP), two.manager.is_offline(TP)) == (None, True)
        assert not two.manager.is_offline(OTHER)
        other = two.manager.get(OTHER)
        assert other is not None
        append(other, batch())
        assert len(two.manager.directory_ids) == 1
        storage_error(lambda: two.create(TP))

    def test_a_failed_directory_is_not_marked_clean(self, two: Stand) -> None:
        log = two.manager.get(TP)
        assert log is not None
        self.fail(two, "pwrite")
        storage_error(lambda: append(log, batch()))
        two.files.failing.clear()
        again = two.restart()
        assert again.previous_broker_epoch() == -1
        assert {log.topic_partition: log.log_end_offset for log in again.all()} == {TP: 1, OTHER: 1}

    def test_a_torn_write_of_a_full_disk_is_cut_at_the_next_start(self, stand: Stand) -> None:
        stand.create(batches=2)
        log = stand.manager.get(TP)
        assert log is not None
        os.pwrite(log.active.file.fileno(), bytes(batch())[:50], log.active.size)
        self.fail(stand, "pwrite")
        storage_error(lambda: append(log, batch()))
        stand.files.failing.clear()
        again = stand.restart().get(TP)
        assert again is not None
        assert (again.log_end_offset, again.size) == (2, 2 * len(batch()))

    def test_a_failed_checkpoint(self, stand: Stand) -> None:
        stand.create()
        self.fail(stand, "fsync", errno.EIO)
        stand.manager.checkpoint_high_watermarks()
        assert stand.failed == [str(stand.paths[0])]
        assert stand.manager.is_offline(TP)

    def test_a_directory_that_cannot_take_a_log(self, stand: Stand) -> None:
        self.fail(stand, "rename")
        storage_error(stand.create)
        storage_error(stand.create)
        assert len(stand.failed) == 1

    def test_a_deletion_that_fails(self, stand: Stand) -> None:
        stand.create()
        self.fail(stand, "rename", errno.EIO)
        stand.manager.delete(TP)
        assert stand.failed == [str(stand.paths[0])]

    @pytest.mark.parametrize("operation", ["fsync", "pwrite", "rename"])
    def test_a_stop_with_a_broken_disk(self, operation: str, stand: Stand) -> None:
        stand.create(batches=1)
        self.fail(stand, operation, errno.EIO)
        stand.manager.shutdown(5)
        assert stand.failed == [str(stand.paths[0])]
        assert not (stand.paths[0] / ".kafka_cleanshutdown").exists()

    @pytest.mark.parametrize(
        ("file", "content"),
        [
            ("partition.metadata", b"nonsense"),
            ("leader-epoch-checkpoint", b"0\n5\n"),
        ],
    )
    def test_a_damaged_log_takes_its_directory_offline_and_no_other(
        self, file: str, content: bytes, two: Stand, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Left clean, and damaged afterwards: nobody may guess what is to be believed."""
        two.manager.shutdown(5)
        (two.paths[0] / "t-0" / file).write_bytes(content)
        manager = two.start()
        assert [log.topic_partition for log in manager.all()] == [OTHER]
        assert [directory.is_online for directory in manager.directories] == [False, True]
        assert str(two.paths[0]) in caplog.text

    def test_no_directory_is_left(self, stand: Stand) -> None:
        stand.create()
        stand.manager.shutdown(5)
        (stand.paths[0] / "t-0" / "partition.metadata").write_text("nonsense")
        with pytest.raises(LogDirError, match="none of the data directories"):
            stand.start()


def test_producers_of_all_logs_expire_alike(stand: Stand) -> None:
    stand.create(TP)
    stand.manager.update_producer_id_expiration(5)
    stand.create(OTHER)
    assert [log.producer_state.expiration_ms for log in stand.manager.all()] == [5, 5]
