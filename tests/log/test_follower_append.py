"""What a follower stores of what its leader sends, and what it refuses."""

import errno
import os
from pathlib import Path

import pytest

from pykbroker.errors import KafkaError
from pykbroker.log.follower_append import NOTHING, UnexpectedAppendOffset
from pykbroker.log.segment import INT32_MAX
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import iterate_frames
from pykbroker.record.builder import build_batch
from pykbroker.record.control import end_transaction_batch
from pykbroker.record.damage import CorruptBatch, InvalidRecord
from pykbroker.record.legacy_builder import message
from pykbroker.record.reader import iterate_records
from tests.log.logs import NOW, FailingFiles, append, batch, open_log


@pytest.fixture
def log(tmp_path: Path) -> UnifiedLog:
    return open_log(tmp_path / "t-0")


def content(log: UnifiedLog) -> bytes:
    return b"".join(Path(segment.path(".log")).read_bytes()[: segment.size] for segment in log.segments)


def offsets(log: UnifiedLog) -> list[int]:
    data = content(log)
    return [record.offset for position, _ in iterate_frames(data) for record in iterate_records(data, position)]


def test_followers_keep_offsets_epochs_and_bytes(log: UnifiedLog) -> None:
    data = batch((1, 2), base_offset=5, leader_epoch=2) + batch((3,), base_offset=9, leader_epoch=3)
    info = log.append_as_follower(data, NOW)
    assert info == (5, 9, 3, len(data))
    assert (log.log_end_offset, offsets(log)) == (10, [5, 6, 9])
    assert log.leader_epochs.entries == [(2, 5), (3, 9)]
    assert content(log) == data


def test_nothing_before_the_end(log: UnifiedLog) -> None:
    log.append_as_follower(batch((1, 2, 3), base_offset=5), NOW)
    with pytest.raises(UnexpectedAppendOffset) as raised:
        log.append_as_follower(batch((1, 2, 3), base_offset=7), NOW)
    assert (raised.value.first_offset, raised.value.last_offset) == (7, 9)
    assert offsets(log) == [5, 6, 7]


def test_an_answer_without_records(log: UnifiedLog) -> None:
    assert log.append_as_follower(bytearray(), NOW) == NOTHING
    cut = batch()[:-1]
    assert log.append_as_follower(cut, NOW) == NOTHING, "a batch cut off by the size of the answer is none"
    assert log.append_as_follower(batch() + batch(base_offset=1)[:40], NOW).last_offset == 0


def test_a_marker_that_is_none_is_not_stored(log: UnifiedLog) -> None:
    """Its checksum is right: it would come again and again, and each time one more of it would be in the log."""
    for key, value in ((b"\0", b"\0\0\0\0\0\0"), (b"\0\0\0\1", b"\0")):
        marker = build_batch(
            [(key, value, (), NOW)],
            base_offset=1,
            producer_id=7,
            producer_epoch=0,
            is_transactional=True,
            is_control=True,
        )
        with pytest.raises(InvalidRecord):
            log.append_as_follower(batch() + marker, NOW)
        assert (log.log_end_offset, log.size) == (0, 0)


@pytest.mark.parametrize("position", [17, 30, 64, -1])
def test_of_an_answer_with_a_corrupt_batch_nothing_is_stored(log: UnifiedLog, position: int) -> None:
    broken = batch(base_offset=1)
    broken[position] ^= 1
    with pytest.raises(CorruptBatch):
        log.append_as_follower(batch() + broken, NOW)
    assert (log.log_end_offset, log.size, log.leader_epochs.entries) == (0, 0, [])
    log.append_as_follower(batch() + batch(base_offset=1), NOW)
    assert offsets(log) == [0, 1]


def test_offsets_out_of_order(log: UnifiedLog) -> None:
    with pytest.raises(KafkaError, match="Out of order offsets found in append to t-0: 3 behind 4"):
        log.append_as_follower(batch(base_offset=4) + batch(base_offset=3), NOW)
    assert log.log_end_offset == 0


def test_nothing_of_a_leader_after_the_one_that_was_asked(log: UnifiedLog) -> None:
    """The answer was slow: its sender follows by now, and may cut off what it sends (KAFKA-18723)."""
    data = batch(leader_epoch=1) + batch(base_offset=1, leader_epoch=2) + batch(base_offset=2, leader_epoch=1)
    assert log.append_as_follower(data, NOW, leader_epoch=1).last_offset == 0
    assert offsets(log) == [0]
    assert log.append_as_follower(batch(base_offset=1, leader_epoch=2), NOW, leader_epoch=1) == NOTHING


def test_the_state_of_producers_follows(log: UnifiedLog) -> None:
    """A transaction, its abort, and the sequence that a new leader would expect next."""
    data = batch(producer_id=7, producer_epoch=0, base_sequence=0, is_transactional=True)
    marker = end_transaction_batch(commit=False, producer_id=7, producer_epoch=0, coordinator_epoch=3, timestamp=NOW)
    marker[:8] = (1).to_bytes(8, "big")
    log.append_as_follower(data + marker, NOW)
    log.update_high_watermark(2)
    assert [(one.producer_id, one.first_offset, one.last_offset) for one in log.aborted_transactions(0, 2)] == [
        (7, 0, 1)
    ]
    entry = log.producer_state.producers[7]
    assert (entry.last_sequence, entry.coordinator_epoch, log.last_stable_offset) == (0, 3, 2)


def test_more_than_a_segment_holds(tmp_path: Path) -> None:
    one = len(batch())
    log = open_log(tmp_path / "t-0", segment_bytes=2 * one)
    log.append_as_follower(b"".join(bytes(batch(base_offset=at)) for at in range(5)), NOW)  # type: ignore[arg-type]
    assert [segment.base_offset for segment in log.segments] == [0, 2, 4]
    assert offsets(log) == [0, 1, 2, 3, 4]


def test_a_gap_too_wide_for_a_segment_begins_one(log: UnifiedLog) -> None:
    """A highly compacted log, read by a new follower."""
    log.append_as_follower(batch(base_offset=0), NOW)
    far = INT32_MAX + 1
    log.append_as_follower(batch(base_offset=far), NOW)
    assert [segment.base_offset for segment in log.segments] == [0, far]
    assert offsets(log) == [0, far]
    assert os.path.exists(f"{log.directory}/{far:020d}.snapshot")


@pytest.mark.parametrize("magic", [0, 1])
def test_messages_of_old_formats(log: UnifiedLog, magic: int) -> None:
    """A leader may have them still. They know no epochs, so those before are worth nothing any more."""
    append(log, batch(), leader_epoch=2)
    data = message(magic, 0, 1, NOW, b"k", b"v") + message(magic, 0, 3, NOW, b"k", b"w")
    info = log.append_as_follower(data, NOW)
    assert info == (1, 3, -1, len(data))
    assert (offsets(log), log.leader_epochs.entries) == ([0, 1, 3], [])
    assert content(log).endswith(data)
    data[-1] ^= 1
    with pytest.raises(CorruptBatch):
        open_log(Path(log.directory).parent / "t-1").append_as_follower(data, NOW)


def test_flush_messages_counts_for_followers(tmp_path: Path) -> None:
    log = open_log(tmp_path / "t-0", flush_messages=2)
    for at, recovery_point in [(0, 0), (1, 2), (2, 2)]:
        log.append_as_follower(batch(base_offset=at), NOW)
        assert log.recovery_point == recovery_point


@pytest.mark.parametrize("operation", ["overwrite", "pwrite"])
def test_a_full_disk(tmp_path: Path, operation: str) -> None:
    files = FailingFiles()
    log = open_log(tmp_path / "t-0", files=files)
    files.failing[operation] = errno.ENOSPC
    with pytest.raises(KafkaError) as raised:
        log.append_as_follower(batch(leader_epoch=3), NOW)
    assert raised.value.code == ErrorCode.KAFKA_STORAGE_ERROR
