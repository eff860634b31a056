"""The seam to the file system: every call that the log makes, so that a test can lose, tear or fail any of them."""

import os
import shutil

Buffer = bytes | bytearray | memoryview


class Files:
    """The operating system itself. Methods raise OSError and nothing else."""

    def open(self, path: str, flags: int = os.O_RDWR | os.O_CREAT) -> int:
        return os.open(path, flags | os.O_CLOEXEC, 0o644)

    def close(self, fd: int) -> None:
        os.close(fd)

    def size(self, fd: int) -> int:
        return os.fstat(fd).st_size

    def size_of(self, path: str) -> int:
        return os.stat(path).st_size

    def pread(self, fd: int, length: int, position: int) -> bytes:
        return os.pread(fd, length, position)

    def pwrite(self, fd: int, data: Buffer, position: int) -> int:
        return os.pwrite(fd, data, position)

    def truncate(self, fd: int, length: int) -> None:
        os.ftruncate(fd, length)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def fsync_directory(self, path: str) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, old: str, new: str) -> None:
        os.replace(old, new)

    def unlink(self, path: str) -> None:
        """Removes a file that may be gone already."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return

    def make_directory(self, path: str) -> bool:
        """Makes a directory that may be there already, in one that is. True: it is new."""
        try:
            os.mkdir(path)
        except FileExistsError:
            if not os.path.isdir(path):
                raise
            return False
        return True

    def remove_tree(self, path: str) -> None:
        """A directory with all its files. What cannot be removed stays: nobody waits for it."""
        shutil.rmtree(path, ignore_errors=True)

    def set_modified(self, path: str, time_ns: int) -> None:
        """The time of last modification, since 1970."""
        os.utime(path, ns=(time_ns, time_ns))

    def read_bytes(self, path: str) -> bytes:
        """Of a file that nobody writes meanwhile. A start reads thousands of small ones, for which pathlib is slow."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            data = os.read(fd, size)
            while len(data) < size and (more := os.read(fd, size - len(data))):
                data += more
            return data
        finally:
            os.close(fd)

    def overwrite(self, path: str, data: bytes) -> None:
        """One write over a small file that is no longer than `data`: a killed process leaves the old one or the new,
        and unlike a rename it waits for no journal."""
        fd = self.open(path, os.O_WRONLY | os.O_CREAT)
        try:
            write_all(self, fd, data, 0)
        finally:
            self.close(fd)

    def write_atomically(self, path: str, data: bytes, *, sync: bool = True) -> None:
        """Kafka's way for checkpoints: written to path.tmp, synced, renamed over, the directory synced.

        Without `sync` a power cut may leave an empty file, a killed process never does.
        """
        temporary = path + ".tmp"
        fd = self.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            write_all(self, fd, data, 0)
            if sync:
                self.fsync(fd)
        finally:
            self.close(fd)
        self.rename(temporary, path)
        if sync:
            self.fsync_directory(os.path.dirname(path))


def write_all(files: Files, fd: int, data: Buffer, position: int) -> None:
    """pwrite until everything is written: a full disk or a signal may shorten a single call."""
    written = files.pwrite(fd, data, position)
    if written == len(data):
        return
    view = memoryview(data)
    while written < len(view):
        written += files.pwrite(fd, view[written:], position + written)


def sync_path(files: Files, path: str) -> None:
    """fsync of a file that may have been deleted meanwhile. Safe in a thread. Raises OSError."""
    try:
        fd = files.open(path, os.O_RDWR)
    except FileNotFoundError:
        return
    try:
        files.fsync(fd)
    finally:
        files.close(fd)


class LogFile:
    """An open file that closes when nobody holds it any more: a segment may go while a response still reads it."""

    __slots__ = ("_fd", "_files", "path")

    def __init__(self, files: Files, path: str, *, create: bool = False) -> None:
        """Only a new segment makes its file: one that has gone must not come back empty. Raises OSError."""
        self._files = files
        self.path = path
        self._fd = files.open(path, os.O_RDWR | os.O_CREAT if create else os.O_RDWR)

    def fileno(self) -> int:
        return self._fd

    def __del__(self) -> None:
        fd = getattr(self, "_fd", -1)
        if fd >= 0:
            self._fd = -1
            self._files.close(fd)
