"""The task: when it cleans, what it writes down, and what it does when a cleaning cannot be."""

import errno
import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pykbroker.ids import TopicPartition
from pykbroker.log.cleaner_loop import CleanerLoop
from pykbroker.log.housekeeping_loop import Housekeeping
from pykbroker.log.unified_log import UnifiedLog
from tests.log.cleaners import CleanerSettings, put, records
from tests.log.logs import NOW
from tests.log.test_housekeeping_loop import Schedule
from tests.log.test_log_manager import Stand

TP = TopicPartition("t", 0)
CHECKPOINT = "cleaner-offset-checkpoint"


def fill(stand: Stand, tp: TopicPartition = TP, records: int = 4) -> UnifiedLog:
    stand.create(tp)
    log = stand.manager.get(tp)
    assert log is not None
    for number in range(records):
        put(log, (b"k", b"%d" % number), timestamp=NOW)
    log.roll(NOW)
    return log


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    stand = Stand(tmp_path / "data", cleanup_policy=["compact"], segment_bytes=200)
    yield stand
    stand.manager.release()


def offsets(log: UnifiedLog) -> list[int]:
    return [record.offset for record in records(log)]


def cleaned_files(log: UnifiedLog) -> list[Path]:
    return list(Path(log.directory).glob("*.cleaned"))


def damage(log: UnifiedLog, bits: int = 0xFF) -> bytes:
    """Flips bits of the first record; what is in the file then."""
    path = Path(log.segments[0].path(".log"))
    data = bytearray(path.read_bytes())
    data[65] ^= bits
    path.write_bytes(data)
    return bytes(data)


async def clean_once(cleaner: CleanerLoop) -> bool:
    found = cleaner.next_log()
    if found is None:
        return False
    await cleaner.clean(found)
    return True


async def test_it_cleans_and_writes_down_how_far(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    log = fill(stand)
    cleaner = CleanerLoop(stand.manager, CleanerSettings)
    with caplog.at_level(logging.INFO):
        assert await clean_once(cleaner)
    assert offsets(log) == [3]
    assert (stand.paths[0] / CHECKPOINT).read_text() == "0\n1\nt 0 4\n"
    assert not log.cleaning.is_in_progress
    assert "Cleaned t-0 (offsets 0 to 4)" in caplog.text
    assert not await clean_once(cleaner), "nothing is dirty any more"
    again = stand.restart().get(TP)
    assert again is not None
    assert again.cleaning.first_dirty_offset == 4


async def until(condition: Callable[[], bool]) -> None:
    """Threads are under way: nothing tells when they are through, and the clock stands still."""
    while not condition():
        await trio.lowlevel.checkpoint()


async def test_the_task_goes_from_log_to_log_and_then_waits(stand: Stand, mock_clock: MockClock) -> None:
    logs = [fill(stand, TopicPartition("t", number)) for number in range(3)]
    cleaner = CleanerLoop(stand.manager, CleanerSettings)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cleaner.run)
        await until(lambda: all(log.cleaning.first_dirty_offset == 4 for log in logs))
        await until(lambda: not any(log.cleaning.is_in_progress for log in logs))
        await wait_all_tasks_blocked()
        assert [offsets(log) for log in logs] == [[3]] * 3
        for number in range(3):
            put(logs[0], (b"k", b"%d" % number))
        logs[0].roll(NOW)
        await wait_all_tasks_blocked()
        mock_clock.jump(14.9)
        await wait_all_tasks_blocked()
        assert not logs[0].cleaning.is_in_progress
        mock_clock.jump(0.2)
        await until(lambda: logs[0].cleaning.first_dirty_offset == 7)
        assert offsets(logs[0]) == [6]
        nursery.cancel_scope.cancel()


async def test_as_many_at_once_as_configured(stand: Stand) -> None:
    """Each with its part of the buffers."""
    for number in range(3):
        fill(stand, TopicPartition("t", number))
    cleaner = CleanerLoop(stand.manager, lambda: CleanerSettings(log_cleaner_threads=2))
    barrier = threading.Barrier(2, timeout=10)
    waiting = [barrier.wait, barrier.wait]

    def meeting(log: UnifiedLog, stop: threading.Event) -> Callable[[int], None]:
        """The first two meet in their first step: neither goes on without the other."""
        once = [waiting.pop()] if waiting else []

        def step(_: int) -> None:
            if once:
                once.pop()()

        return step

    cleaner._pace = meeting  # type: ignore[method-assign]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cleaner.run)
        await until(lambda: all(log.cleaning.first_dirty_offset == 4 for log in stand.manager.all()))
        nursery.cancel_scope.cancel()
    assert not barrier.broken


class Paused:
    """A cleaning whose thread waits until it may go on."""

    def __init__(self, stand: Stand) -> None:
        self.cleaner = CleanerLoop(stand.manager, CleanerSettings)
        self.reached = trio.Event()
        self.go_on = threading.Event()
        make_pace = self.cleaner._pace

        def waiting(log: UnifiedLog, stop: threading.Event) -> Any:
            pace = make_pace(log, stop)

            def wait_then_look(count: int) -> None:
                trio.from_thread.run_sync(self.reached.set)
                self.go_on.wait(10)
                pace(count)

            return wait_then_look

        self.cleaner._pace = waiting  # type: ignore[method-assign]

    async def begin(self, nursery: trio.Nursery) -> None:
        nursery.start_soon(clean_once, self.cleaner)
        await self.reached.wait()


async def test_a_truncation_makes_it_void(stand: Stand) -> None:
    log = fill(stand)
    log.cleaning.first_dirty_offset = 1
    paused = Paused(stand)
    async with trio.open_nursery() as nursery:
        await paused.begin(nursery)
        log.truncate_to(1)
        paused.go_on.set()
    assert (offsets(log), log.cleaning.first_dirty_offset, log.cleaning.is_uncleanable) == ([0], 0, False)
    assert not cleaned_files(log)


@pytest.mark.parametrize("how", ["delete", "stray", "offline"])
async def test_the_log_goes_meanwhile(stand: Stand, how: str, caplog: pytest.LogCaptureFixture) -> None:
    log = fill(stand)
    paused = Paused(stand)
    async with trio.open_nursery() as nursery:
        await paused.begin(nursery)
        if how == "delete":
            stand.manager.delete(TP)
        elif how == "stray":
            stand.manager.mark_stray(TP)
        else:
            stand.manager.fail(stand.manager.directories[0], OSError(errno.EIO, "broken"))
        paused.go_on.set()
    assert not log.cleaning.is_uncleanable
    assert stand.failed == ([str(stand.paths[0])] if how == "offline" else [])
    assert "uncleanable" not in caplog.text


async def test_a_deleted_topic_that_comes_back_is_dirty(stand: Stand) -> None:
    """Scenario 31: nothing of the old log's state is inherited."""
    fill(stand)
    cleaner = CleanerLoop(stand.manager, CleanerSettings)
    await clean_once(cleaner)
    stand.manager.delete(TP)
    log = fill(stand)
    assert log.cleaning.first_dirty_offset is None
    await clean_once(cleaner)
    assert offsets(log) == [3]


async def test_what_is_written_down_follows_deletions_and_truncations(stand: Stand, mock_clock: MockClock) -> None:
    fill(stand)
    other = fill(stand, TopicPartition("t", 1))
    checkpoint = stand.paths[0] / CHECKPOINT
    async with trio.open_nursery() as nursery:
        nursery.start_soon(CleanerLoop(stand.manager, CleanerSettings).run)
        await until(lambda: checkpoint.exists() and checkpoint.read_text() == "0\n2\nt 0 4\nt 1 4\n")
        stand.manager.delete(TP)
        other.truncate_to(2)
        await wait_all_tasks_blocked()
        mock_clock.jump(15.1)
        await wait_all_tasks_blocked()
        assert checkpoint.read_text() == f"0\n1\nt 1 {other.active.base_offset}\n"
        nursery.cancel_scope.cancel()


async def test_retention_waits_for_the_cleaning(stand: Stand) -> None:
    log = fill(stand)
    keeper = Housekeeping(stand.manager, Schedule())
    paused = Paused(stand)
    async with trio.open_nursery() as nursery:
        await paused.begin(nursery)
        log.increment_log_start_offset(3)
        assert sys.getswitchinterval() == pytest.approx(0.0005), "the loop must not wait for the thread"
        before = list(log.segments)
        await keeper.apply_retention()
        assert log.segments == before
        paused.go_on.set()
    assert sys.getswitchinterval() == pytest.approx(0.005)
    assert offsets(log) == [3]
    log.increment_log_start_offset(4)
    await keeper.apply_retention()
    assert offsets(log) == []


async def test_a_damaged_log_is_left_alone_and_the_others_are_cleaned(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    log, other = fill(stand), fill(stand, TopicPartition("t", 1), records=3)
    data = damage(log)
    cleaner = CleanerLoop(stand.manager, CleanerSettings)
    while await clean_once(cleaner):
        pass
    assert offsets(other) == [2]
    assert log.cleaning.is_uncleanable
    lines = [record.message for record in caplog.records if "uncleanable" in record.message]
    assert lines == [
        "Cannot clean t-0, marking it as uncleanable: CORRUPT_MESSAGE: The batch at offset 0 has a wrong checksum"
    ]
    assert damage(log, 0) == data
    assert stand.failed == []


async def test_a_defect_of_ours_is_no_crash(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    log = fill(stand)
    cleaner = CleanerLoop(stand.manager, CleanerSettings)

    def broken(log: UnifiedLog, stop: threading.Event) -> Callable[[int], None]:
        raise RuntimeError("a defect")

    cleaner._pace = broken  # type: ignore[method-assign]
    await clean_once(cleaner)
    assert log.cleaning.is_uncleanable
    assert "a defect" in caplog.text


async def test_a_map_too_small_for_a_key(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    log = fill(stand)
    await clean_once(CleanerLoop(stand.manager, lambda: CleanerSettings(log_cleaner_dedupe_buffer_size=20)))
    assert log.cleaning.is_uncleanable
    assert "You can increase log.cleaner.dedupe.buffer.size" in caplog.text


@pytest.mark.parametrize(
    ("operation", "number"), [("open", errno.EIO), ("pwrite", errno.ENOSPC), ("rename", errno.EIO)]
)
async def test_a_broken_or_full_disk_takes_the_directory_offline(stand: Stand, operation: str, number: int) -> None:
    log = fill(stand)
    before = offsets(log)
    cleaner = CleanerLoop(stand.manager, CleanerSettings)
    found = cleaner.next_log()
    assert found is not None
    for segment in log.segments:
        segment.release()
    stand.files.failing[operation] = number
    await cleaner.clean(found)
    stand.files.failing.clear()
    assert stand.failed == [str(stand.paths[0])]
    again = stand.restart(clean=False).get(TP)
    assert again is not None
    assert offsets(again) == before


async def test_a_stop_ends_it_within_a_chunk(stand: Stand) -> None:
    log = fill(stand)
    paused = Paused(stand)
    async with trio.open_nursery() as nursery:
        await paused.begin(nursery)
        nursery.cancel_scope.cancel()
        paused.go_on.set()
    assert offsets(log) == [0, 1, 2, 3]
    assert not log.cleaning.is_in_progress
    assert not cleaned_files(log)


async def test_the_throttle_makes_it_rest(stand: Stand) -> None:
    fill(stand)
    rests: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            rests.append(timeout or 0)
            return False

    cleaner = CleanerLoop(stand.manager, lambda: CleanerSettings(log_cleaner_io_max_bytes_per_second=100.0))
    log = stand.manager.get(TP)
    assert log is not None
    pace = cleaner._pace(log, Stop())
    stand.clock.advance(1)
    pace(300)
    assert rests == [0.5] * 4


async def test_another_rate_ends_a_rest(stand: Stand) -> None:
    """log.cleaner.io.max.bytes.per.second is dynamic, and a rest may have become hours."""
    log = fill(stand)
    settings = CleanerSettings(log_cleaner_io_max_bytes_per_second=1.0)
    cleaner = CleanerLoop(stand.manager, lambda: settings)
    rests: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            rests.append(timeout or 0)
            if len(rests) == 3:
                settings.log_cleaner_io_max_bytes_per_second = 1e9
                cleaner.reconfigure()
            return False

    pace = cleaner._pace(log, Stop())
    stand.clock.advance(1)
    pace(10_000)
    assert rests == [0.5] * 3


async def test_other_configs_count_at_once(stand: Stand, mock_clock: MockClock) -> None:
    """Not only when log.cleaner.backoff.ms, as it was, is over."""
    fill(stand, TopicPartition("t", 0))
    settings = CleanerSettings(log_cleaner_backoff_ms=86_400_000)
    cleaner = CleanerLoop(stand.manager, lambda: settings)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cleaner.run)
        await until(lambda: all(log.cleaning.first_dirty_offset == 4 for log in stand.manager.all()))
        await until(lambda: not cleaner._running)
        await wait_all_tasks_blocked()
        log = fill(stand, TopicPartition("t", 1))
        await wait_all_tasks_blocked()
        assert not log.cleaning.is_in_progress
        settings.log_cleaner_backoff_ms = 10
        cleaner.reconfigure()
        await until(lambda: log.cleaning.first_dirty_offset == 4)
        nursery.cancel_scope.cancel()
