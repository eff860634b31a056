"""The disk of a simulated machine: FaultyFiles that fail only when the power goes, and cost less."""

import os
from pathlib import Path
from random import Random

from pykbroker.log.files import Buffer, Files
from tests.crash.faulty_files import Content, Crash, FaultyFiles, Folder


class Disk(FaultyFiles):
    """`before`: of the process before this one, when it was killed: what it did not sync is not safe yet."""

    def __init__(self, root: Path, random: Random, before: "Disk | None" = None) -> None:
        super().__init__(root, random)
        if before is not None:
            self._tree = before._tree

    def _survivor(self, content: Content, keep: float) -> bytes:
        """Some files the system has written back itself, of others nothing."""
        if 0.0 < keep < 1.0 and self._random.random() < 0.5:
            keep = self._random.choice((0.0, 1.0, 1.0))
        return super()._survivor(content, keep)

    def _step(self, name: str, path: object = "") -> bool:
        if self.is_dead:
            raise Crash
        return False

    def open(self, path: str, flags: int = os.O_RDWR | os.O_CREAT) -> int:
        self._step("open")
        folder, _, name = path.rpartition("/")
        is_known = name in self._folder(folder).now
        fd = Files.open(self, path, flags)
        content = self._content(path, is_new=not is_known)
        if flags & os.O_TRUNC and is_known:
            content.pending.append(0)
        self._open[fd] = content
        return fd

    def pwrite(self, fd: int, data: Buffer, position: int) -> int:
        self._step("pwrite")
        if data:
            self._open[fd].pending.append((position, bytes(data)))
        return os.pwrite(fd, data, position)

    def truncate(self, fd: int, length: int) -> None:
        self._step("truncate")
        self._open[fd].pending.append(length)
        os.ftruncate(fd, length)

    def fsync(self, fd: int) -> None:
        self._step("fsync")
        self._open[fd].sync()

    def _folder(self, path: str) -> Folder:
        folder = self._tree
        for name in path[len(str(self.root)) + 1 :].split("/"):
            found = folder.now[name] if name else folder
            assert isinstance(found, Folder)
            folder = found
        return folder
