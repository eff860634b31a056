"""The power goes: what lies below the recovery point is there, and with it the producers and epochs of that time."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.log.unified_log import UnifiedLog
from pykbroker.record.builder import build_batch
from pykbroker.record.reader import iterate_records
from tests.crash.power import PowerCut
from tests.log.logs import NOW, append, batch, open_log, read_all

CONFIG: dict[str, Any] = {"segment_bytes": 600, "index_interval_bytes": 150, "retention_ms": -1}
OPERATIONS = st.sampled_from(["append", "append", "append", "flush", "flush sealed", "epoch", "roll"])


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(st.lists(OPERATIONS, min_size=5, max_size=40))
def test_what_was_flushed_is_there(operations: list[str]) -> None:
    with tempfile.TemporaryDirectory() as root:
        directory = Path(root) / "t-0"
        files = PowerCut()
        log = open_log(directory, files=files, **CONFIG)
        epoch = 0
        epoch_of: dict[int, int] = {}
        for operation in operations:
            offset = log.log_end_offset
            if operation == "append":
                data = build_batch(
                    [(None, b"%d" % offset, [], NOW + offset)], producer_id=7, producer_epoch=0, base_sequence=offset
                )
                log.append_as_leader(data, epoch, NOW)
                epoch_of[offset] = epoch
            elif operation == "flush":
                log.flush()
            elif operation == "flush sealed":
                log.flush_job(log.active.base_offset)()
                log.flushed(log.active.base_offset)
            elif operation == "roll":
                log.roll(NOW)
            else:
                epoch += 1
        durable = log.recovery_point
        del log
        files.cut(directory)
        log = open_log(directory, clean=False, recovery_point=durable, **CONFIG)
        assert log.log_end_offset >= durable
        found = [int(record.value or b"") for _, data in read_all(log) for record in iterate_records(data)]
        assert found == list(range(log.log_end_offset))
        assert [log.leader_epochs.epoch_for_offset(offset) for offset in found] == [
            epoch_of[offset] for offset in found
        ]
        for offset in found:
            at = log.offset_for_timestamp(NOW + offset)
            assert at is not None
            assert at.offset == offset
        producer = log.producer_state.producers.get(7)
        assert (producer.last_sequence if producer else -1) == log.log_end_offset - 1


def with_a_loss_in_the_middle(directory: Path, *, synced: int, torn: int) -> UnifiedLog:
    """Three segments of five batches, then the power goes: of the second are left `synced` batches and `torn` bytes,
    of the others all, as the system wrote them back in whatever order."""
    files = PowerCut()
    log = open_log(directory, files=files, segment_bytes=1 << 20)
    for number in range(15):
        if number in (5, 10):
            log.roll(NOW)
        append(log, batch(producer_id=7, producer_epoch=0, base_sequence=number), leader_epoch=number // 4)
        if number == 4 + synced:
            log.flush()
    log.active.flush()
    files.fsync_directory(str(directory))
    position = synced * len(batch())
    with open(log.segments[1].path(".log"), "rb") as file:
        lost = file.read()[position : position + torn]
    durable = log.recovery_point
    del log
    files.cut(directory)
    with open(directory / f"{5:020}.log", "ab") as file:
        file.write(lost)
    return open_log(directory, clean=False, recovery_point=durable)


@pytest.mark.parametrize("synced", range(5))
@pytest.mark.parametrize("torn", [1, 30, 100])
def test_what_follows_a_torn_segment_goes(synced: int, torn: int, tmp_path: Path) -> None:
    """Unflushed segments are recovered in order; behind the first cut nothing stays (LogLoader.recoverLog)."""
    log = with_a_loss_in_the_middle(tmp_path / "t-0", synced=synced, torn=torn)
    assert log.log_end_offset == 5 + synced
    assert [segment.base_offset for segment in log.segments] == [0, 5]
    assert sorted(path.name for path in (tmp_path / "t-0").glob("*.log")) == [f"{base:020}.log" for base in (0, 5)]
    assert [header.base_offset for header, _ in read_all(log)] == list(range(5 + synced))
    assert log.producer_state.producers[7].last_sequence == 4 + synced
    assert log.leader_epochs.latest_epoch() == (4 + synced) // 4


@pytest.mark.parametrize("synced", range(5))
def test_whole_batches_that_are_missing_leave_a_gap(synced: int, tmp_path: Path) -> None:
    """As in Kafka, which cuts nothing where nothing is torn: what is left behind the gap was not promised, and stays.
    (compat_tests/disk/damage.py does the same to both.)"""
    log = with_a_loss_in_the_middle(tmp_path / "t-0", synced=synced, torn=0)
    kept = [*range(5 + synced), *range(10, 15)]
    assert log.log_end_offset == 15
    assert [header.base_offset for header, _ in read_all(log)] == kept
    assert append(log, batch()) == 15
    log.close()
    assert [header.base_offset for header, _ in read_all(open_log(tmp_path / "t-0"))] == [*kept, 15]
