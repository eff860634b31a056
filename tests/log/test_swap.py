"""The swap is interrupted after every single file operation: all the old records are there, or all the new ones."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from pykbroker.clock import ManualClock
from pykbroker.log.files import Files, sync_path
from pykbroker.log.unified_log import UnifiedLog
from tests.crash.power import PowerCut
from tests.log.cleaners import clean, committed, end_transaction, latest, put, put_transactional, records
from tests.log.logs import NOW, Unsynced, open_log

CONFIG: dict[str, Any] = {"segment_bytes": 400, "index_interval_bytes": 100, "cleanup_policy": ["compact"]}
END = 19
CHANGES = ("open", "pwrite", "truncate", "rename", "unlink", "overwrite", "set_modified")


class Crash(BaseException):
    """The process ends here."""


class Stopping(Unsynced):
    """Ends the process at the n-th operation that changes a file, before or in the middle of it."""

    def __init__(self, operations: int) -> None:
        self.left = operations
        self.done: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        if name in CHANGES:
            if not self.left:
                raise Crash
            self.left -= 1
            self.done.append(name)
        return object.__getattribute__(self, name)


def fill(directory: Path, files: Files | None = None, largest_segment: int = 400) -> UnifiedLog:
    """Several segments that become fewer, of which one has an abort whose data stays in part."""
    log = reopen(directory, files, clean=True)
    for number in range(8):
        put(log, (b"k%d" % (number % 5), b"%d" % number), (b"only%d" % number, b"v" * 20))
        if number == 5:
            put_transactional(log, 1, (b"k1", b"aborted"))
            end_transaction(log, 1, commit=False)
    log.roll(NOW)
    put(log, (b"end", b"1"))
    return log


def reopen(directory: Path, files: Files | None = None, *, clean: bool = False) -> UnifiedLog:
    log = open_log(directory, clean=clean, files=files or Unsynced(), clock=ManualClock(wall_ms=NOW), **CONFIG)
    log.update_high_watermark(log.log_end_offset)
    return log


def contents(log: UnifiedLog) -> list[tuple[int, bytes | None]]:
    return [(record.offset, record.value) for record in committed(log)]


@pytest.mark.parametrize("largest_segment", [2**31 - 1, 300])
def test_interrupted_after_every_operation(tmp_path: Path, largest_segment: int) -> None:
    source = tmp_path / "source" / "t-0"
    log = fill(source)
    log.flush()
    log.close()
    before = contents(log)
    whole = tmp_path / "whole" / "t-0"
    shutil.copytree(source, whole)
    counting = Stopping(10**6)
    log = reopen(whole, counting)
    counting.done.clear()
    clean(log, largest_segment=largest_segment)
    count = len(counting.done)
    after = contents(log)
    assert (len(after) < len(before), counting.done.count("rename") > 15) == (True, True)
    seen = set()
    for operations in range(0, count, 1 if largest_segment > 300 else 3):
        crashed = tmp_path / f"{operations}" / "t-0"
        shutil.copytree(source, crashed)
        files = Stopping(10**6)
        log = reopen(crashed, files)
        files.left = operations
        with pytest.raises(Crash):
            clean(log, largest_segment=largest_segment)
        log = reopen(crashed)
        found = contents(log)
        assert set(after) <= set(found) <= set(before)
        assert latest(committed(log)) == latest(committed(reopen(whole)))
        assert log.log_end_offset == END
        assert not [name for name in os.listdir(crashed) if name.endswith((".cleaned", ".swap", ".deleted"))]
        for segment in log.segments[:-1]:
            segment.sanity_check()
        seen.add(len(found))
        log.cleaning.first_dirty_offset = None
        clean(log)
        assert latest(records(log)) == latest(records(reopen(whole)))
        shutil.rmtree(crashed.parent)
    assert {len(before), len(after)} <= seen


def test_power_cuts_after_every_operation(tmp_path: Path) -> None:
    """Names and contents that nobody synced are lost: of the old and the new segments one is always whole."""
    whole = reopen(fill_flushed(tmp_path / "whole" / "t-0"))
    table = latest(committed(whole))
    for operations in range(200):
        directory = fill_flushed(tmp_path / f"{operations}" / "t-0")
        files = CuttingPower(10**6)
        log = reopen(directory, files)
        for path in directory.iterdir():
            sync_path(files, str(path))
        files.fsync_directory(str(directory))
        files.left = operations
        try:
            clean(log)
            finished = True
        except Crash:
            finished = False
        files.left = 10**6
        log.unlink_doomed()
        del log
        files.cut(directory)
        log = reopen(directory)
        assert (log.log_end_offset, latest(committed(log))) == (END, table)
        if finished:
            assert operations > 30
            return
        shutil.rmtree(directory.parent)
    pytest.fail("it never ended")


class CuttingPower(PowerCut):
    """As Stopping, and what was not synced is lost."""

    def __init__(self, operations: int) -> None:
        super().__init__()
        self.left = operations

    def __getattribute__(self, name: str) -> Any:
        if name in CHANGES:
            if not self.left:
                raise Crash
            self.left -= 1
        return object.__getattribute__(self, name)


def fill_flushed(directory: Path) -> Path:
    log = fill(directory)
    log.flush()
    log.close()
    return directory


def test_what_was_replaced_goes_after_its_delay(tmp_path: Path) -> None:
    log = fill(tmp_path / "t-0")
    old = [segment.path(".log") for segment in log.segments[:-1]]
    clean(log)
    assert all(os.path.exists(f"{path}.deleted") for path in old)
    now = log.clock.monotonic()
    assert log.take_doomed(now + 59.9) == []
    assert set(log.take_doomed(now + 60)) >= {f"{path}.deleted" for path in old}


def test_snapshots_of_segments_that_are_no_more_go(tmp_path: Path) -> None:
    log = fill(tmp_path / "t-0")
    clean(log)
    bases = {f"{segment.base_offset:020d}.snapshot" for segment in log.segments}
    found = {path.name for path in (tmp_path / "t-0").glob("*.snapshot")}
    assert found <= bases


def test_a_reader_under_way_keeps_its_file(tmp_path: Path) -> None:
    log = fill(tmp_path / "t-0")
    region = log.read(0, 200, upper_bound=100, min_one=True).segments[0]
    before = os.pread(region.file.fileno(), region.length, region.position)
    clean(log)
    log.unlink_doomed()
    assert os.pread(region.file.fileno(), region.length, region.position) == before
    assert log.read(0, 200, upper_bound=100, min_one=True).segments[0].file is not region.file
