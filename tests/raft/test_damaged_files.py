"""The files of a metadata log with bits flipped or cut: told or cut off, never taken for metadata.

Kafka does the same with the log: recovery ends it before the first batch whose checksum is wrong, in silence but for a
line in its own log. A snapshot or a quorum-state that is damaged stops the node.
"""

import os
from pathlib import Path
from random import Random

import pytest

from pykbroker.record.batch import iterate_frames
from tests.raft.logs import PARTITION, append, names, open_log

BATCHES = [["a", "b"], ["c"], ["d", "e", "f"], ["g"]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    log = open_log(tmp_path)
    for batch in BATCHES:
        append(log, *batch)
    log.sync()
    return tmp_path


def log_file(folder: Path) -> Path:
    return folder / PARTITION / f"{0:020}.log"


@pytest.mark.parametrize("seed", range(10))
def test_a_flipped_bit_ends_the_log_there(seed: int, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    random = Random(seed)
    data = bytearray(log_file(folder).read_bytes())
    place = random.randrange(len(data))
    data[place] ^= 1 << random.randrange(8)
    log_file(folder).write_bytes(data)
    found = names(open_log(folder))
    assert found == BATCHES[: len(found)]
    assert is_outside_the_checksum(place, data) or "Cutting" in caplog.text


def is_outside_the_checksum(place: int, data: bytes) -> bool:
    """Base offset and leader epoch, which the leader stamps, are not in it."""
    position = 0
    while position + 12 <= len(data):
        size = 12 + int.from_bytes(data[position + 8 : position + 12], "big")
        if position <= place < position + size:
            return place - position < 8 or 12 <= place - position < 16
        position += size
    return False


@pytest.mark.parametrize("seed", range(5))
def test_a_cut_ends_it_too(seed: int, folder: Path) -> None:
    data = log_file(folder).read_bytes()
    log_file(folder).write_bytes(data[: Random(seed).randrange(len(data))])
    found = names(open_log(folder))
    assert found == BATCHES[: len(found)]
    assert len(found) < len(BATCHES)


@pytest.mark.parametrize("suffix", [".index", ".timeindex", ".snapshot", "leader-epoch-checkpoint"])
def test_what_is_derived_is_made_anew(suffix: str, folder: Path) -> None:
    for path in (folder / PARTITION).iterdir():
        if path.name.endswith(suffix):
            path.write_bytes(b"\x01nonsense" * 3)
    assert names(open_log(folder)) == BATCHES


@pytest.mark.parametrize("is_empty", [True, False])
def test_a_gap_that_a_power_cut_left_ends_it(is_empty: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The end of a segment is gone as a whole, the next one is there. (tests.crash.world, seed 504)"""
    log = open_log(tmp_path, internal_metadata_log_segment_bytes=200)
    for number in range(6):
        append(log, f"{number}")
    first, second = sorted((tmp_path / PARTITION).glob("*.log"))[:2]
    os.truncate(first, next(iterate_frames(first.read_bytes()))[1])
    for path in sorted((tmp_path / PARTITION).glob("*.log"))[2:]:
        path.unlink()
    if is_empty:
        os.truncate(second, 0)
    log = open_log(tmp_path)
    assert names(log) == [["0"]]
    assert log.end_offset == 1
    assert "gap at offset 1" in caplog.text
    append(log, "new")
    log.sync()
    assert names(open_log(tmp_path)) == [["0"], ["new"]]
