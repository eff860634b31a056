"""Holds the offset and the time index of a segment against its batches, which come by one at a time."""

from pykbroker.errors import KafkaError
from pykbroker.log.inspection.batches import FoundBatch
from pykbroker.log.inspection.index_files import Entry, IndexContent
from pykbroker.log.inspection.report import Flaw
from pykbroker.record.reader import iterate_records


class OffsetIndexCheck:
    """Each entry names a batch by its last offset and points at its beginning. Older Kafkas wrote one entry for several
    batches appended together: the position of the first, the offset of the last. One such entry alone is damage."""

    def __init__(self, content: IndexContent) -> None:
        self.flaws = list(content.flaws)
        # Entries that contradict each other are told as such, and not one by one again.
        self._entries = [] if content.flaws else content.entries
        self._next = 0
        # An entry whose position was right, and whose offset belongs to a batch still to come.
        self._pending: Entry | None = None
        self._late: list[Entry] = []

    def take(self, batch: FoundBatch) -> None:
        while self._next < len(self._entries) and self._entries[self._next].second < batch.position:
            self._flaw(self._entries[self._next], "no batch begins there")
            self._next += 1
        if self._next < len(self._entries) and self._entries[self._next].second == batch.position:
            self._settle()
            self._pending = self._entries[self._next]
            self._next += 1
        entry = self._pending
        if entry is not None and batch.last_offset >= entry.first:
            if batch.last_offset != entry.first:
                self._flaw(entry, f"the batch there or behind it ends at offset {batch.last_offset}")
            elif batch.position != entry.second:
                self._late.append(entry)
            self._pending = None

    def finish(self, size: int) -> list[Flaw]:
        """`size` of the segment in bytes."""
        self._settle()
        for entry in self._entries[self._next :]:
            where = "no batch begins there" if entry.second < size else f"the segment has {size} bytes"
            self._flaw(entry, where)
        if len(self._late) == 1:
            self._flaw(self._late[0], "the batch there ends before that offset")
        return self.flaws

    def _settle(self) -> None:
        if self._pending is not None:
            self._flaw(self._pending, "no batch that begins there ends with that offset")
            self._pending = None

    def _flaw(self, entry: Entry, message: str) -> None:
        self.flaws.append(Flaw(entry.position, f"offset {entry.first} at position {entry.second}: {message}"))


class TimeIndexCheck:
    """Each entry is the largest timestamp so far, and the offset of the batch (or record) that has it."""

    def __init__(self, content: IndexContent) -> None:
        self.flaws = list(content.flaws)
        self.largest_timestamp = -1
        self._entries = [] if content.flaws else content.entries
        self._is_whole = not content.flaws
        self._next = 0

    def take(self, batch: FoundBatch) -> None:
        while self._next < len(self._entries) and self._entries[self._next].second <= batch.last_offset:
            self._check(self._entries[self._next], batch)
            self._next += 1
        self.largest_timestamp = max(self.largest_timestamp, batch.max_timestamp)

    def _check(self, entry: Entry, batch: FoundBatch) -> None:
        if entry.first != batch.max_timestamp or entry.first < self.largest_timestamp:
            largest = max(self.largest_timestamp, batch.max_timestamp)
            self._flaw(entry, f"the largest timestamp up to there is {largest}")
        elif entry.second != batch.last_offset and not _has_record(batch, entry):
            self._flaw(entry, "no record with that timestamp is there")

    def finish(self, *, is_sealed: bool) -> list[Flaw]:
        """`is_sealed`: the last entry is that of the whole segment."""
        for entry in self._entries[self._next :]:
            self._flaw(entry, "no batch holds that offset")
        last = self._entries[-1].first if self._entries else -1
        if is_sealed and self._is_whole and last < self.largest_timestamp:
            end = self._entries[-1].position if self._entries else 0
            message = f"the last entry has timestamp {last}, the segment's largest is {self.largest_timestamp}"
            self.flaws.append(Flaw(end, message))
        return self.flaws

    def _flaw(self, entry: Entry, message: str) -> None:
        self.flaws.append(Flaw(entry.position, f"timestamp {entry.first} at offset {entry.second}: {message}"))


def _has_record(batch: FoundBatch, entry: Entry) -> bool:
    """Older Kafkas noted the very record."""
    try:
        records = iterate_records(batch.data())
        return any(record.offset == entry.second and record.timestamp == entry.first for record in records)
    except KafkaError:
        return False
