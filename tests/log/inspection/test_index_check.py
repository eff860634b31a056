"""Indexes against the batches they are of."""

from pathlib import Path

import pytest

from pykbroker.log.inspection.batches import ByteFile, FoundBatch, scan
from pykbroker.log.inspection.index_check import OffsetIndexCheck, TimeIndexCheck
from pykbroker.log.inspection.index_files import Entry, IndexContent
from tests.log.logs import NOW, batch

SIZE = len(batch([NOW, NOW]))


@pytest.fixture
def segment(tmp_path: Path) -> list[FoundBatch]:
    """Four batches of two records, offsets 0 to 7; the largest timestamp is in the third."""
    path = tmp_path / "0.log"
    stamps = [(NOW, NOW + 1), (NOW - 5, NOW - 4), (NOW + 9, NOW + 7), (NOW, NOW)]
    path.write_bytes(b"".join(batch(pair, base_offset=2 * index) for index, pair in enumerate(stamps)))
    with ByteFile(str(path)) as file:
        found = [each for each in scan(file, 0) if isinstance(each, FoundBatch)]
        for each in found:
            each.data()  # it lies in one chunk, which outlives the file
    assert len(found) == 4
    return found


def content(*entries: tuple[int, int], width: int = 8) -> IndexContent:
    return IndexContent([Entry(index * width, *entry) for index, entry in enumerate(entries)], 0, [])


def check_offsets(segment: list[FoundBatch], *entries: tuple[int, int]) -> list[int]:
    """The positions of flaws."""
    check = OffsetIndexCheck(content(*entries))
    for each in segment:
        check.take(each)
    return [flaw.position for flaw in check.finish(4 * segment[0].size)]


def test_each_entry_is_a_batch_by_its_last_offset(segment: list[FoundBatch]) -> None:
    at = [each.position for each in segment]
    assert check_offsets(segment) == []
    assert check_offsets(segment, (3, at[1]), (7, at[3])) == []


def test_positions_within_a_batch_and_behind_the_end(segment: list[FoundBatch]) -> None:
    at = [each.position for each in segment]
    assert check_offsets(segment, (3, at[1] + 1), (7, at[3])) == [0]
    assert check_offsets(segment, (3, at[1]), (7, at[3] + 1)) == [8]
    assert check_offsets(segment, (3, at[1]), (7, 100_000)) == [8]


def test_offsets_that_the_batch_does_not_end_with(segment: list[FoundBatch]) -> None:
    at = [each.position for each in segment]
    assert check_offsets(segment, (2, at[1])) == [0]
    assert check_offsets(segment, (9, at[3])) == [0]
    assert check_offsets(segment, (1, at[1])) == [0]
    assert check_offsets(segment, (5, at[1])) == [0]  # the next one's
    assert check_offsets(segment, (5, at[1]), (7, at[3])) == [0]
    assert check_offsets(segment, (7, at[1]), (5, at[2])) == [0]


def test_entries_for_several_batches_as_older_kafkas_wrote_them(segment: list[FoundBatch]) -> None:
    at = [each.position for each in segment]
    assert check_offsets(segment, (3, at[0]), (7, at[2])) == []


def check_times(segment: list[FoundBatch], *entries: tuple[int, int], is_sealed: bool = False) -> list[int]:
    check = TimeIndexCheck(content(*entries, width=12))
    for each in segment:
        check.take(each)
    return [flaw.position for flaw in check.finish(is_sealed=is_sealed)]


def test_each_entry_is_the_largest_timestamp_up_to_there(segment: list[FoundBatch]) -> None:
    assert check_times(segment, (NOW + 1, 1), (NOW + 9, 5), is_sealed=True) == []
    assert check_times(segment, (NOW + 9, 4)) == []  # the very record, as older Kafkas noted it
    assert check_times(segment, (NOW + 1, 0)) == [0]
    assert check_times(segment, (NOW, 1)) == [0]
    assert check_times(segment, (NOW - 4, 3)) == [0]
    assert check_times(segment, (NOW + 10, 8)) == [0]


def test_a_sealed_index_ends_with_the_largest_of_all(segment: list[FoundBatch]) -> None:
    assert check_times(segment, (NOW + 1, 1), is_sealed=True) == [0]
    assert check_times(segment, is_sealed=True) == [0]
    assert check_times(segment, (NOW + 1, 1), is_sealed=False) == []
