"""A file system that forgets, when the power goes, whatever nobody synced: contents and names alike."""

import os
from pathlib import Path

from pykbroker.log.files import Files


class PowerCut(Files):
    """Strict: a file's content is what its last fsync saw, a directory's names are what its last fsync saw."""

    def __init__(self) -> None:
        self._contents: dict[int, bytes] = {}
        self._names: dict[str, dict[str, int]] = {}
        # Files that lost their name, open: the system must not use their numbers again.
        self._nameless: list[int] = []

    def unlink(self, path: str) -> None:
        self._hold(path)
        super().unlink(path)

    def rename(self, old: str, new: str) -> None:
        self._hold(new)
        super().rename(old, new)

    def _hold(self, path: str) -> None:
        if os.path.exists(path):
            self._nameless.append(os.open(path, os.O_RDONLY))

    def fsync(self, fd: int) -> None:
        stat = os.fstat(fd)
        self._contents[stat.st_ino] = os.pread(fd, stat.st_size, 0)

    def fsync_directory(self, path: str) -> None:
        self._names[path] = {entry.name: entry.inode() for entry in os.scandir(path) if entry.is_file()}

    def cut(self, directory: Path) -> None:
        """Leaves in `directory` what was durable."""
        durable = self._names.get(str(directory), {})
        for path in directory.iterdir():
            path.unlink()
        for name, inode in durable.items():
            (directory / name).write_bytes(self._contents.get(inode, b""))
        for fd in self._nameless:
            os.close(fd)
        self._nameless.clear()
