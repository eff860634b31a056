"""A log copied while it goes on: what comes out is the log, whatever happened to it meanwhile."""

import os
from pathlib import Path

import pytest

from pykbroker.log.log_copy import MAX_TAIL, CopyError, LogCopy
from pykbroker.log.segment import LogSegment
from pykbroker.log.unified_log import UnifiedLog
from tests.log.logs import NOW, Unsynced, append, batch, open_log, read_all

SMALL = {"segment_bytes": 1000, "index_interval_bytes": 200, "file_delete_delay_ms": 0}


def copy_of(log: UnifiedLog, tmp_path: Path) -> LogCopy:
    target = tmp_path / "other" / "t-0.cafe-future"
    target.mkdir(parents=True)
    return LogCopy(log, str(target))


def run(copy: LogCopy) -> int:
    """All rounds until the end; their number."""
    rounds = 0
    while (copying := copy.next_round()) is not None:
        copying.job()
        copy.copied(copying)
        rounds += 1
    return rounds


def opened(copy: LogCopy) -> UnifiedLog:
    """The copy, opened as the log it stands for."""
    synced = copy.finish()
    final = Path(copy.directory).parent / "t-0"
    os.rename(copy.directory, final)
    return open_log(final, clean=False, recovery_point=synced, log_start_offset=copy.log.log_start_offset, **SMALL)


def same(log: UnifiedLog, other: UnifiedLog) -> bool:
    assert (other.log_start_offset, other.log_end_offset) == (log.log_start_offset, log.log_end_offset)
    assert other.leader_epochs.entries == log.leader_epochs.entries
    assert other.topic_id == log.topic_id
    assert other.producer_state.producers.keys() == log.producer_state.producers.keys()
    return list(read_all(other)) == list(read_all(log))


@pytest.fixture
def log(tmp_path: Path) -> UnifiedLog:
    return open_log(tmp_path / "one" / "t-0", **SMALL)


def test_an_empty_log(log: UnifiedLog, tmp_path: Path) -> None:
    copy = copy_of(log, tmp_path)
    assert run(copy) == 0
    assert same(log, opened(copy))


def test_segments_then_the_tail(log: UnifiedLog, tmp_path: Path) -> None:
    for number in range(60):
        append(log, batch((NOW + number,)), leader_epoch=number // 20)
    copy = copy_of(log, tmp_path)
    assert (copy.size, copy.end_offset) == (0, 0)
    assert run(copy) == 1
    assert (copy.size, copy.end_offset) == (log.size - log.active.size, log.active.base_offset)
    append(log, batch((NOW,)), leader_epoch=3)
    other = opened(copy)
    assert same(log, other)
    assert [segment.base_offset for segment in other.segments] == [segment.base_offset for segment in log.segments]
    assert other.offset_for_timestamp(NOW + 30) == log.offset_for_timestamp(NOW + 30)


def test_what_is_appended_meanwhile(log: UnifiedLog, tmp_path: Path) -> None:
    copy = copy_of(log, tmp_path)
    for _ in range(5):
        for _ in range(20):
            append(log, batch())
        copying = copy.next_round()
        assert copying is not None
        append(log, batch())
        copying.job()
        append(log, batch())
        copy.copied(copying)
    run(copy)
    assert same(log, opened(copy))


def test_a_long_tail_is_sealed_first(tmp_path: Path) -> None:
    log = open_log(tmp_path / "one" / "t-0")
    while log.active.size <= MAX_TAIL:
        append(log, batch((NOW,) * 10, b"v" * 20_000))
    copy = copy_of(log, tmp_path)
    assert run(copy) == 1
    assert log.active.size == 0
    assert same(log, opened(copy))


def test_segments_that_the_log_deletes_meanwhile(log: UnifiedLog, tmp_path: Path) -> None:
    for _ in range(60):
        append(log, batch())
    copy = copy_of(log, tmp_path)
    first, second = log.segments[1].base_offset, log.segments[3].base_offset
    copying = copy.next_round()
    assert copying is not None
    delete_before(log, first)
    copying.job()
    copy.copied(copying)
    delete_before(log, second)
    append(log, batch())
    run(copy)
    assert same(log, opened(copy))
    assert not (tmp_path / "other" / "t-0" / f"{0:020d}.log").exists()


@pytest.mark.parametrize("is_copying", [False, True])
def test_a_log_that_is_cut_meanwhile(log: UnifiedLog, tmp_path: Path, is_copying: bool) -> None:
    """A follower's: the segment that was cut is sealed again, with other records, before the next round looks."""
    for _ in range(60):
        append(log, batch())
    copy = copy_of(log, tmp_path)
    copying = copy.next_round()
    assert copying is not None
    copying.job()
    if not is_copying:
        copy.copied(copying)
    cut = log.segments[2]
    log.truncate_to(cut.base_offset + 2)
    while log.active is cut:
        append(log, batch((NOW,), b"other"))
    for _ in range(5):
        append(log, batch())
    if is_copying:
        copy.copied(copying)
    run(copy)
    assert same(log, opened(copy))


def delete_before(log: UnifiedLog, offset: int) -> None:
    log.increment_log_start_offset(offset)
    log.remove_segments([segment for segment in log.segments if segment.base_offset < offset], NOW)
    log.unlink_doomed()


def test_producers_and_their_transactions(log: UnifiedLog, tmp_path: Path) -> None:
    for sequence in range(20):
        records = batch(producer_id=7, producer_epoch=0, base_sequence=sequence)
        append(log, records, origin="client")
    copy = copy_of(log, tmp_path)
    run(copy)
    other = opened(copy)
    assert same(log, other)
    again = other.append_as_leader(batch(producer_id=7, producer_epoch=0, base_sequence=19), 0, NOW)
    assert again.duplicate


def test_the_tail_is_synced(tmp_path: Path) -> None:
    """Also where the log does not know of any flush: it may have been before a restart."""
    synced: list[int] = []

    class Files(Unsynced):
        def fsync(self, fd: int) -> None:
            synced.append(fd)

    log = open_log(tmp_path / "one" / "t-0", files=Files(), **SMALL)
    append(log, batch())
    assert copy_of(log, tmp_path).finish() == log.log_end_offset == 1
    # The segment, its epochs; there is no partition.metadata here.
    assert len(synced) == 2


@pytest.mark.parametrize("side", ["one", "other"])
def test_the_side_that_fails_is_named(tmp_path: Path, side: str) -> None:
    class Files(Unsynced):
        failing = False

        def open(self, path: str, flags: int = os.O_RDWR | os.O_CREAT) -> int:
            if self.failing and f"/{side}/" in path:
                raise OSError(5, "broken", path)
            return super().open(path, flags)

    files = Files()
    log = open_log(tmp_path / "one" / "t-0", files=files, **SMALL)
    for _ in range(60):
        append(log, batch())
    copy = copy_of(log, tmp_path)
    copying = copy.next_round()
    assert copying is not None
    files.failing = True
    with pytest.raises(CopyError) as caught:
        copying.job()
    assert Path(caught.value.path).is_relative_to(tmp_path / side)


def test_only_whole_files_have_their_names(tmp_path: Path) -> None:
    class Files(Unsynced):
        failing = False

        def pwrite(self, fd: int, data: bytes | bytearray | memoryview, position: int) -> int:
            written = super().pwrite(fd, data[: len(data) // 2] if self.failing else data, position)
            if self.failing:
                raise OSError(28, "full")
            return written

    files = Files()
    log = open_log(tmp_path / "one" / "t-0", files=files, **SMALL)
    for _ in range(30):
        append(log, batch())
    copy = copy_of(log, tmp_path)
    files.failing = True
    copying = copy.next_round()
    assert copying is not None
    with pytest.raises(CopyError):
        copying.job()
    assert {Path(name).suffix for name in os.listdir(copy.directory)} == {".tmp"}


def test_segments_that_the_cleaner_replaces_meanwhile(log: UnifiedLog, tmp_path: Path) -> None:
    for _ in range(60):
        append(log, batch())
    copy = copy_of(log, tmp_path)
    assert run(copy) == 1
    first, second = log.segments[:2]
    survivor = LogSegment(log.files, log.directory, first.base_offset, log.config, NOW, first.size)
    log.replace_segments([survivor], [first, second])
    copying = copy.next_round()
    assert copying is not None
    assert list(copying.segments) == [survivor], "that one is copied again"
    assert not Path(copy.directory, f"{second.base_offset:020d}.log").exists()
    copying.job()
    copy.copied(copying)
    assert same(log, opened(copy))
