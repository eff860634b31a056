"""The .txnindex file: one entry per aborted transaction of the segment. (TransactionIndex, AbortedTxn, KIP-98)"""

from struct import Struct
from typing import NamedTuple

from pykbroker.log.files import Files, sync_path, write_all
from pykbroker.log.sparse_index import CorruptIndex

_ENTRY = Struct(">hqqqq")


class AbortedTransaction(NamedTuple):
    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


class TransactionIndex:
    """Read from disk when first asked for; there is no file as long as nothing was aborted."""

    __slots__ = ("_entries", "_files", "base_offset", "path")

    def __init__(self, files: Files, path: str, base_offset: int) -> None:
        self._files = files
        self.path = path
        self.base_offset = base_offset
        self._entries: list[AbortedTransaction] | None = None

    @property
    def entries(self) -> list[AbortedTransaction]:
        """Raises CorruptIndex for a torn file or an unknown version."""
        if self._entries is None:
            self._entries = self._load()
        return self._entries

    def _load(self) -> list[AbortedTransaction]:
        try:
            data = self._files.read_bytes(self.path)
        except FileNotFoundError:
            return []
        if len(data) % _ENTRY.size:
            raise CorruptIndex(f"{self.path}: {len(data)} bytes are no multiple of {_ENTRY.size}")
        entries = []
        for version, *fields in _ENTRY.iter_unpack(data):
            if version > 0:
                raise CorruptIndex(f"{self.path}: entry of version {version}; 0 is the highest known")
            entries.append(AbortedTransaction(*fields))
            if entries[-1].last_offset < self.base_offset:
                raise CorruptIndex(f"{self.path}: {entries[-1]} ended before base offset {self.base_offset}")
        return entries

    def append(self, aborted: AbortedTransaction) -> None:
        entries = self.entries
        if entries and entries[-1].last_offset >= aborted.last_offset:
            raise CorruptIndex(f"{self.path}: last offset {aborted.last_offset} is not above {entries[-1].last_offset}")
        fd = self._files.open(self.path)
        try:
            write_all(self._files, fd, _ENTRY.pack(0, *aborted), len(entries) * _ENTRY.size)
        finally:
            self._files.close(fd)
        entries.append(aborted)

    def collect(self, fetch_offset: int, upper_bound: int) -> tuple[list[AbortedTransaction], bool]:
        """Those that touch [fetch_offset, upper_bound), and whether later segments need not be asked."""
        found = []
        for aborted in self.entries:
            if aborted.last_offset >= fetch_offset and aborted.first_offset < upper_bound:
                found.append(aborted)
            if aborted.last_stable_offset >= upper_bound:
                return found, True
        return found, False

    def truncate_to(self, offset: int) -> None:
        """Keeps transactions that ended below `offset`."""
        kept = [aborted for aborted in self.entries if aborted.last_offset < offset]
        if len(kept) == len(self.entries):
            return
        self._entries = kept
        fd = self._files.open(self.path)
        try:
            self._files.truncate(fd, len(kept) * _ENTRY.size)
        finally:
            self._files.close(fd)

    def reset(self) -> None:
        """Forgets everything: the index is about to be rebuilt."""
        self._entries = []
        self._files.unlink(self.path)

    def release(self) -> None:
        self._entries = None

    def flush(self) -> None:
        """fsync of the file, where there is one. Safe in a thread. Raises OSError."""
        sync_path(self._files, self.path)
