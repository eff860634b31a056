"""Offset → position."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.log.files import Files
from pykbroker.log.offset_index import OffsetIndex
from pykbroker.log.sparse_index import CorruptIndex

BASE = 1000


def index_of(directory: Path, *entries: tuple[int, int]) -> OffsetIndex:
    index = OffsetIndex(Files(), f"{directory}/{BASE}.index", BASE, 8000)
    index.reset()
    for offset, position in entries:
        index.append(offset, position)
    return index


def test_the_bytes_are_kafkas(tmp_path: Path) -> None:
    index = index_of(tmp_path, (BASE + 5, 0x1234))
    index.trim()
    assert Path(index.path).read_bytes() == bytes.fromhex("0000000500001234")


def test_lookup(tmp_path: Path) -> None:
    index = index_of(tmp_path, (1010, 100), (1020, 200))
    expected = {0: 0, 999: 0, 1000: 0, 1009: 0, 1010: 100, 1019: 100, 1020: 200, 2**40: 200}
    assert {offset: index.lookup(offset) for offset in expected} == expected
    assert index_of(tmp_path).lookup(1010) == 0


def test_truncation_keeps_what_is_below(tmp_path: Path) -> None:
    for offset, kept in [(1000, 0), (1010, 0), (1011, 1), (1020, 1), (1021, 2), (5000, 2)]:
        index = index_of(tmp_path, (1010, 100), (1020, 200))
        index.truncate_to(offset)
        assert len(index) == kept, offset


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(st.sets(st.integers(1, 300)), st.integers(0, 310))
def test_truncation_and_lookup_as_a_list_would(offsets: set[int], cut: int) -> None:
    index = OffsetIndex(Unwritten(), "", BASE, 8000)
    index.truncate_entries(0)
    entries = [(offset, number + 1) for number, offset in enumerate(sorted(offsets))]
    for offset, position in entries:
        index.append(BASE + offset, position)
    for probe in range(0, 310, 7):
        assert index.lookup(BASE + probe) == max(
            [position for offset, position in entries if offset <= probe], default=0
        )
    index.truncate_to(BASE + cut)
    assert list(index) == [entry for entry in entries if entry[0] < cut]


class Unwritten(Files):
    """Nothing reaches the disk."""

    def open(self, path: str, flags: int = 0) -> int:
        return -1

    def close(self, fd: int) -> None:
        return

    def pwrite(self, fd: int, data: object, position: int) -> int:
        return len(memoryview(data))  # type: ignore[arg-type]

    def truncate(self, fd: int, length: int) -> None:
        return


@pytest.mark.parametrize("entry", [(5, 500), (-1, 5), (5, -1)])
def test_a_last_entry_that_is_not_of_the_segment(entry: tuple[int, int], tmp_path: Path) -> None:
    index = index_of(tmp_path, (BASE + entry[0], entry[1]))
    index.trim()
    index.release()
    with pytest.raises(CorruptIndex, match="segment of 500 bytes"):
        index.sanity_check(500)


def test_a_sane_index(tmp_path: Path) -> None:
    index = index_of(tmp_path, (1005, 499))
    index.trim()
    index.release()
    index.sanity_check(500)
    index = index_of(tmp_path)
    with pytest.raises(CorruptIndex, match="not trimmed"):
        index.sanity_check(0)
    index.trim()
    index.release()
    index.sanity_check(0)
