"""The log of one partition: append, read, transactions, truncation, deletion, failures of the disk."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from pykbroker.clock import ManualClock
from pykbroker.errors import KafkaError
from pykbroker.log.files import Files
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import parse_header
from pykbroker.record.control import end_transaction_batch
from pykbroker.record.reader import iterate_records
from tests.log.logs import NOW, FailingFiles, append, batch, open_log, read_all

ONE = len(batch())


@pytest.fixture
def log(tmp_path: Path) -> UnifiedLog:
    return open_log(tmp_path / "t-0")


def offsets(log: UnifiedLog) -> list[int]:
    return [record.offset for _, data in read_all(log) for record in iterate_records(data)]


def code(raised: pytest.ExceptionInfo[KafkaError]) -> int:
    return raised.value.code


def produce(log: UnifiedLog, *timestamps: int, **fields: Any) -> int:
    return append(log, batch(timestamps or (NOW,), **fields), origin="client")


def marker(log: UnifiedLog, producer_id: int, *, commit: bool, coordinator_epoch: int = 0) -> None:
    append(
        log,
        end_transaction_batch(
            commit=commit, producer_id=producer_id, producer_epoch=0, coordinator_epoch=coordinator_epoch, timestamp=NOW
        ),
    )


def in_transaction(log: UnifiedLog, producer_id: int, sequence: int = 0) -> int:
    return produce(log, producer_id=producer_id, producer_epoch=0, base_sequence=sequence, is_transactional=True)


class TestAppend:
    def test_offsets_and_epoch_are_stamped(self, log: UnifiedLog) -> None:
        for first in (0, 3):
            info = log.append_as_leader(batch((NOW, NOW + 5, NOW + 1)), 4, NOW)
            assert (info.first_offset, info.last_offset, info.max_timestamp) == (first, first + 2, NOW + 5)
            assert (info.log_append_time, info.log_start_offset, info.duplicate) == (-1, 0, False)
        headers = [header for header, _ in read_all(log)]
        assert [(header.base_offset, header.partition_leader_epoch) for header in headers] == [(0, 4), (3, 4)]
        assert log.leader_epochs.entries == [(4, 0)]
        assert log.size == sum(header.size_in_bytes for header in headers)

    def test_several_batches_of_a_coordinator(self, log: UnifiedLog) -> None:
        data = batch((1, 2)) + batch((9,)) + batch((3, 4))
        info = log.append_as_leader(data, 1, NOW, origin="coordinator")
        assert (info.first_offset, info.last_offset, info.max_timestamp) == (0, 4, 9)
        assert offsets(log) == [0, 1, 2, 3, 4]
        assert [log.active.locate(offset) for offset in (1, 2, 3)] == [
            (0, len(batch((1, 2)))), (len(batch((1, 2))), len(batch((9,)))),
            (len(batch((1, 2)) + batch((9,))), len(batch((3, 4)))),
        ]  # fmt: skip

    def test_a_repeated_batch_is_answered_and_not_written(self, log: UnifiedLog) -> None:
        fields: dict[str, Any] = {"producer_id": 7, "producer_epoch": 0, "base_sequence": 0}
        produce(log, NOW, NOW + 1, **fields)
        produce(log)
        info = log.append_as_leader(batch((NOW, NOW + 1), **fields), 0, NOW)
        assert (info.first_offset, info.last_offset, info.duplicate, info.num_bytes) == (0, 1, True, 0)
        assert log.log_end_offset == 3

    def test_sequences_must_follow(self, log: UnifiedLog) -> None:
        produce(log, producer_id=7, producer_epoch=0, base_sequence=0)
        with pytest.raises(KafkaError) as raised:
            produce(log, producer_id=7, producer_epoch=0, base_sequence=2)
        assert code(raised) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        assert log.log_end_offset == 1

    def test_a_batch_larger_than_a_segment(self, tmp_path: Path) -> None:
        log = open_log(tmp_path / "t-0", segment_bytes=ONE - 1)
        with pytest.raises(KafkaError) as raised:
            produce(log)
        assert code(raised) == ErrorCode.RECORD_LIST_TOO_LARGE
        assert log.log_end_offset == 0


class TestRead:
    @pytest.fixture
    def rolled(self, tmp_path: Path) -> UnifiedLog:
        log = open_log(tmp_path / "t-0", segment_bytes=2 * ONE)
        for _ in range(5):
            produce(log)
        return log

    def test_within_a_segment_and_its_limits(self, rolled: UnifiedLog) -> None:
        assert [segment.base_offset for segment in rolled.segments] == [0, 2, 4]
        for offset, max_bytes, length in [
            (0, 10 * ONE, 2 * ONE),
            (1, 10 * ONE, ONE),
            (0, ONE, ONE),
            (0, ONE + 7, ONE + 7),
        ]:
            found = rolled.read(offset, max_bytes, upper_bound=5)
            assert [(region.position, region.length) for region in found.segments] == [(offset * ONE, length)]
            assert found.size == length

    def test_the_first_batch_comes_whole_or_not_at_all(self, rolled: UnifiedLog) -> None:
        assert rolled.read(0, ONE - 1, upper_bound=5).segments == []
        assert rolled.read(0, 1, upper_bound=5, min_one=True).size == ONE

    def test_nothing_at_or_behind_the_upper_bound(self, rolled: UnifiedLog) -> None:
        for upper_bound, sizes in [(0, []), (1, [ONE]), (2, [2 * ONE]), (3, [2 * ONE])]:
            assert [region.length for region in rolled.read(0, 10**6, upper_bound=upper_bound).segments] == sizes
        assert rolled.read(2, 10**6, upper_bound=3).size == ONE
        assert rolled.read(5, 10**6, upper_bound=5).segments == []

    def test_outside_of_the_log(self, rolled: UnifiedLog) -> None:
        rolled.increment_log_start_offset(2)
        for offset in (1, 6):
            with pytest.raises(KafkaError) as raised:
                rolled.read(offset, 1, upper_bound=5)
            assert code(raised) == ErrorCode.OFFSET_OUT_OF_RANGE
            assert "in the range 2 to 5" in str(raised.value)

    def test_offsets_that_were_compacted_away(self, log: UnifiedLog) -> None:
        log.append_as_follower(batch(base_offset=0), NOW)
        log.roll(NOW, 10)
        log.append_as_follower(batch(base_offset=15), NOW)
        for offset in (1, 5, 10, 15):
            (region,) = log.read(offset, 1000, upper_bound=16).segments
            data = os.pread(region.file.fileno(), region.length, region.position)
            assert parse_header(data).base_offset == 15

    def test_one_sealed_segment_stays_open(self, rolled: UnifiedLog) -> None:
        before = len(os.listdir("/proc/self/fd"))
        for offset in (0, 2, 0, 2, 4):
            rolled.read(offset, 100, upper_bound=5, min_one=True)
            assert len(os.listdir("/proc/self/fd")) <= before + 1


class TestTransactions:
    def test_the_last_stable_offset_waits_for_the_marker(self, log: UnifiedLog) -> None:
        produce(log)
        in_transaction(log, 1)
        in_transaction(log, 2)
        assert log.last_stable_offset == 1
        marker(log, 1, commit=True)
        assert log.last_stable_offset == 2
        marker(log, 2, commit=False)
        assert log.last_stable_offset == log.log_end_offset == 5
        assert log.aborted_transactions(0, 5) == [(2, 2, 4, 5)]

    def test_a_marker_must_be_replicated(self, log: UnifiedLog) -> None:
        in_transaction(log, 1)
        data = end_transaction_batch(commit=True, producer_id=1, producer_epoch=0, coordinator_epoch=0, timestamp=NOW)
        log.append_as_leader(data, 0, NOW, origin="coordinator")
        log.update_high_watermark(1)
        assert log.last_stable_offset == 0
        log.update_high_watermark(2)
        assert log.last_stable_offset == 2

    def test_an_open_transaction_stays_open_when_its_start_is_deleted(self, log: UnifiedLog) -> None:
        """DeleteRecords does not commit: what is behind the new start must not be read as committed."""
        in_transaction(log, 1)
        in_transaction(log, 1, sequence=1)
        assert log.increment_log_start_offset(1)
        assert log.last_stable_offset == 1
        marker(log, 1, commit=False)
        assert log.last_stable_offset == 3
        assert log.aborted_transactions(1, 3) == [(1, 0, 2, 3)]

    def test_aborted_transactions_across_segments(self, tmp_path: Path) -> None:
        log = open_log(tmp_path / "t-0", segment_bytes=3 * ONE)
        for number in range(6):
            in_transaction(log, 1, sequence=number)
            marker(log, 1, commit=number % 2 == 0)
        assert len(log.segments) > 2
        assert [each.first_offset for each in log.aborted_transactions(0, 12)] == [2, 6, 10]
        assert [each.first_offset for each in log.aborted_transactions(4, 8)] == [6]

    def test_a_zombie_coordinator_is_fenced(self, log: UnifiedLog) -> None:
        in_transaction(log, 1)
        marker(log, 1, commit=True, coordinator_epoch=5)
        with pytest.raises(KafkaError) as raised:
            marker(log, 1, commit=True, coordinator_epoch=4)
        assert code(raised) == ErrorCode.TRANSACTION_COORDINATOR_FENCED

    def test_an_open_transaction_survives_a_restart(self, tmp_path: Path) -> None:
        log = open_log(tmp_path / "t-0")
        produce(log)
        in_transaction(log, 1)
        log.close()
        again = open_log(tmp_path / "t-0")
        again.update_high_watermark(2)
        assert again.last_stable_offset == 1


class TestOffsets:
    def test_the_high_watermark_stays_within_the_log(self, log: UnifiedLog) -> None:
        for _ in range(4):
            produce(log)
        log.increment_log_start_offset(2)
        for asked, kept in [(0, 2), (3, 3), (99, 4)]:
            log.update_high_watermark(asked)
            assert log.high_watermark == kept

    def test_the_start_cannot_pass_the_high_watermark(self, log: UnifiedLog) -> None:
        log.append_as_leader(batch((1, 2, 3)), 0, NOW)
        log.update_high_watermark(2)
        assert log.increment_log_start_offset(2)
        assert not log.increment_log_start_offset(1)
        with pytest.raises(KafkaError) as raised:
            log.increment_log_start_offset(3)
        assert code(raised) == ErrorCode.OFFSET_OUT_OF_RANGE

    def test_epochs_end_where_the_next_begins(self, log: UnifiedLog) -> None:
        for epoch in (1, 1, 4):
            append(log, batch(), leader_epoch=epoch)
        assert [log.end_offset_for_epoch(epoch) for epoch in (0, 1, 3, 4, 5, -1)] == [
            (0, 0), (1, 2), (1, 2), (4, 3), (-1, -1), (-1, -1),
        ]  # fmt: skip
        log.truncate_to(2)
        assert log.leader_epochs.entries == [(1, 0)]


class TestSegments:
    def test_a_roll_seals_and_snapshots(self, tmp_path: Path) -> None:
        log = open_log(tmp_path / "t-0", segment_bytes=2 * ONE)
        for sequence in range(3):
            produce(log, producer_id=7, producer_epoch=0, base_sequence=sequence)
        assert sorted(os.listdir(log.directory)) == sorted(
            [f"{offset:020d}{suffix}" for offset in (0, 2) for suffix in (".log", ".index", ".timeindex")]
            + [f"{2:020d}.snapshot", "leader-epoch-checkpoint"]
        )
        assert os.path.getsize(f"{log.directory}/{0:020d}.timeindex") == 12

    def test_an_empty_segment_with_full_indexes_starts_over(self, tmp_path: Path) -> None:
        log = open_log(tmp_path / "t-0", segment_index_bytes=12)
        assert log.active.time_index.is_full
        produce(log)
        produce(log)
        assert [segment.base_offset for segment in log.segments] == [0, 1]
        assert offsets(log) == [0, 1]

    def test_deleted_files_wait_for_their_time(self, tmp_path: Path) -> None:
        clock = ManualClock(wall_ms=NOW)
        log = open_log(tmp_path / "t-0", clock=clock, segment_bytes=ONE, retention_ms=-1, file_delete_delay_ms=5000)
        for _ in range(3):
            produce(log)
        log.increment_log_start_offset(2)
        assert log.delete_old_segments(NOW) == 2
        names = [name for name in os.listdir(log.directory) if name.endswith(".deleted")]
        assert len(names) == 6
        assert log.take_doomed(clock.monotonic() + 4.9) == []
        assert sorted(map(os.path.basename, log.take_doomed(clock.monotonic() + 5))) == sorted(names)
        assert log.take_doomed(clock.monotonic() + 99) == []

    def test_unlinking_at_once(self, tmp_path: Path) -> None:
        log = open_log(tmp_path / "t-0", segment_bytes=ONE)
        for _ in range(3):
            produce(log)
        log.remove_segments(log.segments[:2], NOW)
        log.unlink_doomed()
        assert not [name for name in os.listdir(log.directory) if name.endswith(".deleted")]
        assert log.log_start_offset == 2

    def test_removing_all_segments_leaves_a_new_one(self, log: UnifiedLog) -> None:
        produce(log)
        log.remove_segments(log.segments, NOW)
        assert [segment.base_offset for segment in log.segments] == [1]
        assert (log.log_start_offset, log.log_end_offset) == (1, 1)
        assert produce(log) == 1

    def test_a_changed_config_counts_at_once(self, log: UnifiedLog, tmp_path: Path) -> None:
        produce(log)
        log.update_config(open_log(tmp_path / "other-0", segment_bytes=ONE).config)
        produce(log)
        assert len(log.segments) == 2


class TestTruncation:
    def test_to_an_offset(self, tmp_path: Path) -> None:
        log = open_log(tmp_path / "t-0", segment_bytes=2 * ONE)
        for sequence in range(5):
            produce(log, producer_id=7, producer_epoch=0, base_sequence=sequence)
        assert not log.truncate_to(5)
        assert log.truncate_to(3)
        assert (log.log_end_offset, log.high_watermark, log.recovery_point) == (3, 3, 0)
        assert [segment.base_offset for segment in log.segments] == [0, 2]
        assert log.producer_state.producers[7].last_sequence == 2
        assert not os.path.exists(f"{log.directory}/{4:020d}.log")
        assert produce(log, producer_id=7, producer_epoch=0, base_sequence=3) == 3

    def test_an_epoch_without_batches_goes_too(self, log: UnifiedLog) -> None:
        """A leader for a moment that appended nothing: its epoch must not answer for what the next leader sends
        (KAFKA-10706)."""
        produce(log)
        log.leader_epochs.assign(5, 1)
        assert not log.truncate_to(1)
        assert log.leader_epochs.entries == [(0, 0)]
        log.leader_epochs.assign(5, 1)
        assert not log.truncate_to(7)
        assert log.leader_epochs.entries == [(0, 0)]

    def test_within_a_batch(self, log: UnifiedLog) -> None:
        """No offset is left out: a follower goes on fetching where the log ends."""
        produce(log)
        produce(log, NOW, NOW, NOW)
        assert log.truncate_to(2)
        assert (log.log_end_offset, offsets(log)) == (1, [0])

    def test_to_before_the_first_segment(self, log: UnifiedLog) -> None:
        log.truncate_fully_and_start_at(10)
        produce(log)
        assert log.truncate_to(7)
        assert (log.log_start_offset, log.log_end_offset, log.leader_epochs.entries) == (7, 7, [])
        assert produce(log) == 7

    def test_an_aborted_transaction_that_was_cut_off_is_forgotten(self, log: UnifiedLog) -> None:
        in_transaction(log, 1)
        marker(log, 1, commit=False)
        assert log.truncate_to(1)
        log.update_high_watermark(1)
        assert log.aborted_transactions(0, 1) == []
        assert log.last_stable_offset == 0


class RecordingFiles(Files):
    def __init__(self) -> None:
        self.synced: list[str] = []

    def fsync(self, fd: int) -> None:
        self.synced.append(os.readlink(f"/proc/self/fd/{fd}"))

    def fsync_directory(self, path: str) -> None:
        self.synced.append(path)


class TestFlushing:
    def test_sealed_segments_first_then_the_end(self, tmp_path: Path) -> None:
        log = open_log(tmp_path / "t-0", segment_bytes=2 * ONE)
        for _ in range(5):
            produce(log)
        assert [segment.base_offset for segment in log.segments_to_flush(4)] == [0, 2]
        log.flush_job(4)()
        log.flushed(4)
        assert log.recovery_point == 4
        assert [segment.base_offset for segment in log.segments_to_flush(5)] == [4]
        log.flush()
        assert log.recovery_point == 5
        assert log.segments_to_flush(5) == []

    def test_a_log_that_is_deleted_meanwhile(self, tmp_path: Path) -> None:
        log = open_log(tmp_path / "t-0", files=Files())
        produce(log)
        job = log.flush_job(1)
        for segment in log.segments:
            segment.release()
        os.rename(log.directory, log.directory + "-delete")
        job()

    def test_after_so_many_messages(self, tmp_path: Path) -> None:
        log = open_log(tmp_path / "t-0", flush_messages=3)
        for count, recovery_point in [(2, 0), (1, 3), (1, 3), (5, 9)]:
            append(log, batch([NOW] * count), origin="coordinator")
            assert log.recovery_point == recovery_point

    def test_a_client_is_told_that_a_flush_is_due(self, tmp_path: Path) -> None:
        log = open_log(tmp_path / "t-0", flush_messages=2)
        same: dict[str, Any] = {"producer_id": 5, "producer_epoch": 0, "base_sequence": 0}
        first = log.append_as_leader(batch(**same), 0, NOW)
        second = log.append_as_leader(batch(), 0, NOW)
        again = log.append_as_leader(batch(**same), 0, NOW)
        assert [info.flush_due for info in (first, second, again)] == [False, True, True]
        assert (again.duplicate, log.recovery_point) == (True, 0)
        log.flush()
        again = log.append_as_leader(batch(**same), 0, NOW)
        assert (again.duplicate, again.flush_due) == (True, False)

    def test_a_flush_relies_on_no_other_that_has_not_ended(self, tmp_path: Path) -> None:
        files = RecordingFiles()
        log = open_log(tmp_path / "t-0", files=files)
        produce(log)
        unfinished = log.flush_job(1)
        log.flush_job(1)()
        assert {log.directory, str(tmp_path), log.leader_epochs.path} <= set(files.synced)
        unfinished()

    def test_directories_are_synced_where_kafka_does_it(self, tmp_path: Path) -> None:
        files = RecordingFiles()
        log = open_log(tmp_path / "t-0", files=files, segment_bytes=2 * ONE)
        seen = []
        for _ in range(4):
            produce(log)
            files.synced.clear()
            log.flush()
            seen.append([path for path in files.synced if path in (log.directory, str(tmp_path))])
        # The first flush of a partition, then the first one of a new segment (UnifiedLog.flush: Utils.flushDir).
        assert seen == [[log.directory, str(tmp_path)], [], [log.directory], []]


class TestFailingDisk:
    @pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
    @pytest.mark.parametrize("operation", ["pwrite", "open"])
    def test_a_failed_write_is_kafka_storage_error(self, operation: str, error: int, tmp_path: Path) -> None:
        files = FailingFiles()
        log = open_log(tmp_path / "t-0", files=files, segment_bytes=ONE)
        failures: list[OSError] = []
        log.on_io_error = failures.append
        produce(log)
        files.failing[operation] = error
        with pytest.raises(KafkaError) as raised:
            produce(log)
        assert code(raised) == ErrorCode.KAFKA_STORAGE_ERROR
        assert [failure.errno for failure in failures] == [error]
        assert log.log_end_offset == 1

    def test_a_failed_read_is_kafka_storage_error(self, tmp_path: Path) -> None:
        files = FailingFiles()
        log = open_log(tmp_path / "t-0", files=files)
        produce(log)
        log = open_log(tmp_path / "t-0", files=files)
        files.failing["pread"] = errno.EIO
        with pytest.raises(KafkaError) as raised:
            log.read(0, 100, upper_bound=1)
        assert code(raised) == ErrorCode.KAFKA_STORAGE_ERROR

    def test_a_flush_that_was_promised_and_fails(self, tmp_path: Path) -> None:
        files = FailingFiles()
        log = open_log(tmp_path / "t-0", files=files, flush_messages=1)
        append(log, batch(), origin="coordinator")
        files.failing["fsync"] = errno.EIO
        with pytest.raises(KafkaError) as raised:
            append(log, batch(), origin="coordinator")
        assert code(raised) == ErrorCode.KAFKA_STORAGE_ERROR

    def test_a_full_disk_for_a_new_start(self, tmp_path: Path) -> None:
        files = FailingFiles()
        log = open_log(tmp_path / "t-0", files=files)
        produce(log)
        files.failing["overwrite"] = errno.ENOSPC
        with pytest.raises(KafkaError) as raised:
            log.increment_log_start_offset(1)
        assert code(raised) == ErrorCode.KAFKA_STORAGE_ERROR

    def test_a_full_disk_for_the_transaction_index(self, tmp_path: Path) -> None:
        files = FailingFiles()
        log = open_log(tmp_path / "t-0", files=files)
        in_transaction(log, 1)
        files.failing["open"] = errno.ENOSPC
        with pytest.raises(KafkaError) as raised:
            marker(log, 1, commit=False)
        assert code(raised) == ErrorCode.KAFKA_STORAGE_ERROR
