"""The disk of a simulated machine: FaultyFiles that fail only when the power goes, and cost less."""

import os

from pykbroker.log.files import Buffer
from tests.crash.faulty_files import Crash, FaultyFiles, Folder


class Disk(FaultyFiles):
    def _step(self, name: str, path: object = "") -> bool:
        if self.is_dead:
            raise Crash
        return False

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
