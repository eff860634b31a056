"""Index files: preallocated and trimmed as Kafka's, written in groups, read when needed."""

import errno
import os
from pathlib import Path

import pytest

from pykbroker.log.files import Files
from pykbroker.log.offset_index import OffsetIndex
from pykbroker.log.sparse_index import WRITE_BYTES, CorruptIndex, SparseIndex
from pykbroker.log.time_index import TimeIndex
from tests.log.logs import FailingFiles


def offset_index(path: Path, max_bytes: int = 8000, files: Files | None = None) -> OffsetIndex:
    return OffsetIndex(files or Files(), str(path / "0.index"), 0, max_bytes)


def size(index: SparseIndex) -> int:
    return os.path.getsize(index.path)


@pytest.mark.parametrize(("max_bytes", "length"), [(8000, 8000), (8003, 8000), (7, 0)])
def test_a_new_file_is_as_long_as_it_may_become(max_bytes: int, length: int, tmp_path: Path) -> None:
    index = offset_index(tmp_path, max_bytes)
    index.reset()
    assert size(index) == length
    assert os.stat(index.path).st_blocks == 0, "a hole costs no space"
    assert len(index) == 0


def test_a_sealed_file_ends_with_its_entries(tmp_path: Path) -> None:
    index = offset_index(tmp_path)
    index.reset()
    for number in range(1, 4):
        index.append(number, number * 10)
    assert size(index) == 8000
    index.trim()
    assert Path(index.path).read_bytes() == bytes.fromhex(
        "000000010000000a 0000000200000014 000000030000001e".replace(" ", "")
    )
    assert list(offset_index(tmp_path)) == [(1, 10), (2, 20), (3, 30)]


def test_the_preallocated_part_is_not_read_as_entries(tmp_path: Path) -> None:
    index = offset_index(tmp_path)
    index.reset()
    index.append(1, 0x100)  # the last byte of the entry is zero
    index.release()
    assert size(index) == 8000
    again = offset_index(tmp_path)
    assert again.last() == (1, 0x100)
    assert list(again) == [(1, 0x100)]


def test_an_entry_of_zeros_in_a_trimmed_file_is_one(tmp_path: Path) -> None:
    """Timestamp 0 at the base offset: records of 1970 are records."""
    index = TimeIndex(Files(), str(tmp_path / "0.timeindex"), 5, 1200)
    index.reset()
    index.maybe_append(0, 5)
    index.trim()
    index.release()
    assert TimeIndex(Files(), index.path, 5, 1200).last_entry() == (0, 5)
    assert TimeIndex(Files(), index.path, 5, 1200).lookup(7) == (0, 5)


def test_the_first_entry_is_written_at_once_the_others_in_groups_and_at_release(tmp_path: Path) -> None:
    index = offset_index(tmp_path, 80_000)
    index.reset()
    group = WRITE_BYTES // 8
    for number in range(1, group + 1):
        index.append(number, number)
    assert list(offset_index(tmp_path, 80_000)) == [(1, 1)]
    index.append(group + 1, group + 1)
    assert len(offset_index(tmp_path, 80_000)) == group + 1
    index.append(group + 2, group + 2)
    index.release()
    assert len(offset_index(tmp_path, 80_000)) == group + 2
    assert index.last() == (group + 2, group + 2)


def test_a_released_index_can_go_on(tmp_path: Path) -> None:
    index = offset_index(tmp_path)
    index.reset()
    for number in range(1, 50):
        index.append(number, number)
        index.release()
    assert list(index) == [(number, number) for number in range(1, 50)]


def test_the_last_entry_is_found_without_reading_the_rest(tmp_path: Path) -> None:
    index = offset_index(tmp_path)
    index.append(1, 10)
    index.append(2, 20)
    index.trim()
    files = FailingFiles()
    files.failing["read_bytes"] = errno.EIO
    again = offset_index(tmp_path, files=files)
    assert again.last() == (2, 20)
    assert again.checked_last() == (2, 20)
    with pytest.raises(OSError, match="Input/output"):
        len(again)


def test_an_empty_file_is_not_even_opened(tmp_path: Path) -> None:
    index = offset_index(tmp_path)
    index.trim()
    files = FailingFiles()
    files.failing.update(open=errno.EIO, read_bytes=errno.EIO)
    again = offset_index(tmp_path, files=files)
    assert again.last() is None
    assert list(again) == []


def test_a_missing_file(tmp_path: Path) -> None:
    index = offset_index(tmp_path)
    with pytest.raises(CorruptIndex, match="missing"):
        index.checked_last()
    assert index.last() is None
    assert list(offset_index(tmp_path)) == []
    assert not os.path.exists(index.path)


def test_a_file_that_ends_within_an_entry(tmp_path: Path) -> None:
    (tmp_path / "0.index").write_bytes(bytes.fromhex("000000010000000a 00"))
    with pytest.raises(CorruptIndex, match="9 bytes are no multiple of 8"):
        offset_index(tmp_path).checked_last()
    assert list(offset_index(tmp_path)) == [(1, 10)]
    assert offset_index(tmp_path).last() == (1, 10)


@pytest.mark.parametrize("kept", range(4))
def test_truncation_reaches_the_file(kept: int, tmp_path: Path) -> None:
    index = offset_index(tmp_path)
    index.reset()
    for number in range(1, 4):
        index.append(number, number)
    index.truncate_entries(kept)
    assert size(index) == 8 * kept
    index.append(9, 9)
    index.trim()
    assert [entry[0] for entry in offset_index(tmp_path)] == [*range(1, kept + 1), 9]


def test_full(tmp_path: Path) -> None:
    index = offset_index(tmp_path, 17)
    for number in range(2):
        assert not index.is_full
        index.append(number + 1, number + 1)
    assert index.is_full


def test_the_last_entry_not_above_a_key(tmp_path: Path) -> None:
    index = offset_index(tmp_path)
    for number in (2, 4, 6):
        index.append(number, number * 10)
    assert [index.floor(key, 0) for key in (1, 2, 3, 6, 9)] == [None, (2, 20), (2, 20), (6, 60), (6, 60)]
    assert index.floor(45, 1) == (4, 40)


def test_flushing_leaves_a_deleted_file_deleted(tmp_path: Path) -> None:
    """A thread may be about to flush a segment that retention removes."""
    index = offset_index(tmp_path)
    index.flush()
    assert os.listdir(tmp_path) == []
