"""Leader epochs: what is asked of them, and the file that always says the same."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.log.checkpoints import CorruptCheckpoint
from pykbroker.log.files import Files
from pykbroker.log.leader_epochs import FILE_NAME, LeaderEpochFileCache
from tests.log.logs import FailingFiles, Unsynced, append, batch, open_log

Entries = list[tuple[int, int]]


def cache_of(directory: Path, *entries: tuple[int, int]) -> LeaderEpochFileCache:
    cache = LeaderEpochFileCache(Unsynced(), str(directory))
    for epoch, offset in entries:
        cache.assign(epoch, offset)
    return cache


def reloaded(cache: LeaderEpochFileCache) -> Entries:
    return LeaderEpochFileCache(Files(), str(Path(cache.path).parent)).entries


def test_the_bytes_are_kafkas(tmp_path: Path) -> None:
    cache = cache_of(tmp_path, (0, 0), (3, 77))
    assert Path(cache.path).name == FILE_NAME == "leader-epoch-checkpoint"
    assert Path(cache.path).read_bytes() == b"0\n2\n0 0\n3 77\n"


def test_there_is_no_file_before_the_first_epoch(tmp_path: Path) -> None:
    cache = cache_of(tmp_path)
    cache.truncate_from_end(0)
    cache.truncate_from_start(0)
    assert list(tmp_path.iterdir()) == []
    assert (cache.entries, cache.latest_epoch(), cache.epoch_for_offset(5)) == ([], None, None)


@pytest.mark.parametrize(
    ("assigned", "entries"),
    [
        ([(1, 0), (1, 5)], [(1, 0)]),
        ([(1, 5), (1, 3)], [(1, 3)]),
        ([(1, 0), (2, 5), (3, 9)], [(1, 0), (2, 5), (3, 9)]),
        ([(1, 0), (2, 5), (3, 5)], [(1, 0), (3, 5)]),
        ([(1, 0), (2, 5), (3, 2)], [(1, 0), (3, 2)]),
        ([(1, 0), (5, 5), (3, 7)], [(1, 0), (3, 7)]),
        ([(5, 5), (3, 2)], [(3, 2)]),
        ([(-1, 5), (3, -1)], []),
    ],
)
def test_a_later_entry_wins_over_what_contradicts_it(assigned: Entries, entries: Entries, tmp_path: Path) -> None:
    cache = cache_of(tmp_path, *assigned)
    assert cache.entries == entries
    assert reloaded(cache) == entries


def test_the_same_epoch_again_costs_no_write(tmp_path: Path) -> None:
    files = FailingFiles()
    cache = LeaderEpochFileCache(files, str(tmp_path))
    cache.assign(1, 0)
    files.failing["open"] = errno.EIO
    cache.assign(1, 50)
    with pytest.raises(OSError, match="Input/output"):
        cache.assign(2, 50)


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [(-1, (-1, -1)), (0, (0, 10)), (1, (1, 10)), (2, (2, 20)), (3, (2, 20)), (5, (5, 30)), (6, (6, 99)), (7, (-1, -1))],
)
def test_the_end_of_an_epoch(epoch: int, expected: tuple[int, int], tmp_path: Path) -> None:
    cache = cache_of(tmp_path, (1, 5), (2, 10), (5, 20), (6, 30))
    assert cache.end_offset_for(epoch, 99) == (expected if epoch else (0, 5))


def test_the_end_of_an_epoch_in_an_empty_cache(tmp_path: Path) -> None:
    assert cache_of(tmp_path).end_offset_for(0, 99) == (-1, -1)


def test_the_epoch_of_an_offset(tmp_path: Path) -> None:
    cache = cache_of(tmp_path, (1, 5), (2, 10))
    assert [cache.epoch_for_offset(offset) for offset in (4, 5, 9, 10, 99)] == [None, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("end", "entries"),
    [(0, []), (5, []), (6, [(1, 5)]), (10, [(1, 5)]), (11, [(1, 5), (2, 10)]), (99, [(1, 5), (2, 10)])],
)
def test_truncation_from_the_end(end: int, entries: Entries, tmp_path: Path) -> None:
    cache = cache_of(tmp_path, (1, 5), (2, 10))
    cache.truncate_from_end(end)
    assert cache.entries == reloaded(cache) == entries


@pytest.mark.parametrize(
    ("start", "entries"),
    [(0, [(1, 5), (2, 10)]), (5, [(1, 5), (2, 10)]), (7, [(1, 7), (2, 10)]), (10, [(2, 10)]), (50, [(2, 50)])],
)
def test_truncation_from_the_start(start: int, entries: Entries, tmp_path: Path) -> None:
    cache = cache_of(tmp_path, (1, 5), (2, 10))
    cache.truncate_from_start(start)
    assert cache.entries == reloaded(cache) == entries


def test_clear(tmp_path: Path) -> None:
    cache = cache_of(tmp_path, (1, 5))
    cache.clear()
    assert cache.entries == reloaded(cache) == []
    assert Path(cache.path).read_bytes() == b"0\n0\n"


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("0\n1\nnonsense\n")
    with pytest.raises(CorruptCheckpoint, match=FILE_NAME):
        cache_of(tmp_path)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 20))))
def test_epochs_and_offsets_always_ascend(assigned: Entries) -> None:
    cache = LeaderEpochFileCache(Nowhere(), "")
    for epoch, offset in assigned:
        cache.assign(epoch, offset)
        assert cache.entries[-1][0] == epoch
        for one, next_one in zip(cache.entries, cache.entries[1:], strict=False):
            assert one[0] < next_one[0]
            assert one[1] < next_one[1]


class Nowhere(Files):
    def overwrite(self, path: str, data: bytes) -> None:
        return

    def read_bytes(self, path: str) -> bytes:
        return b""

    def write_atomically(self, path: str, data: bytes, *, sync: bool = True) -> None:
        return


class OpenedPaths(Unsynced):
    """Keeps the names of files that were opened."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def open(self, path: str, flags: int = os.O_RDWR | os.O_CREAT) -> int:
        self.opened.append(Path(path).name)
        return super().open(path, flags)


def test_epochs_are_synced_with_the_batches(tmp_path: Path) -> None:
    files = OpenedPaths()
    log = open_log(tmp_path / "t-0", files=files)
    append(log, batch(), leader_epoch=3)
    files.opened.clear()
    assert not log.leader_epochs.is_synced
    log.flush()
    assert log.leader_epochs.is_synced
    assert FILE_NAME in files.opened
    append(log, batch(), leader_epoch=3)
    files.opened.clear()
    log.flush()
    assert FILE_NAME not in files.opened


def test_a_growing_file_is_overwritten_and_a_shrinking_one_replaced(tmp_path: Path) -> None:
    cache = cache_of(tmp_path, (0, 0), (1, 10), (2, 20))
    grown = Path(cache.path).stat().st_ino
    assert reloaded(cache) == [(0, 0), (1, 10), (2, 20)]
    cache = LeaderEpochFileCache(Unsynced(), str(tmp_path))
    cache.assign(3, 30)
    assert Path(cache.path).stat().st_ino == grown
    cache.truncate_from_end(15)
    assert Path(cache.path).stat().st_ino != grown
    assert reloaded(cache) == [(0, 0), (1, 10)]
