"""Text checkpoints: Kafka's names and bytes, and what is refused."""

import errno
from pathlib import Path

import pytest

from pykbroker.ids import TopicPartition
from pykbroker.log import checkpoints
from pykbroker.log.checkpoints import CorruptCheckpoint, read_entries, read_offsets, write_entries, write_offsets
from pykbroker.log.files import Files
from tests.log.logs import FailingFiles

OFFSETS = {TopicPartition("a.b-c_d", 0): 5, TopicPartition("__consumer_offsets", 49): 2**62}


def test_names_are_kafkas() -> None:
    assert checkpoints.RECOVERY_POINT == "recovery-point-offset-checkpoint"
    assert checkpoints.HIGH_WATERMARK == "replication-offset-checkpoint"
    assert checkpoints.LOG_START_OFFSET == "log-start-offset-checkpoint"
    assert checkpoints.CLEANER_OFFSET == "cleaner-offset-checkpoint"


def test_the_bytes_are_kafkas(tmp_path: Path) -> None:
    write_offsets(Files(), f"{tmp_path}/x", OFFSETS)
    assert (tmp_path / "x").read_bytes() == b"0\n2\na.b-c_d 0 5\n__consumer_offsets 49 4611686018427387904\n"
    assert read_offsets(Files(), f"{tmp_path}/x") == OFFSETS


def test_nothing_to_say(tmp_path: Path) -> None:
    write_entries(Files(), f"{tmp_path}/x", [])
    assert (tmp_path / "x").read_bytes() == b"0\n0\n"
    assert read_offsets(Files(), f"{tmp_path}/x") == {}


@pytest.mark.parametrize("content", [None, b""])
def test_no_file_or_an_empty_one(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    assert read_entries(Files(), f"{tmp_path}/x", str) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"0\n", "malformed"),
        (b"x\n0\n", "malformed"),
        (b"1\n0\n", "unknown version 1"),
        (b"0\n2\nt 0 5\n", "2 entries announced, 1 found"),
        (b"0\n1\nt 0 5\nt 1 5\n", "1 entries announced, 2 found"),
        (b"0\n1\nt 0\n", "malformed"),
        (b"0\n1\nt 0 5 7\n", "malformed"),
        (b"0\n1\nt zero 5\n", "malformed"),
        (bytes(range(128, 256)), "malformed"),
    ],
)
def test_damage_is_told_with_the_file(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(CorruptCheckpoint, match=f"{tmp_path}/x: {message}"):
        read_offsets(Files(), f"{tmp_path}/x")


def test_a_full_disk_leaves_the_old_one(tmp_path: Path) -> None:
    write_offsets(Files(), f"{tmp_path}/x", OFFSETS)
    files = FailingFiles()
    files.failing["fsync"] = errno.ENOSPC
    with pytest.raises(OSError, match="No space left"):
        write_offsets(files, f"{tmp_path}/x", {})
    assert read_offsets(Files(), f"{tmp_path}/x") == OFFSETS
