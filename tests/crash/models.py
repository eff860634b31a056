"""What a log must still hold after a crash: a plain list of batches, and how much of it was promised."""

from collections.abc import Iterable
from typing import NamedTuple

from pykbroker.ids import TopicPartition, Uuid
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.record.reader import iterate_records
from tests.log.cleaners import batches, committed

Pair = tuple[bytes | None, bytes | None]
Entry = tuple[int, Pair]


class Written(NamedTuple):
    """A batch. `commits`: of a marker, whether its transaction is committed; None for data."""

    base: int
    end: int
    epoch: int
    producer_id: int
    last_sequence: int
    pairs: tuple[Pair, ...]
    commits: bool | None = None

    @property
    def records(self) -> list[Entry]:
        return [(self.base + index, pair) for index, pair in enumerate(self.pairs)]


class Broken(AssertionError):
    """A promise or an invariant is broken."""


def expect(condition: object, *what: object) -> None:
    if not condition:
        raise Broken(*what)


class LogModel:
    """`written`: what a killed process must find. `durable`: what a power cut must leave. Ends, exclusive."""

    def __init__(self, tp: TopicPartition, topic_id: Uuid, *, is_compacted: bool) -> None:
        self.tp = tp
        self.topic_id = topic_id
        self.is_compacted = is_compacted
        self.assigned: Uuid
        self.line: list[Written] = []
        # Histories that were cut off but may be what is left after all: nobody synced that they were.
        self.older: list[list[Written]] = []
        self.written = 0
        self.durable = 0
        self.start = 0
        self.once_deleted = 0
        self.epoch = 0

    @property
    def end(self) -> int:
        return self.line[-1].end if self.line else self.start

    def truncate(self, offset: int) -> None:
        """Before the log does it."""
        self.older.append(list(self.line))
        self.line = [one for one in self.line if one.end <= offset]
        self.written = min(self.written, offset)
        self.durable = min(self.durable, offset)

    def flushed(self, offset: int) -> None:
        if offset > self.durable:
            self.durable = offset
            self.older.clear()

    def check(self, log: UnifiedLog, promised: int, *, is_cut: bool) -> None:
        """After a crash; then the model goes on with what is there. Raises Broken.

        A power cut may take the end of one segment that nobody synced and leave the next: as in Kafka that is a gap
        behind what was promised.
        """
        end = log.log_end_offset
        if is_cut:
            there = {header.last_offset for header, _ in batches(log)}
            self.line = [one for one in self.line if one.end <= promised or one.end - 1 in there]
            self.older = [[one for one in line if one.end <= promised or one.end - 1 in there] for line in self.older]
        expect(log.log_start_offset <= self.start, self.tp, "starts at", log.log_start_offset, "above", self.start)
        expect(end >= promised, self.tp, "ends at", end, "below the promised", promised)
        line = next((line for line in (self.line, *reversed(self.older)) if self._is(line, log)), None)
        if line is None:
            raise Broken(self.tp, "holds", _plain(_found(log)), "instead of", _plain(self.line), self.older)
        self.line = [one for one in line if one.end <= end]
        self.older.clear()
        self.written = end
        self.durable = min(self.durable, end)
        # Deleted records may be back, but their epochs are not: as in Kafka, the cache forgets them at once.
        self.once_deleted = max(self.once_deleted, self.start)
        _check_epochs(log, [one for one in self.line if one.base >= self.once_deleted])
        self.start = log.log_start_offset
        _check_producers(log, self.line, self.once_deleted)
        _check_offsets(log)

    def _is(self, line: list[Written], log: UnifiedLog) -> bool:
        start, end = log.log_start_offset, log.log_end_offset
        if end not in {start, 0, *(one.end for one in line)}:
            return False
        line = [one for one in line if one.end <= end]
        found = _from(start, _found(log))
        if not self.is_compacted:
            return found == _from(start, _records(line))
        is_part = _is_subsequence(found, _from(start, _records(line)))
        served = [(record.offset, (record.key, record.value)) for record in committed(log)]
        return is_part and table(_from(start, served)) == table(_from(start, _records(_not_aborted(line))))


def _found(log: UnifiedLog) -> list[Entry]:
    return [
        (record.offset, (record.key, record.value))
        for header, data in batches(log)
        if not header.is_control
        for record in iterate_records(data)
    ]


def _records(line: Iterable[Written]) -> list[Entry]:
    return [record for one in line for record in one.records]


def _from(start: int, found: Iterable[Entry]) -> list[Entry]:
    return [record for record in found if record[0] >= start]


def _not_aborted(line: list[Written]) -> list[Written]:
    """Without the data of aborted transactions; open ones stay."""
    kept: list[Written] = []
    for one in line:
        if one.commits is False:
            since = max((index for index, other in enumerate(kept) if other.commits is not None), default=-1)
            kept = kept[: since + 1] + [other for other in kept[since + 1 :] if other.producer_id != one.producer_id]
        kept.append(one)
    return kept


def _plain(found: Iterable[object]) -> str:
    return ", ".join(map(str, found))


def _is_subsequence(part: list[Entry], whole: list[Entry]) -> bool:
    rest = iter(whole)
    return all(record in rest for record in part)


def table(found: Iterable[Entry]) -> dict[bytes | None, tuple[int, bytes]]:
    """Key → (offset, value) of what is not deleted."""
    result: dict[bytes | None, tuple[int, bytes]] = {}
    for offset, (key, value) in found:
        if value is None:
            result.pop(key, None)
        else:
            result[key] = (offset, value)
    return result


def _check_epochs(log: UnifiedLog, line: list[Written]) -> None:
    there = {header.last_offset for header, _ in batches(log)}
    for one in line:
        if one.end - 1 in there:
            epoch = log.leader_epochs.epoch_for_offset(one.base)
            expect(epoch == one.epoch, log.topic_partition, "offset", one.base, "is of epoch", epoch, "not", one.epoch)


def _check_producers(log: UnifiedLog, line: list[Written], once_deleted: int) -> None:
    """Who wrote last into what is there is known with its last sequence, and since when its transaction is open."""
    last = {one.producer_id: one for one in line if one.commits is None and one.base >= log.log_start_offset}
    for producer_id, one in last.items():
        entry = log.producer_state.producers.get(producer_id)
        found = entry.last_sequence if entry is not None else None
        expect(found == one.last_sequence, log.topic_partition, "producer", producer_id, "at", found, one)
    open_since: dict[int, int] = {}
    for one in line:
        if one.commits is not None:
            open_since.pop(one.producer_id, None)
        elif one.producer_id == TRANSACTIONAL:
            open_since.setdefault(one.producer_id, one.base)
    entry = log.producer_state.producers.get(TRANSACTIONAL)
    first, expected = entry.first_offset if entry is not None else -1, open_since.get(TRANSACTIONAL, -1)
    if first != expected:
        expect(expected < once_deleted, log.topic_partition, "open at", first, "instead of", expected)


def _check_offsets(log: UnifiedLog) -> None:
    """What holds of every log, whatever happened."""
    tp = log.topic_partition
    expect(log.log_start_offset <= log.last_stable_offset <= log.high_watermark <= log.log_end_offset, tp, "offsets")
    expect(log.segments[0].base_offset <= log.log_start_offset, tp, "starts before its first segment")
    last = -1
    for segment in log.segments:
        expect(segment.base_offset > last, tp, "segments overlap at", segment.base_offset)
        if segment is not log.active:
            segment.sanity_check()
        position = 0
        for batch in segment.batches(0):
            expect(batch.last_offset > last, tp, "offset", batch.last_offset, "behind", last)
            expect(segment.find(batch.last_offset) == batch, tp, "the index misses", batch)
            last, position = batch.last_offset, batch.position + batch.size
        expect(position == segment.size, tp, segment.base_offset, "ends within a batch at", position)
    expect(last + 1 <= log.log_end_offset, tp, "ends at", last + 1)


IDEMPOTENT = 7
TRANSACTIONAL = 9
