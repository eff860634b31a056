"""Files that fail when told: a killed process, a power cut that loses what nobody synced, a disk that says no.

Of a power cut this promises no more than POSIX and what journals of file systems do: a file has the content of its last
fsync and some of the writes behind it, in order, the last one perhaps torn or only its length; a directory has the
names of its last fsync and some of the changes behind it, in order.
"""

import errno
import os
import shutil
from pathlib import Path
from random import Random
from typing import Literal

from pykbroker.log.files import Buffer, Files

Kind = Literal["kill", "power", "error"]


class Crash(BaseException):
    """The process ends here."""


class Content:
    """A file: what is durable, and the changes since: (position, bytes), or a new length."""

    def __init__(self, data: bytes = b"") -> None:
        self.durable = data
        self.pending: list[tuple[int, bytes] | int] = []

    def after(self, count: int) -> bytearray:
        """With so many of the changes."""
        data = bytearray(self.durable)
        for change in self.pending[:count]:
            if isinstance(change, int):
                del data[change:]
                data += bytes(change - len(data))
            else:
                position, piece = change
                data += bytes(max(position - len(data), 0))
                data[position : position + len(piece)] = piece
        return data

    def sync(self) -> None:
        self.durable = bytes(self.after(len(self.pending)))
        self.pending.clear()


class Folder:
    """A directory: the names that are durable, those that are there now, and the changes between the two."""

    def __init__(self) -> None:
        self.durable: dict[str, Node] = {}
        self.now: dict[str, Node] = {}
        self.pending: list[dict[str, Node | None]] = []

    def change(self, names: "dict[str, Node | None]") -> None:
        self.pending.append(names)
        _apply(self.now, names)

    def after(self, count: int) -> "dict[str, Node]":
        names = dict(self.durable)
        for change in self.pending[:count]:
            _apply(names, change)
        return names

    def sync(self) -> None:
        self.durable = dict(self.now)
        self.pending.clear()


Node = Content | Folder


def _apply(names: dict[str, Node], change: "dict[str, Node | None]") -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


class FaultyFiles(Files):
    """Everything below `root` as it is now counts as durable. Until plan() nothing fails."""

    def __init__(self, root: Path, random: Random) -> None:
        self.root = root
        self.calls = 0
        self.is_dead = False
        self.where = ""
        self._random = random
        self._tree = _scan(root)
        self._open: dict[int, Content] = {}
        self._kind: Kind = "kill"
        self._left = -1

    def plan(self, kind: Kind, calls: int) -> None:
        """The `calls`-th call from now on fails."""
        self._kind, self._left = kind, calls

    @property
    def is_over(self) -> bool:
        """The planned failure has come."""
        return self._left <= 0 and self.where != ""

    def cut(self) -> None:
        """After a planned "power": leaves on the real disk what survives. The process is over."""
        self.is_dead = True
        keep = self._random.choice((0.0, 0.0, 0.5, 0.9, 1.0))
        shutil.rmtree(self.root)
        self._write(self._tree, self.root, keep)

    def _write(self, folder: Folder, path: Path, keep: float) -> None:
        path.mkdir()
        for name, node in folder.after(self._some(len(folder.pending), keep)).items():
            if isinstance(node, Folder):
                self._write(node, path / name, keep)
            else:
                (path / name).write_bytes(self._survivor(node, keep))

    def _survivor(self, content: Content, keep: float) -> bytes:
        count = self._some(len(content.pending), keep)
        data = content.after(count)
        if count == len(content.pending) or isinstance(content.pending[count], int):
            return bytes(data)
        position, piece = content.pending[count]  # type: ignore[misc]
        torn = piece[: self._random.randrange(len(piece) + 1)] if keep else b""
        if torn and self._random.random() < 0.3:
            torn = bytes(len(torn))  # the length was written, the blocks were not
        data += bytes(max(position - len(data), 0)) if torn else b""
        data[position : position + len(torn)] = torn
        return bytes(data)

    def _some(self, count: int, keep: float) -> int:
        if keep in (0.0, 1.0):
            return int(count * keep)
        return min(count, self._random.randrange(int(count * keep), count + 1))

    # When a call fails

    def _step(self, name: str, path: object = "") -> bool:
        """Counts a call; True when it is the one to fail half way. Raises OSError where it fails whole, Crash."""
        if self.is_dead:
            raise Crash
        self.calls += 1
        self._left -= 1
        if self._left != 0:
            return False
        self.where = f"{name} {path}"
        if self._kind == "error":
            if name == "pwrite" and self._random.random() < 0.5:
                return True
            raise self._error()
        self.is_dead = True
        if name in ("pwrite", "remove_tree"):
            return True
        raise Crash

    def _error(self) -> OSError:
        number = self._random.choice((errno.EIO, errno.ENOSPC))
        return OSError(number, os.strerror(number))

    def _fail(self) -> None:
        if self._kind == "error":
            raise self._error()
        raise Crash

    # The calls

    def open(self, path: str, flags: int = os.O_RDWR | os.O_CREAT) -> int:
        self._step("open", path)
        known = os.path.exists(path)
        fd = super().open(path, flags)
        content = self._content(path, is_new=not known)
        if flags & os.O_TRUNC and known:
            content.pending.append(0)
        self._open[fd] = content
        return fd

    def close(self, fd: int) -> None:
        self._open.pop(fd, None)
        super().close(fd)

    def size_of(self, path: str) -> int:
        self._step("size_of", path)
        return super().size_of(path)

    def pread(self, fd: int, length: int, position: int) -> bytes:
        self._step("pread")
        return super().pread(fd, length, position)

    def read_bytes(self, path: str) -> bytes:
        self._step("read_bytes", path)
        return super().read_bytes(path)

    def pwrite(self, fd: int, data: Buffer, position: int) -> int:
        is_torn = self._step("pwrite", os.readlink(f"/proc/self/fd/{fd}"))
        if is_torn:
            data = bytes(data)[: self._random.randrange(len(data) or 1)]
        if data:
            self._open[fd].pending.append((position, bytes(data)))
            super().pwrite(fd, data, position)
        if is_torn:
            self._fail()
        return len(data)

    def truncate(self, fd: int, length: int) -> None:
        self._step("truncate", os.readlink(f"/proc/self/fd/{fd}"))
        self._open[fd].pending.append(length)
        super().truncate(fd, length)

    def fsync(self, fd: int) -> None:
        self._step("fsync", os.readlink(f"/proc/self/fd/{fd}"))
        self._open[fd].sync()

    def fsync_directory(self, path: str) -> None:
        self._step("fsync_directory", path)
        if not os.path.isdir(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        self._folder(path).sync()

    def rename(self, old: str, new: str) -> None:
        self._step("rename", old)
        os.replace(old, new)
        assert os.path.dirname(old) == os.path.dirname(new)
        folder = self._folder(os.path.dirname(old))
        before, after = os.path.basename(old), os.path.basename(new)
        folder.change({before: None, after: folder.now[before]})

    def unlink(self, path: str) -> None:
        self._step("unlink", path)
        if os.path.exists(path):
            os.unlink(path)
            self._folder(os.path.dirname(path)).change({os.path.basename(path): None})

    def make_directory(self, path: str) -> bool:
        self._step("make_directory", path)
        if os.path.isdir(path):
            return False
        os.mkdir(path)
        self._folder(os.path.dirname(path)).change({os.path.basename(path): Folder()})
        return True

    def remove_tree(self, path: str) -> None:
        is_half = self._step("remove_tree", path)
        folder = self._folder(path)
        for name in list(folder.now):
            if not is_half or self._random.random() < 0.5:
                folder.change({name: None})
                os.unlink(f"{path}/{name}")
        if is_half:
            self._fail()
        shutil.rmtree(path)
        self._folder(os.path.dirname(path)).change({os.path.basename(path): None})

    def set_modified(self, path: str, time_ns: int) -> None:
        self._step("set_modified", path)
        super().set_modified(path, time_ns)

    # The shadow of the tree

    def _folder(self, path: str) -> Folder:
        folder = self._tree
        for name in Path(path).relative_to(self.root).parts:
            found = folder.now[name]
            assert isinstance(found, Folder)
            folder = found
        return folder

    def _content(self, path: str, *, is_new: bool) -> Content:
        folder, name = self._folder(os.path.dirname(path)), os.path.basename(path)
        if is_new:
            folder.change({name: Content()})
        found = folder.now[name]
        assert isinstance(found, Content)
        return found


def _scan(path: Path) -> Folder:
    folder = Folder()
    for entry in sorted(path.iterdir()):
        folder.durable[entry.name] = _scan(entry) if entry.is_dir() else Content(entry.read_bytes())
    folder.now = dict(folder.durable)
    return folder
