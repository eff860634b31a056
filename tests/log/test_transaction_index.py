"""Aborted transactions of a segment."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.log.files import Files
from pykbroker.log.sparse_index import CorruptIndex
from pykbroker.log.transaction_index import AbortedTransaction, TransactionIndex

ABORTED = [
    AbortedTransaction(1, 0, 10, 11),
    AbortedTransaction(2, 5, 15, 12),
    AbortedTransaction(3, 18, 35, 25),
    AbortedTransaction(4, 32, 50, 40),
]


def index_of(directory: Path, *aborted: AbortedTransaction, base_offset: int = 0) -> TransactionIndex:
    index = TransactionIndex(Files(), f"{directory}/0.txnindex", base_offset)
    for each in aborted:
        index.append(each)
    return index


def test_there_is_no_file_before_something_was_aborted(tmp_path: Path) -> None:
    index = index_of(tmp_path)
    assert index.entries == []
    assert index.collect(0, 100) == ([], False)
    index.truncate_to(0)
    index.reset()
    index.flush()
    assert os.listdir(tmp_path) == []


def test_the_bytes_are_kafkas(tmp_path: Path) -> None:
    index = index_of(tmp_path, AbortedTransaction(1, 2, 3, 4))
    expected = "0000" + "".join(f"{number:016x}" for number in (1, 2, 3, 4))
    assert Path(index.path).read_bytes().hex() == expected


def test_entries_are_read_again(tmp_path: Path) -> None:
    index = index_of(tmp_path, *ABORTED)
    index.release()
    assert index.entries == ABORTED
    assert index_of(tmp_path).entries == ABORTED


def test_ends_must_ascend(tmp_path: Path) -> None:
    index = index_of(tmp_path, ABORTED[1])
    with pytest.raises(CorruptIndex, match="last offset 15 is not above 15"):
        index.append(ABORTED[1])


@pytest.mark.parametrize(
    ("start", "end", "producers", "is_complete"),
    [
        (0, 100, [1, 2, 3, 4], False),
        (0, 32, [1, 2, 3], True),
        (0, 35, [1, 2, 3, 4], True),
        (10, 35, [1, 2, 3, 4], True),
        (11, 35, [2, 3, 4], True),
        (20, 41, [3, 4], False),
        (26, 31, [3], True),
        (30, 40, [3, 4], True),
        (51, 60, [], False),
        (0, 5, [1], True),
    ],
)
def test_what_touches_a_range(start: int, end: int, producers: list[int], is_complete: bool, tmp_path: Path) -> None:
    """The numbers of Kafka's own TransactionIndex."""
    found, complete = index_of(tmp_path, *ABORTED).collect(start, end)
    assert ([each.producer_id for each in found], complete) == (producers, is_complete)


@pytest.mark.parametrize(("offset", "kept"), [(0, 0), (10, 0), (11, 1), (36, 3), (51, 4)])
def test_truncation_keeps_what_ended_below(offset: int, kept: int, tmp_path: Path) -> None:
    index = index_of(tmp_path, *ABORTED)
    index.truncate_to(offset)
    assert index.entries == ABORTED[:kept]
    assert index_of(tmp_path).entries == ABORTED[:kept]


def test_reset_removes_the_file(tmp_path: Path) -> None:
    index = index_of(tmp_path, *ABORTED)
    index.reset()
    assert index.entries == []
    assert os.listdir(tmp_path) == []


def test_damage_is_told(tmp_path: Path) -> None:
    index = index_of(tmp_path, *ABORTED)
    whole = Path(index.path).read_bytes()
    Path(index.path).write_bytes(whole[:-1])
    with pytest.raises(CorruptIndex, match="no multiple of 34"):
        _ = index_of(tmp_path).entries
    Path(index.path).write_bytes(b"\0\1" + whole[2:])
    with pytest.raises(CorruptIndex, match="version 1"):
        _ = index_of(tmp_path).entries
    Path(index.path).write_bytes(whole)
    with pytest.raises(CorruptIndex, match="ended before base offset 11"):
        _ = index_of(tmp_path, base_offset=11).entries


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), max_size=20), st.integers(0, 120), st.data())
def test_as_a_list_would(steps: list[tuple[int, int]], cut: int, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as root:
        index = TransactionIndex(Files(), f"{root}/{0:020d}.txnindex", 0)
        model: list[AbortedTransaction] = []
        last = 0
        for length, step in steps:
            first = last + 1
            last += step + length
            aborted = AbortedTransaction(7, first, last, last + 1)
            index.append(aborted)
            model.append(aborted)
        index.truncate_to(cut)
        model = [one for one in model if one.last_offset < cut]
        start = data.draw(st.integers(0, 130))
        end = data.draw(st.integers(start, 140))
        for each in (index, TransactionIndex(Files(), index.path, 0)):
            assert each.entries == model
            found, _ = each.collect(start, end)
            assert found == [one for one in model if one.last_offset >= start and one.first_offset < end]
