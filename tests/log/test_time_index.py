"""Timestamp → offset."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.log.files import Files
from pykbroker.log.sparse_index import CorruptIndex
from pykbroker.log.time_index import TimeIndex

BASE = 1000


def index_of(directory: Path, *entries: tuple[int, int], max_bytes: int = 1200) -> TimeIndex:
    index = TimeIndex(Files(), f"{directory}/{BASE}.timeindex", BASE, max_bytes)
    index.reset()
    for timestamp, offset in entries:
        index.maybe_append(timestamp, offset)
    return index


def test_the_bytes_are_kafkas(tmp_path: Path) -> None:
    index = index_of(tmp_path, (0x1_0000_0002, BASE + 3))
    index.trim()
    assert Path(index.path).read_bytes() == bytes.fromhex("000000010000000200000003")


def test_only_larger_timestamps_are_added(tmp_path: Path) -> None:
    index = index_of(tmp_path, (10, 1001), (10, 1002), (9, 1003), (11, 1004), (-1, 1005))
    assert list(index) == [(10, 1), (11, 4)]
    assert index.last_entry() == (11, 1004)


def test_no_timestamps_no_entries(tmp_path: Path) -> None:
    index = index_of(tmp_path, (-1, 1001))
    assert list(index) == []
    assert index.last_entry() == (-1, BASE)
    assert index.lookup(5) == (-1, BASE)


def test_lookup(tmp_path: Path) -> None:
    index = index_of(tmp_path, (10, 1005), (20, 1009))
    assert [index.lookup(timestamp) for timestamp in (9, 10, 19, 20, 99)] == [
        (-1, BASE), (10, 1005), (10, 1005), (20, 1009), (20, 1009),
    ]  # fmt: skip


def test_the_last_slot_is_kept_for_the_roll(tmp_path: Path) -> None:
    """A segment whose time index has one slot left is rolled; the entry at the roll takes it."""
    index = index_of(tmp_path, max_bytes=36)
    for timestamp in (1, 2):
        assert not index.is_full
        index.maybe_append(timestamp, 1000 + timestamp)
    assert index.is_full
    index.maybe_append(3, 1003)
    assert index.last_entry() == (2, 1002)
    index.maybe_append(3, 1003, even_if_full=True)
    assert index.last_entry() == (3, 1003)
    index.trim()
    assert Path(index.path).stat().st_size == 36


def test_truncation_keeps_what_is_below(tmp_path: Path) -> None:
    for offset, kept in [(1000, 0), (1005, 0), (1006, 1), (1009, 1), (1010, 2)]:
        index = index_of(tmp_path, (10, 1005), (20, 1009))
        index.truncate_to(offset)
        assert len(index) == kept, offset


@pytest.mark.parametrize("entry", [bytes(8) + b"\xff" * 4, b"\xff" * 8 + bytes(4)])
def test_a_last_entry_that_cannot_be(entry: bytes, tmp_path: Path) -> None:
    index = index_of(tmp_path)
    Path(index.path).write_bytes(entry)
    with pytest.raises(CorruptIndex, match="none that can be"):
        TimeIndex(Files(), index.path, BASE, 1200).sanity_check()


def test_a_sane_index(tmp_path: Path) -> None:
    index = index_of(tmp_path, (10, 1005))
    index.trim()
    index.release()
    index.sanity_check()


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 5)), max_size=30), st.integers(0, 160), st.integers(-1, 61)
)
def test_as_a_list_would(steps: list[tuple[int, int]], cut: int, probe: int) -> None:
    """Growing timestamps only are kept; what is cut and read again is the same."""
    with tempfile.TemporaryDirectory() as root:
        index = TimeIndex(Files(), f"{root}/{100:020d}.timeindex", 100, 1000 * 12)
        index.reset()
        model: list[tuple[int, int]] = []
        offset = 100
        for timestamp, step in steps:
            offset += step
            index.maybe_append(timestamp, offset)
            if not model or timestamp > model[-1][0]:
                model.append((timestamp, offset))
        index.truncate_to(100 + cut)
        model = [entry for entry in model if entry[1] < 100 + cut]
        again = TimeIndex(Files(), index.path, 100, 1000 * 12)
        for each in (index, again):
            below = [entry for entry in model if entry[0] <= probe]
            assert each.lookup(probe) == (below[-1] if below else (-1, 100))
            assert each.last_entry() == (model[-1] if model else (-1, 100))
