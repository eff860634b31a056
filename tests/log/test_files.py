"""The seam to the file system: whole writes, atomic replacement, files that close by themselves."""

import errno
import os
from pathlib import Path

import pytest

from pykbroker.log.files import Buffer, Files, LogFile, sync_path, write_all
from tests.log.logs import FailingFiles


class RecordingFiles(Files):
    """Notes what was done, in order; writes at most `most` bytes at once."""

    def __init__(self, most: int = 1 << 30) -> None:
        self.done: list[str] = []
        self.most = most

    def pwrite(self, fd: int, data: Buffer, position: int) -> int:
        self.done.append("write")
        return super().pwrite(fd, memoryview(data)[: self.most], position)

    def fsync(self, fd: int) -> None:
        self.done.append("fsync")
        super().fsync(fd)

    def rename(self, old: str, new: str) -> None:
        self.done.append(f"rename {os.path.basename(old)} {os.path.basename(new)}")
        super().rename(old, new)

    def fsync_directory(self, path: str) -> None:
        self.done.append("fsync directory")
        super().fsync_directory(path)


def test_a_file_is_replaced_in_kafkas_order(tmp_path: Path) -> None:
    files = RecordingFiles()
    files.write_atomically(f"{tmp_path}/checkpoint", b"new")
    assert files.done == ["write", "fsync", "rename checkpoint.tmp checkpoint", "fsync directory"]
    assert os.listdir(tmp_path) == ["checkpoint"]
    assert (tmp_path / "checkpoint").read_bytes() == b"new"


@pytest.mark.parametrize("operation", ["open", "pwrite", "fsync", "rename"])
def test_the_old_file_stays_when_its_successor_fails(operation: str, tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b"old")
    files = FailingFiles()
    files.failing[operation] = errno.ENOSPC
    with pytest.raises(OSError, match="No space left"):
        files.write_atomically(f"{tmp_path}/checkpoint", b"new")
    assert (tmp_path / "checkpoint").read_bytes() == b"old"


def test_a_leftover_of_a_crash_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.tmp").write_bytes(b"longer than the new content")
    Files().write_atomically(f"{tmp_path}/checkpoint", b"new")
    assert (tmp_path / "checkpoint").read_bytes() == b"new"


@pytest.mark.parametrize("most", [1, 3, 10, 100])
def test_short_writes_go_on(most: int, tmp_path: Path) -> None:
    files = RecordingFiles(most)
    file = LogFile(files, f"{tmp_path}/x", create=True)
    write_all(files, file.fileno(), b"0123456789", 5)
    assert (tmp_path / "x").read_bytes() == bytes(5) + b"0123456789"
    assert len(files.done) == -(-10 // most)


@pytest.mark.parametrize("size", [0, 1, 5000])
def test_reading_a_whole_file(size: int, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * size)
    assert Files().read_bytes(f"{tmp_path}/x") == b"x" * size
    assert Files().size_of(f"{tmp_path}/x") == size
    with pytest.raises(FileNotFoundError):
        Files().read_bytes(f"{tmp_path}/y")


def test_a_log_file_closes_when_nobody_holds_it(tmp_path: Path) -> None:
    file = LogFile(Files(), f"{tmp_path}/x", create=True)
    fd = file.fileno()
    os.unlink(tmp_path / "x")
    assert os.fstat(fd).st_size == 0
    del file
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_file_that_has_gone_does_not_come_back_empty(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LogFile(Files(), f"{tmp_path}/x")
    assert os.listdir(tmp_path) == []


def test_files_are_not_inherited_by_children(tmp_path: Path) -> None:
    assert not os.get_inheritable(LogFile(Files(), f"{tmp_path}/x", create=True).fileno())


def test_syncing_a_file_that_was_deleted_meanwhile(tmp_path: Path) -> None:
    files = RecordingFiles()
    sync_path(files, f"{tmp_path}/x")
    assert os.listdir(tmp_path) == []
    (tmp_path / "x").write_bytes(b"")
    sync_path(files, f"{tmp_path}/x")
    assert files.done == ["fsync"]


def test_unlinking_what_is_gone(tmp_path: Path) -> None:
    Files().unlink(f"{tmp_path}/x")


def test_a_small_file_is_overwritten_in_place(tmp_path: Path) -> None:
    path = tmp_path / "file"
    Files().overwrite(str(path), b"short")
    inode = path.stat().st_ino
    Files().overwrite(str(path), b"longer content")
    assert path.read_bytes() == b"longer content"
    assert path.stat().st_ino == inode
