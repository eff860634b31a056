"""Flushes in threads while the log goes on: whose they are, and what they may claim."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from pykbroker.log.flush_loop import flush_appended, flush_below
from pykbroker.log.unified_log import UnifiedLog
from tests.log.logs import NOW, Unsynced, append, batch, open_log


class GatedFiles(Unsynced):
    """An fsync in a thread lasts as long as the test wants."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.syncs = 0

    def fsync(self, fd: int) -> None:
        if threading.current_thread() is not threading.main_thread():
            self.syncs += 1
            assert self.gate.wait(20)


@pytest.fixture
def files() -> Iterator[GatedFiles]:
    files = GatedFiles()
    yield files
    files.gate.set()


@pytest.fixture
def log(tmp_path: Path, files: GatedFiles) -> UnifiedLog:
    log = open_log(tmp_path / "t-0", files=files)
    for _ in range(4):
        append(log, batch())
    return log


async def running(log: UnifiedLog) -> None:
    while log.running_flush is None:
        await trio.lowlevel.checkpoint()


async def test_the_recovery_point_moves_when_the_flush_has_ended(log: UnifiedLog, files: GatedFiles) -> None:
    files.gate.clear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(flush_below, log, 3)
        await running(log)
        assert log.recovery_point == 0
        files.gate.set()
    assert log.recovery_point == 3


async def test_who_comes_while_one_runs_shares_the_next(log: UnifiedLog, files: GatedFiles) -> None:
    log.flush()
    append(log, batch())
    files.gate.clear()
    before = files.syncs
    async with trio.open_nursery() as nursery:
        nursery.start_soon(flush_appended, log)
        await running(log)
        append(log, batch())
        for _ in range(5):
            nursery.start_soon(flush_appended, log)
        await trio.testing.wait_all_tasks_blocked()
        files.gate.set()
    assert log.recovery_point == log.log_end_offset == 6
    each = (files.syncs - before) / 2
    assert each == int(each) <= 4, "two flushes of the log, its indexes and the epochs"


@pytest.mark.parametrize("fully", [False, True])
async def test_a_flush_claims_nothing_that_came_after_a_truncation(
    log: UnifiedLog, files: GatedFiles, fully: bool
) -> None:
    """A follower is cut back while a thread syncs its log, and goes on: the recovery point passes neither the end nor
    what was appended since."""
    files.gate.clear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(flush_below, log, 4)
        await running(log)
        if fully:
            log.truncate_fully_and_start_at(1)
        else:
            log.truncate_to(1)
        assert log.recovery_point <= log.log_end_offset == 1
        log.append_as_follower(batch((NOW,) * 5, base_offset=1), NOW)
        files.gate.set()
    assert log.recovery_point <= 1
    await flush_appended(log)
    assert log.recovery_point == log.log_end_offset == 6


async def test_a_flush_that_had_to_wait_claims_no_more_than_there_is(log: UnifiedLog, files: GatedFiles) -> None:
    """The log was cut while another flush of it ran."""
    files.gate.clear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(flush_below, log, 2)
        await running(log)
        nursery.start_soon(flush_below, log, 4)
        await trio.testing.wait_all_tasks_blocked()
        log.truncate_to(1)
        files.gate.set()
    assert log.recovery_point <= log.log_end_offset == 1
