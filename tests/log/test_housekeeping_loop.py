"""What is done on a schedule, each job by itself and all of them in virtual time."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from pykbroker.ids import TopicPartition
from pykbroker.log.housekeeping_loop import Housekeeping, flush
from pykbroker.log.unified_log import UnifiedLog
from tests.log.logs import NOW, append, batch
from tests.log.test_log_manager import RECOVERY, Stand

ONE = len(batch())


class Schedule:
    log_initial_task_delay_ms = 30_000
    log_retention_check_interval_ms = 300_000
    log_flush_scheduler_interval_ms = 2**63 - 1
    log_flush_offset_checkpoint_interval_ms = 60_000
    log_flush_start_offset_checkpoint_interval_ms = 60_000
    replica_high_watermark_checkpoint_interval_ms = 5_000
    producer_id_expiration_check_interval_ms = 600_000


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    stand = Stand(tmp_path / "data", segment_bytes=2 * ONE, retention_ms=1000, flush_ms=1000)
    stand.create(batches=5)
    yield stand
    stand.manager.release()


@pytest.fixture
def keeper(stand: Stand) -> Housekeeping:
    return Housekeeping(stand.manager, Schedule())


def log_of(stand: Stand) -> UnifiedLog:
    log = stand.manager.get(TopicPartition("t", 0))
    assert log is not None
    return log


async def test_old_segments_go_and_their_files_later(stand: Stand, keeper: Housekeeping) -> None:
    log = log_of(stand)
    stand.clock.advance(2)
    await keeper.apply_retention()
    assert (log.log_start_offset, log.log_end_offset) == (5, 5)
    deleted = [name for name in os.listdir(log.directory) if name.endswith(".deleted")]
    assert len(deleted) == 9
    stand.clock.advance(59)
    await keeper.remove_deleted()
    assert len([name for name in os.listdir(log.directory) if name.endswith(".deleted")]) == 9
    stand.clock.advance(1)
    await keeper.remove_deleted()
    assert not [name for name in os.listdir(log.directory) if name.endswith(".deleted")]


async def test_deleted_logs_go(stand: Stand, keeper: Housekeeping) -> None:
    stand.manager.delete(TopicPartition("t", 0))
    await keeper.remove_deleted()
    assert [name for name in os.listdir(stand.paths[0]) if name.endswith("-delete")]
    stand.clock.advance(60)
    await keeper.remove_deleted()
    assert not [name for name in os.listdir(stand.paths[0]) if name.startswith("t-")]


async def test_sealed_segments_are_flushed_before_the_checkpoint(stand: Stand, keeper: Housekeeping) -> None:
    """So that recovery begins at the active segment."""
    await keeper.checkpoint_recovery_points()
    assert log_of(stand).recovery_point == 4
    assert (stand.paths[0] / RECOVERY).read_text() == "0\n1\nt 0 4\n"


async def test_logs_that_were_not_flushed_for_their_time(stand: Stand, keeper: Housekeeping) -> None:
    log = log_of(stand)
    await keeper.flush_dirty_logs()
    assert log.recovery_point == 0
    stand.clock.advance(1)
    await keeper.flush_dirty_logs()
    assert (log.recovery_point, log.last_flushed_ms) == (5, NOW + 1000)
    append(log, batch())
    await keeper.flush_dirty_logs()
    assert log.recovery_point == 5


async def test_what_is_appended_during_a_flush_is_not_flushed_by_it(stand: Stand) -> None:
    log = log_of(stand)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(flush, log, log.log_end_offset)
        await trio.testing.wait_all_tasks_blocked()
        append(log, batch())
    assert (log.recovery_point, log.log_end_offset) == (5, 6)


@pytest.mark.parametrize("operation", ["fsync", "unlink", "rename"])
async def test_a_broken_disk_takes_the_directory_offline_and_the_task_goes_on(
    operation: str, stand: Stand, keeper: Housekeeping
) -> None:
    log = log_of(stand)
    if operation == "unlink":
        log.remove_segments(log.segments[:1], NOW)
    stand.clock.advance(100)
    stand.files.failing[operation] = errno.EIO
    jobs: dict[str, Callable[[], object]] = {
        "fsync": keeper.flush_dirty_logs, "unlink": keeper.remove_deleted, "rename": keeper.apply_retention,
    }  # fmt: skip
    await jobs[operation]()  # type: ignore[misc]
    assert stand.failed == [str(stand.paths[0])]


async def test_silent_producers_are_forgotten(stand: Stand, keeper: Housekeeping) -> None:
    log = log_of(stand)
    append(log, batch(producer_id=7, producer_epoch=0, base_sequence=0), origin="client")
    keeper.expire_producers()
    assert set(log.producer_state.producers) == {7}
    stand.clock.advance(86_400)
    keeper.expire_producers()
    assert log.producer_state.producers == {}


class Noted(Housekeeping):
    """Notes when each job ran instead of doing it."""

    def jobs(self) -> list[tuple[float, Callable[[], object]]]:
        self.ran: dict[str, list[float]] = {}
        return [(interval, self.note(getattr(job, "__name__", ""))) for interval, job in super().jobs()]

    def note(self, name: str) -> Callable[[], object]:
        return lambda: self.ran.setdefault(name, []).append(trio.current_time() - self.began)

    began = 0.0


async def test_the_schedule(stand: Stand, autojump_clock: MockClock) -> None:
    keeper = Noted(stand.manager, Schedule())
    keeper.began = trio.current_time()
    with trio.move_on_after(631):
        await keeper.run()
    assert keeper.ran["apply_retention"] == [330, 630]
    assert keeper.ran["checkpoint_recovery_points"] == [90 + 60 * number for number in range(10)]
    assert keeper.ran["checkpoint_log_start_offsets"] == keeper.ran["checkpoint_recovery_points"]
    assert keeper.ran["checkpoint_high_watermarks"] == [35 + 5 * number for number in range(120)]
    assert keeper.ran["expire_producers"] == [630]
    assert keeper.ran["remove_deleted"] == [60 + 30 * number for number in range(20)]
    assert "flush_dirty_logs" not in keeper.ran
