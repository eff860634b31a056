"""Logs that move between directories, cut off at every step: a whole log is always left, and but one."""

import os
from pathlib import Path

import pytest

from pykbroker.clock import ManualClock
from pykbroker.ids import DIRECTORY_UNASSIGNED, TopicPartition, Uuid
from pykbroker.log.files import Buffer
from pykbroker.log.log_copy import CopyError
from pykbroker.log.log_manager import LogDirectory, LogManager
from pykbroker.log.unified_log import UnifiedLog
from tests.log.logs import NOW, Unsynced, append, batch, read_all, topic_config

TP = TopicPartition("t", 0)
TOPIC_ID = Uuid.parse("PEXy-nNgToGi2RBdUPHsjQ")
CONFIG = topic_config(segment_bytes=1000, index_interval_bytes=200)


class Killed(Exception):
    """The process ends here."""


class Mortal(Unsynced):
    """Dies before its n-th call that changes something."""

    def __init__(self, calls: int = -1) -> None:
        self.calls = calls

    def _step(self) -> None:
        self.calls -= 1
        if self.calls == 0:
            raise Killed

    def pwrite(self, fd: int, data: Buffer, position: int) -> int:
        self._step()
        return super().pwrite(fd, data, position)

    def rename(self, old: str, new: str) -> None:
        self._step()
        super().rename(old, new)

    def unlink(self, path: str) -> None:
        self._step()
        super().unlink(path)


class Stand:
    def __init__(self, folder: Path, files: Unsynced | None = None) -> None:
        self.folder = folder
        self.manager = self.start(files or Unsynced())

    def start(self, files: Unsynced, assigned: int | None = None) -> LogManager:
        """`assigned`: the number of the directory that the cluster knows for the partition."""
        paths = [str(self.folder / "one"), str(self.folder / "two")]
        self.manager = LogManager(paths, clock=ManualClock(wall_ms=NOW), files=files)
        self.manager.open(node_id=1, cluster_id=None, new_cluster_id=lambda: "cluster")
        directory = DIRECTORY_UNASSIGNED if assigned is None else self.directory(assigned).id
        self.manager.load(lambda topic: CONFIG, lambda tp: directory)
        return self.manager

    def restart(self, assigned: int | None = None, *, clean: bool = False) -> LogManager:
        self.manager.shutdown(5) if clean else self.manager.release()
        return self.start(Unsynced(), assigned)

    def directory(self, number: int) -> LogDirectory:
        return self.manager.directories[number - 1]

    def create(self, batches: int) -> UnifiedLog:
        log = self.manager.create(TP, TOPIC_ID, CONFIG, self.directory(1).id)
        for number in range(batches):
            append(log, batch((NOW + number,)))
        return log

    def move(self, to: int = 2) -> UnifiedLog:
        copy = self.manager.begin_copy(TP, self.directory(to))
        while (copying := copy.next_round()) is not None:
            copying.job()
            copy.copied(copying)
        return self.manager.replace(copy, self.directory(to))

    @property
    def log(self) -> UnifiedLog:
        log = self.manager.get(TP)
        assert log is not None
        return log

    def place(self) -> int:
        directory = self.manager.directory_of(TP)
        assert directory is not None
        return self.manager.directories.index(directory) + 1

    def names(self, number: int) -> set[str]:
        """What lies in the directory for the partition; deleted logs do not count."""
        names = os.listdir(self.folder / ("one" if number == 1 else "two"))
        return {name for name in names if name.startswith("t-0") and not name.endswith("-delete")}


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


def contents(log: UnifiedLog) -> list[bytes]:
    return [data for _, data in read_all(log)]


def test_a_log_moves_and_goes_on(stand: Stand) -> None:
    old = stand.create(30)
    old.increment_log_start_offset(11)
    before = contents(old)
    new = stand.move()
    assert (contents(new), new.high_watermark, new.log_start_offset) == (before, 30, 11)
    assert (stand.place(), stand.names(1), stand.names(2)) == (2, set(), {"t-0"})
    append(new, batch())
    for clean in (True, False):
        manager = stand.restart(2, clean=clean)
        assert (stand.place(), stand.log.log_start_offset, stand.log.log_end_offset) == (2, 11, 31)
        assert contents(stand.log)[: len(before)] == before
        assert manager.interrupted_copies == {}
    stand.move(1)
    assert (stand.place(), stand.names(1), stand.names(2)) == (1, {"t-0"}, set())
    assert contents(stand.log)[: len(before)] == before


def test_whoever_still_holds_the_old_log_harms_nobody(stand: Stand) -> None:
    old = stand.create(3)
    stand.move()
    with pytest.raises(OSError, match="No such file"):
        old.roll(NOW + 1)
    old.on_io_error(OSError("of a log that is gone"))
    assert all(directory.is_online for directory in stand.manager.directories)


@pytest.mark.parametrize("assigned", [1, 2, None])
def test_killed_at_any_step(tmp_path: Path, assigned: int | None) -> None:
    """Before the swap the cluster knows the new directory; the others are what an old metadata.version leaves."""
    step, survived = 0, False
    while not survived:
        step += 1
        stand = Stand(tmp_path / str(step), Mortal())
        old = stand.create(12)
        old.increment_log_start_offset(4)
        stand.manager.checkpoint_log_start_offsets()
        before = contents(old)
        stand.manager.files = old.files = Mortal(step)
        try:
            stand.move()
            survived = True
        except Killed:
            pass
        manager = stand.restart(assigned)
        assert (contents(stand.log), stand.log.log_start_offset) == (before, 4), step
        assert len(stand.names(1) | stand.names(2)) == 1, step
        assert stand.names(stand.place()) == {"t-0"}
        assert set(manager.interrupted_copies) <= {TP}
        if manager.interrupted_copies:
            assert (stand.place(), manager.interrupted_copies[TP]) == (1, stand.directory(2))
        manager.release()
    assert step > 10


def test_of_two_whole_logs_the_assigned_one_is_right(stand: Stand) -> None:
    """As a kill between the two renames leaves them; the other way round when the cluster says so."""
    for assigned in (2, 1):
        stand.create(5)
        both(stand, longer=False)
        stand.restart(assigned)
        assert (stand.place(), stand.names(3 - assigned)) == (assigned, set())
        stand.manager.delete(TP)


def test_without_an_assignment_the_longer_one_is(stand: Stand) -> None:
    stand.create(5)
    both(stand, longer=True)
    stand.restart(None)
    assert (stand.place(), stand.log.log_end_offset) == (2, 5)
    assert stand.names(1) == set()


def both(stand: Stand, longer: bool) -> None:
    """A second log in directory two; `longer`: the first one lost something."""
    copy = stand.manager.begin_copy(TP, stand.directory(2))
    while (copying := copy.next_round()) is not None:
        copying.job()
        copy.copied(copying)
    copy.finish()
    os.rename(copy.directory, stand.folder / "two" / "t-0")
    if longer:
        stand.log.truncate_to(3)


FUTURE = "t-0.0123456789abcdef0123456789abcdef-future"


def leave_a_future(stand: Stand) -> None:
    copy = stand.manager.begin_copy(TP, stand.directory(2))
    copy.finish()
    os.rename(copy.directory, stand.folder / "two" / FUTURE)


def test_a_copy_that_was_under_way_begins_anew(stand: Stand) -> None:
    stand.create(3)
    leave_a_future(stand)
    manager = stand.restart(2, clean=True)
    assert manager.interrupted_copies == {TP: stand.directory(2)}
    assert (stand.place(), stand.names(2)) == (1, set())


@pytest.mark.parametrize(("assigned", "is_taken"), [(2, True), (1, False), (None, False)])
def test_a_copy_whose_log_is_gone(stand: Stand, assigned: int | None, is_taken: bool) -> None:
    """As Kafka leaves it between its renames, the other way round than ours, or a disk that was replaced."""
    stand.create(3)
    leave_a_future(stand)
    stand.manager.delete(TP)
    manager = stand.restart(assigned)
    assert manager.interrupted_copies == {}
    assert stand.names(2) == ({"t-0"} if is_taken else set())
    assert (manager.get(TP) is not None) == is_taken
    if is_taken:
        assert stand.log.log_end_offset == 3


def broken(*_: object) -> None:
    raise OSError(5, "broken")


@pytest.mark.parametrize("method", ["rename", "fsync_directory"])
def test_a_swap_that_fails_leaves_the_old_log(stand: Stand, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    old = stand.create(3)
    copy = stand.manager.begin_copy(TP, stand.directory(2))
    monkeypatch.setattr(stand.manager.files, method, broken)
    with pytest.raises(CopyError):
        stand.manager.replace(copy, stand.directory(2))
    assert (stand.manager.get(TP), stand.place()) == (old, 1)
    assert contents(old)


def test_new_logs_are_made_where_they_are_wanted(stand: Stand) -> None:
    def place(index: int, assigned: Uuid = DIRECTORY_UNASSIGNED) -> LogDirectory | None:
        tp = TopicPartition("new", index)
        stand.manager.create(tp, TOPIC_ID, CONFIG, assigned)
        return stand.manager.directory_of(tp)

    one, two = stand.manager.directories
    stand.manager.preferred = {TopicPartition("new", index): two for index in (0, 1, 2)}
    assert place(0) is two
    assert place(1) is two, "though it has more logs"
    assert place(2, one.id) is one, "what the cluster knows comes first"
    assert stand.manager.preferred == {}
    assert place(3) is one
