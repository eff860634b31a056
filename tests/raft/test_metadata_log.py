import os

import pytest

from pykbroker.clock import ManualClock
from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.metadata_records import frame_record
from pykbroker.protocol.primitives import write_uvarint
from pykbroker.raft import control, metadata_log, snapshot
from pykbroker.raft.snapshot import SnapshotId
from pykbroker.record.builder import build_batch
from tests.raft.logs import NOW, PARTITION, WatchedFiles, append, latest, names, open_log, setting

SEGMENT = "00000000000000000000.log"


def lead(log, epoch=1):
    log.lead(epoch, control.leader_change(1, [1]))


def write_snapshot(log, end_offset, *values, epoch=1, timestamp=NOW):
    snapshot_id = SnapshotId(end_offset, epoch)
    framed = [frame_record(setting(value), 0) for value in values]
    snapshot.write(log.snapshot_path(snapshot_id), framed, epoch=epoch, timestamp=timestamp, now_ms=NOW)
    log.snapshot_written(snapshot_id)
    return snapshot_id


# Append and load


def test_what_is_appended_is_loaded_in_batches(tmp_path):
    log = open_log(tmp_path)
    lead(log, 3)
    assert append(log, "a", "b") == 2
    assert append(log, "c") == 3
    log = open_log(tmp_path)
    loaded = list(log.load())
    assert [(batch.last_offset, batch.epoch) for batch in loaded] == [(0, 3), (2, 3), (3, 3)]
    assert loaded[0].records == []
    assert loaded[1].records == [setting("a"), setting("b")]
    assert {batch.timestamp for batch in loaded} == {NOW} == {log.last_timestamp}


def test_a_log_longer_than_one_read_is_loaded_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(metadata_log, "READ_BYTES", 1000)
    log = open_log(tmp_path, internal_metadata_log_segment_bytes=3000)
    expected = [[f"{index}-{part}" for part in range(index % 40 + 1)] for index in range(60)]
    for batch in expected:
        append(log, *batch)
    assert len([name for name in os.listdir(log.directory) if name.endswith(".log")]) > 5
    assert names(open_log(tmp_path)) == expected


def test_a_torn_tail_takes_its_whole_batch_and_nothing_else(tmp_path):
    log = open_log(tmp_path / "whole")
    append(log, "a")
    before = (tmp_path / "whole" / PARTITION / SEGMENT).stat().st_size
    append(log, "b", "c", "d")
    data = (tmp_path / "whole" / PARTITION / SEGMENT).read_bytes()
    folder = tmp_path / "torn" / PARTITION
    folder.mkdir(parents=True)
    for length in range(before, len(data), 7):
        (folder / SEGMENT).write_bytes(data[:length])
        log = open_log(tmp_path / "torn")
        assert names(log) == [["a"]]
        assert log.end_offset == log.high_watermark == 1
        assert (folder / SEGMENT).stat().st_size == before


def test_a_flipped_bit_in_the_tail_takes_its_batch(tmp_path):
    log = open_log(tmp_path)
    append(log, "a")
    append(log, "b")
    path = tmp_path / PARTITION / SEGMENT
    data = bytearray(path.read_bytes())
    data[-3] ^= 0x10
    path.write_bytes(data)
    assert names(open_log(tmp_path)) == [["a"]]


def test_a_record_that_is_not_known_stops_the_node(tmp_path):
    value = bytearray((1,))
    write_uvarint(value, 29)
    write_uvarint(value, 0)
    log = open_log(tmp_path)
    log._append(build_batch([(None, bytes(value), [], NOW)], leader_epoch=1))
    log = open_log(tmp_path)
    with pytest.raises(MalformedFrame, match="unknown metadata record type 29"):
        list(log.load())


def test_a_record_in_a_version_that_is_not_known_stops_the_node(tmp_path):
    value = bytearray(frame_record(setting("a"), 0))
    value[2] = 1
    log = open_log(tmp_path)
    log._append(build_batch([(None, bytes(value), [], NOW)], leader_epoch=1))
    with pytest.raises(MalformedFrame, match="version 1"):
        list(open_log(tmp_path).load())


def test_a_batch_has_a_limit(tmp_path):
    log = open_log(tmp_path)
    with pytest.raises(KafkaError) as caught:
        log.append([setting("a", "x" * 32_000)] * 270, latest)
    assert caught.value.code == ErrorCode.UNKNOWN_SERVER_ERROR
    assert log.end_offset == 0


def test_a_failed_write_leaves_nothing(tmp_path):
    class FullDisk(WatchedFiles):
        full = False

        def pwrite(self, fd, data, position):
            if self.full:
                os.pwrite(fd, bytes(data)[:10], position)
                raise OSError(28, "No space left on device")
            return os.pwrite(fd, data, position)

    files = FullDisk()
    log = open_log(tmp_path, files=files)
    append(log, "a")
    files.full = True
    with pytest.raises(KafkaError) as caught:
        append(log, "b")
    assert caught.value.code == ErrorCode.KAFKA_STORAGE_ERROR
    files.full = False
    assert append(log, "c") == 1
    assert names(open_log(tmp_path)) == [["a"], ["c"]]


# Durability


def test_only_segments_and_new_names_are_synced(tmp_path):
    files = WatchedFiles()
    log = open_log(tmp_path, files=files, internal_metadata_log_segment_bytes=200)
    append(log, "a")
    files.take()
    assert log.sync() == 1
    assert files.take() == [SEGMENT, f"{PARTITION}/"]
    append(log, "b")
    log.sync()
    assert files.take() == [SEGMENT]
    for name in "cde":
        append(log, name)
    log.sync()
    assert files.take() == ["00000000000000000002.log", "00000000000000000004.log", f"{PARTITION}/"]
    log.sync()
    assert files.take() == []


def test_only_what_was_there_when_the_job_was_made_is_durable(tmp_path):
    log = open_log(tmp_path)
    append(log, "a")
    job = log.sync_job()
    append(log, "b")
    end = job()
    assert (end, log.high_watermark) == (1, 0)
    log.advance_high_watermark(end)
    assert log.high_watermark == 1
    assert log.sync() == 2 == log.high_watermark


def test_the_watermark_does_not_go_back(tmp_path):
    log = open_log(tmp_path)
    append(log, "a", "b")
    log.sync()
    log.advance_high_watermark(1)
    assert log.high_watermark == 2


def test_a_failed_sync_makes_nothing_durable(tmp_path):
    files = WatchedFiles()
    log = open_log(tmp_path, files=files)
    append(log, "a")
    files.fail_sync = OSError(5, "Input/output error")
    with pytest.raises(OSError, match="Input/output"):
        log.sync()
    assert log.high_watermark == 0


def test_a_tail_that_nobody_synced_is_synced_before_it_counts(tmp_path):
    append(open_log(tmp_path), "a")
    files = WatchedFiles()
    log = open_log(tmp_path, files=files)
    list(log.load())
    append(log, "b")
    files.take()
    log.sync()
    assert SEGMENT in files.take()


# Snapshots


def test_the_newest_snapshot_comes_first_and_the_log_behind_it(tmp_path):
    log = open_log(tmp_path)
    for name in "abcd":
        append(log, name)
    write_snapshot(log, 1, "old")
    write_snapshot(log, 3, "sum", timestamp=NOW - 5)
    log = open_log(tmp_path)
    loaded = log.load()
    first = next(loaded)
    assert (first.last_offset, first.epoch, first.timestamp) == (2, 1, NOW - 5)
    assert first.records == [setting("sum")]
    assert [batch.records for batch in loaded] == [[setting("d")]]
    assert log.latest_snapshot() == SnapshotId(3, 1)


def test_bytes_since_the_snapshot_are_counted_again_after_a_restart(tmp_path):
    log = open_log(tmp_path)
    append(log, "a")
    one = log.bytes_since_snapshot
    assert one > 60
    append(log, "b")
    assert log.bytes_since_snapshot == 2 * one
    write_snapshot(log, 1, "a")
    assert log.bytes_since_snapshot == 0
    log = open_log(tmp_path)
    list(log.load())
    assert log.bytes_since_snapshot == one


def test_a_log_that_ends_before_its_snapshot_begins_anew_behind_it(tmp_path):
    log = open_log(tmp_path)
    append(log, "a")
    write_snapshot(log, 10, "sum", epoch=2)
    log = open_log(tmp_path)
    assert names(log) == [["sum"]]
    assert (log.start_offset, log.end_offset, log.high_watermark) == (10, 10, 10)
    assert append(log, "b") == 10
    assert names(open_log(tmp_path)) == [["sum"], ["b"]]


def test_a_gap_between_snapshot_and_log_is_refused(tmp_path):
    log = open_log(tmp_path, internal_metadata_log_segment_bytes=150)
    for name in "abcd":
        append(log, name)
    first = sorted(name for name in os.listdir(log.directory) if name.endswith(".log"))[0]
    os.unlink(os.path.join(log.directory, first))
    with pytest.raises(MalformedFrame, match="no snapshot"):
        list(open_log(tmp_path).load())
    write_snapshot(log, 1, "a")
    assert names(open_log(tmp_path)) == [["a"], ["b"], ["c"], ["d"]]


def test_a_snapshot_older_than_the_log_is_refused(tmp_path):
    log = open_log(tmp_path, internal_metadata_log_segment_bytes=150)
    for name in "abcd":
        append(log, name)
    write_snapshot(log, 1, "a")
    for first in sorted(name for name in os.listdir(log.directory) if name.endswith(".log"))[:2]:
        os.unlink(os.path.join(log.directory, first))
    with pytest.raises(MalformedFrame, match="behind"):
        list(open_log(tmp_path).load())


def test_the_empty_snapshot_of_a_dynamic_quorum_tells_its_voters(tmp_path):
    from pykbroker.protocol.embedded.voters import Voter, VotersRecord

    voters = VotersRecord(voters=[Voter(voter_id=1, voter_directory_id=Uuid(range(16)))])
    log = open_log(tmp_path)
    quorum = control.Quorum(1, voters)
    snapshot.write(log.snapshot_path(SnapshotId(0, 0)), [], epoch=0, timestamp=0, now_ms=NOW, quorum=quorum)
    append(log, "a")
    log = open_log(tmp_path)
    assert names(log) == [["a"]]
    assert log.quorum == quorum


# Retention


def test_old_snapshots_and_their_segments_go_by_size(tmp_path):
    log = open_log(tmp_path, internal_metadata_log_segment_bytes=150)
    for index, name in enumerate("abcdef"):
        append(log, name)
        log.sync()
        write_snapshot(log, index + 1, "sum")
    assert log.trim(max_bytes=-1, max_ms=-1, now_ms=NOW) == 0
    assert log.trim(max_bytes=0, max_ms=-1, now_ms=NOW) == 5
    assert snapshot.find_snapshots(log.directory) == [SnapshotId(6, 1)]
    assert log.start_offset == 6
    left = sorted(name for name in os.listdir(log.directory) if name.endswith((".log", ".deleted")))
    assert len(left) == 1
    log = open_log(tmp_path)
    assert names(log) == [["sum"]]
    assert log.end_offset == 6


def test_old_snapshots_go_by_age(tmp_path):
    log = open_log(tmp_path)
    for index, name in enumerate("abc"):
        append(log, name)
        log.sync()
        write_snapshot(log, index + 1, "sum", timestamp=NOW + index * 1000)
    assert log.trim(max_bytes=-1, max_ms=1000, now_ms=NOW + 1001) == 1
    assert log.trim(max_bytes=-1, max_ms=1000, now_ms=NOW + 1001) == 0
    assert log.trim(max_bytes=-1, max_ms=1000, now_ms=NOW + 90_000) == 1
    assert snapshot.find_snapshots(log.directory) == [SnapshotId(3, 1)]
    # The active segment stays: appends go on in it.
    assert append(log, "d") == 3
    assert names(open_log(tmp_path)) == [["sum"], ["d"]]


def test_closing_twice_does_nothing(tmp_path):
    log = open_log(tmp_path, clock=ManualClock())
    append(log, "a")
    log.close()
    before = sorted(os.listdir(log.directory))
    log.close()
    assert sorted(os.listdir(log.directory)) == before
