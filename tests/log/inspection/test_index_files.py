"""Index files alone: entries, zeros behind them, and what contradicts itself."""

import struct

import pytest

from pykbroker.log.inspection.index_files import (
    OFFSET_LAYOUT,
    TIME_LAYOUT,
    TRANSACTION_LAYOUT,
    Entry,
    read_offset_index,
    read_time_index,
    read_transaction_index,
)


def offsets(*entries: tuple[int, int]) -> bytes:
    return b"".join(OFFSET_LAYOUT.pack(*entry) for entry in entries)


def times(*entries: tuple[int, int]) -> bytes:
    return b"".join(TIME_LAYOUT.pack(*entry) for entry in entries)


def aborted(*entries: tuple[int, ...]) -> bytes:
    return b"".join(TRANSACTION_LAYOUT.pack(*entry) for entry in entries)


def test_entries_have_absolute_offsets_and_positions() -> None:
    assert read_offset_index(offsets((3, 100), (9, 200)), 50).entries == [Entry(0, 53, 100), Entry(8, 59, 200)]
    assert read_time_index(times((1000, 3), (2000, 3)), 50).entries == [Entry(0, 1000, 53), Entry(12, 2000, 53)]


def test_zeros_of_an_active_segment_are_no_entries() -> None:
    content = read_offset_index(offsets((3, 100)) + bytes(800), 0)
    assert (len(content.entries), content.preallocated, content.flaws) == (1, 800, [])
    assert read_time_index(times((256, 0)) + bytes(1200), 0).preallocated == 1200  # the entry ends with zeros itself
    assert read_offset_index(bytes(800), 0).preallocated == 800


def test_one_entry_of_zeros_says_timestamp_0_at_the_base_offset() -> None:
    assert read_time_index(bytes(12), 7).entries == [Entry(0, 0, 7)]


@pytest.mark.parametrize(
    ("data", "position"),
    [
        (offsets((3, 100), (3, 200)), 8),
        (offsets((3, 100), (4, 100)), 8),
        (offsets((3, 100), (-1, 200)), 8),
        (offsets((3, 100), (4, 200)) + b"\1\1\1", 16),
    ],
)
def test_flaws_of_an_offset_index(data: bytes, position: int) -> None:
    assert [flaw.position for flaw in read_offset_index(data, 0).flaws] == [position]


@pytest.mark.parametrize(
    ("data", "position"),
    [
        (times((5, 1), (5, 2)), 12),
        (times((5, 2), (6, 1)), 12),
        (times((5, 1), (6, -1)), 12),
        (times((5, 1)) + b"\1", 12),
    ],
)
def test_flaws_of_a_time_index(data: bytes, position: int) -> None:
    assert [flaw.position for flaw in read_time_index(data, 0).flaws] == [position]


def test_aborted_transactions() -> None:
    entries, flaws = read_transaction_index(aborted((0, 7, 1, 5, 6), (0, 8, 2, 9, 10)), 0)
    assert [(position, tuple(entry)) for position, entry in entries] == [(0, (7, 1, 5, 6)), (34, (8, 2, 9, 10))]
    assert flaws == []


@pytest.mark.parametrize(
    "entry",
    [(1, 8, 2, 9, 10), (0, 8, 2, 5, 6), (0, 8, 10, 9, 10), (0, -1, 2, 9, 10), (0, 8, -1, 9, 10), (0, 8, 2, 9, 11)],
)
def test_flaws_of_a_transaction_index(entry: tuple[int, ...]) -> None:
    _, flaws = read_transaction_index(aborted((0, 7, 1, 5, 6), entry), 0)
    assert [flaw.position for flaw in flaws] == [34]


def test_a_transaction_index_that_ends_within_an_entry() -> None:
    entries, flaws = read_transaction_index(aborted((0, 7, 1, 5, 6)) + struct.pack(">h", 0), 0)
    assert len(entries) == 1
    assert [flaw.position for flaw in flaws] == [34]
