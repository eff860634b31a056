"""Opening a log: what Kafka's own killed and torn directories become, and what is derived from the batches."""

import os
import shutil
from pathlib import Path
from random import Random

import pytest

from pykbroker.log.checkpoints import CorruptCheckpoint
from pykbroker.log.files import Files
from pykbroker.log.transaction_index import TransactionIndex
from tests.crash.faulty_files import FaultyFiles
from tests.log.logs import append, batch, golden_directory, open_log


@pytest.mark.parametrize("state", ["killed", "torn"])
def test_logs_are_recovered_to_what_kafka_recovers(state: str, tmp_path: Path) -> None:
    data, manifest = golden_directory(state, tmp_path)
    for name in {file.split("/")[0] for file in manifest["recovered_logs"]}:
        open_log(data / name, clean=False)
    for file, expected in manifest["recovered_logs"].items():
        assert (data / file).stat().st_size == expected["bytes"], file


def test_transaction_indexes_are_rebuilt(tmp_path: Path) -> None:
    data, manifest = golden_directory("killed", tmp_path)
    open_log(data / "txn-0", clean=False)
    for file, expected in manifest["files"].items():
        if file.startswith("txn-0/") and file.endswith(".txnindex"):
            found = [list(entry) for entry in TransactionIndex(Files(), str(data / file), 0).entries]
            fields = ("producer_id", "first_offset", "last_offset", "last_stable_offset")
            assert found == [[entry[field] for field in fields] for entry in expected["aborted"]], file


def test_an_index_that_was_lost_with_a_transaction_open_before_it_is_rebuilt(tmp_path: Path) -> None:
    """torn: the last segment's indexes and snapshot are gone; its aborts end transactions begun one segment before."""
    data, _ = golden_directory("torn", tmp_path)
    log = open_log(data / "txn-0", clean=False, recovery_point=140)
    log.update_high_watermark(log.log_end_offset)
    assert log.last_stable_offset == 144
    assert (12, 128, 140, 129) in [tuple(entry) for entry in log.aborted_transactions(128, 144)]


@pytest.mark.parametrize("lost", range(1, 30))
def test_every_whole_batch_survives_a_torn_tail(lost: int, tmp_path: Path) -> None:
    log = open_log(tmp_path / "t-0")
    sizes = [len(batch([1] * count)) for count in (1, 2, 3)]
    for count in (1, 2, 3):
        append(log, batch([1] * count))
    # As SIGKILL leaves it: the files are copied while the log is open.
    copy = tmp_path / "copy" / "t-0"
    shutil.copytree(tmp_path / "t-0", copy)
    os.truncate(copy / f"{0:020d}.log", sum(sizes) - lost)
    recovered = open_log(copy, clean=False)
    assert recovered.log_end_offset == 3
    assert recovered.size == sum(sizes[:2])


def test_a_batch_with_a_wrong_checksum_ends_the_log(tmp_path: Path) -> None:
    log = open_log(tmp_path / "t-0")
    size = len(batch())
    for _ in range(3):
        append(log, batch())
    path = tmp_path / "t-0" / f"{0:020d}.log"
    damaged = bytearray(path.read_bytes())
    damaged[2 * size - 1] ^= 1
    path.write_bytes(damaged)
    assert open_log(tmp_path / "t-0", clean=False).log_end_offset == 1


def test_segments_behind_a_cut_go(tmp_path: Path) -> None:
    log = open_log(tmp_path / "t-0", segment_bytes=300)
    for _ in range(10):
        append(log, batch())
    assert len(log.segments) > 3
    os.truncate(tmp_path / "t-0" / f"{0:020d}.log", log.segments[0].size - 1)
    recovered = open_log(tmp_path / "t-0", clean=False, segment_bytes=300)
    assert [segment.base_offset for segment in recovered.segments] == [0]
    assert recovered.log_end_offset == 1
    kept = {f"{0:020d}.log", f"{0:020d}.index", f"{0:020d}.timeindex", f"{1:020d}.snapshot", "leader-epoch-checkpoint"}
    assert set(os.listdir(tmp_path / "t-0")) == kept


def test_segments_behind_a_cut_stay_when_what_was_cut_is_deleted(tmp_path: Path) -> None:
    """Below the log start offset a power cut may take what it likes."""
    log = open_log(tmp_path / "t-0", segment_bytes=300)
    for number in range(10):
        append(log, batch(producer_id=7, producer_epoch=0, base_sequence=number))
    start = log.segments[2].base_offset
    for segment in log.segments[:2]:
        os.truncate(segment.path(".log"), segment.size - 1)
    recovered = open_log(tmp_path / "t-0", clean=False, log_start_offset=start, segment_bytes=300)
    assert (recovered.log_start_offset, recovered.log_end_offset) == (start, 10)
    assert recovered.producer_state.producers[7].last_sequence == 9


@pytest.mark.parametrize("content", [b"0\n2\n1 0\n\0\0\0\0", b"\0" * 12, b"0\n"])
def test_epochs_that_a_power_cut_damaged_are_taken_from_the_batches(content: bytes, tmp_path: Path) -> None:
    log = open_log(tmp_path / "t-0", segment_bytes=300)
    for epoch in (1, 2):
        for _ in range(6):
            append(log, batch(), leader_epoch=epoch)
    (tmp_path / "t-0" / "leader-epoch-checkpoint").write_bytes(content)
    with pytest.raises(CorruptCheckpoint):
        open_log(tmp_path / "t-0", segment_bytes=300)
    recovered = open_log(tmp_path / "t-0", clean=False, recovery_point=10, segment_bytes=300)
    assert recovered.leader_epochs.entries == [(1, 0), (2, 6)]


@pytest.mark.parametrize("name", ["leader-epoch-checkpoint", "partition.metadata"])
def test_damage_that_was_removed_stays_away(name: str, tmp_path: Path) -> None:
    """Else a power cut behind a clean stop brings it back."""
    folder = tmp_path / "t-0"
    append(open_log(folder), batch())
    (folder / name).write_bytes(b"0\n1\n")
    files = FaultyFiles(folder, Random(1))
    open_log(folder, clean=False, files=files).close()
    files.cut()
    open_log(folder)


def test_epochs_that_a_killed_process_wrote_are_synced_with_the_next_flush(tmp_path: Path) -> None:
    append(open_log(tmp_path / "t-0"), batch())
    assert open_log(tmp_path / "t-0").leader_epochs.is_synced
    recovered = open_log(tmp_path / "t-0", clean=False)
    assert not recovered.leader_epochs.is_synced
    recovered.flush()
    assert recovered.leader_epochs.is_synced


def test_epochs_of_what_was_cut_go(tmp_path: Path) -> None:
    log = open_log(tmp_path / "t-0")
    for epoch in (1, 2):
        append(log, batch(), leader_epoch=epoch)
    os.truncate(tmp_path / "t-0" / f"{0:020d}.log", log.size - 1)
    assert open_log(tmp_path / "t-0", clean=False).leader_epochs.entries == [(1, 0)]


def test_epochs_keep_their_starts_when_recovery_begins_in_the_middle(tmp_path: Path) -> None:
    log = open_log(tmp_path / "t-0", segment_bytes=300)
    for epoch in (1, 2):
        for _ in range(6):
            append(log, batch(), leader_epoch=epoch)
    middle = [segment.base_offset for segment in log.segments if 0 < segment.base_offset < 6][-1]
    recovered = open_log(tmp_path / "t-0", clean=False, recovery_point=middle, segment_bytes=300)
    assert recovered.leader_epochs.entries == [(1, 0), (2, 6)]


def test_a_log_behind_its_start_offset_begins_anew_there(tmp_path: Path) -> None:
    log = open_log(tmp_path / "t-0")
    append(log, batch())
    log = open_log(tmp_path / "t-0", clean=False, log_start_offset=100)
    assert (log.log_start_offset, log.log_end_offset) == (100, 100)
    assert append(log, batch()) == 100


def test_opening_keeps_no_files_open(tmp_path: Path) -> None:
    for partition in range(20):
        log = open_log(tmp_path / f"t-{partition}")
        append(log, batch())
        log.close()
    del log
    before = len(os.listdir("/proc/self/fd"))
    logs = [open_log(tmp_path / f"t-{partition}") for partition in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before
    assert [log.log_end_offset for log in logs] == [1] * 20


def test_a_new_log_is_not_taken_for_damaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for clean in (True, False):
        open_log(tmp_path / f"t-{clean:d}", clean=clean).close()
    assert not caplog.records


def test_an_epoch_that_began_earlier_than_the_file_knows(tmp_path: Path) -> None:
    """It was truncated away and began anew; the power cut left the file of before. (tests.crash.world, seed 504)"""
    log = open_log(tmp_path / "t-0")
    for epoch in (1, 1, 2):
        append(log, batch(), leader_epoch=epoch)
    (tmp_path / "t-0" / "leader-epoch-checkpoint").write_text("0\n2\n1 0\n2 9\n")
    recovered = open_log(tmp_path / "t-0", clean=False)
    assert recovered.leader_epochs.entries == [(1, 0), (2, 2)]
