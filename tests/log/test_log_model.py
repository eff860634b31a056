"""A log against a plain list of records: any order of appends, rolls, truncations, trims, stops and torn tails."""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.log.unified_log import UnifiedLog
from pykbroker.record.builder import build_batch
from pykbroker.record.reader import iterate_records
from tests.log.logs import NOW, Unsynced, open_log, read_all

CONFIG: dict[str, Any] = {
    "segment_bytes": 700,
    "index_interval_bytes": 150,
    "segment_index_bytes": 60,
    "retention_ms": -1,
}

FRACTION = st.floats(0, 1, exclude_max=True)
OPERATIONS = st.one_of(
    st.tuples(st.just("append"), st.lists(st.integers(0, 50), min_size=1, max_size=4), st.integers(0, 140)),
    st.tuples(st.just("append"), st.lists(st.integers(0, 50), min_size=1, max_size=4), st.integers(0, 20)),
    st.tuples(st.just("roll")),
    st.tuples(st.just("truncate"), FRACTION),
    st.tuples(st.just("trim"), FRACTION),
    st.tuples(st.just("stop")),
    st.tuples(st.just("tear"), FRACTION, st.booleans()),
)


@dataclass
class Batch:
    """What was appended: (offset, timestamp, value) of its records."""

    base: int
    size: int
    records: list[tuple[int, int, bytes]]


@dataclass
class Model:
    """`end` is the log end offset. Batches before `start` count as long as their segment is there."""

    start: int = 0
    end: int = 0
    batches: list[Batch] = field(default_factory=list)

    def records(self) -> list[tuple[int, int, bytes]]:
        return [record for batch in self.batches for record in batch.records if record[0] >= self.start]


class Pair:
    """The log and its model, always changed together."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.model = Model()
        self.log = self.open(clean=True)

    def open(self, *, clean: bool, recovery_point: int = 0) -> UnifiedLog:
        log = open_log(
            self.directory,
            clean=clean,
            recovery_point=recovery_point,
            log_start_offset=self.model.start,
            files=Unsynced(),
            **CONFIG,
        )
        log.update_high_watermark(log.log_end_offset)
        return log

    def append(self, timestamps: list[int], size: int) -> None:
        values = [os.urandom(size) for _ in timestamps]
        data = build_batch([(None, value, [], at) for value, at in zip(values, timestamps, strict=True)])
        info = self.log.append_as_leader(data, 0, NOW)
        self.log.update_high_watermark(self.log.log_end_offset)
        offsets = range(self.model.end, self.model.end + len(values))
        assert (info.first_offset, info.last_offset) == (offsets[0], offsets[-1])
        self.model.batches.append(Batch(self.model.end, len(data), list(zip(offsets, timestamps, values, strict=True))))
        self.model.end += len(values)

    def roll(self) -> None:
        self.log.roll(NOW)

    def truncate(self, where: float) -> None:
        """To a batch's start, as a follower does."""
        ahead = [batch.base for batch in self.model.batches if batch.base >= self.model.start]
        if ahead:
            offset = ahead[int(where * len(ahead))]
            assert self.log.truncate_to(offset)
            self.cut_model(offset)

    def cut_model(self, end: int) -> None:
        self.model.batches = [batch for batch in self.model.batches if batch.base < end]
        self.model.end = end

    def trim(self, where: float) -> None:
        """DeleteRecords, then what the retention job does of it."""
        self.model.start += int(where * (self.model.end - self.model.start + 1))
        self.log.increment_log_start_offset(self.model.start)
        self.log.delete_old_segments(NOW)
        self.forget_removed_segments()

    def forget_removed_segments(self) -> None:
        first = self.log.segments[0].base_offset
        self.model.batches = [batch for batch in self.model.batches if batch.base >= first]

    def stop(self) -> None:
        self.log.flush()
        self.log.close()
        self.log = self.open(clean=True)

    def tear(self, where: float, was_flushed: bool) -> None:
        """SIGKILL, and the active segment loses its tail at any byte."""
        active = self.log.active
        kept = int(where * (active.size + 1))
        os.truncate(active.path(".log"), kept)
        end = active.base_offset
        for batch in self.model.batches:
            if batch.base >= active.base_offset and batch.size <= kept:
                kept -= batch.size
                end = batch.records[-1][0] + 1
            elif batch.base >= active.base_offset:
                break
        recovery_point = active.base_offset if was_flushed else 0
        self.log = self.open(clean=False, recovery_point=recovery_point)
        self.cut_model(max(end, self.model.start))
        self.forget_removed_segments()

    def check(self, probe: float) -> None:
        log, model = self.log, self.model
        assert (log.log_start_offset, log.log_end_offset) == (model.start, model.end)
        assert [plain(record) for record in whole(log)] == model.records()
        offset = model.start + int(probe * (model.end - model.start + 1))
        self.check_read(offset)
        self.check_times(int(probe * 52) - 1)

    def check_read(self, offset: int) -> None:
        """Reading from anywhere begins with the batch that holds the offset."""
        found = self.log.read(offset, 1, upper_bound=self.model.end, min_one=True)
        if offset == self.model.end:
            assert not found.segments
            return
        (region,) = found.segments
        data = os.pread(region.file.fileno(), region.length, region.position)
        holder = next(batch for batch in self.model.batches if batch.records[-1][0] >= offset)
        assert [plain(record) for record in iterate_records(data)] == holder.records

    def check_times(self, timestamp: int) -> None:
        expected = next((record[:2] for record in self.model.records() if record[1] >= timestamp), None)
        found = self.log.offset_for_timestamp(timestamp)
        assert (found and (found.offset, found.timestamp)) == expected
        stored = [record for batch in self.model.batches for record in batch.records]
        latest = max(stored, key=lambda record: (record[1], -record[0]), default=None)
        found = self.log.offset_of_max_timestamp()
        assert (found and (found.offset, found.timestamp)) == (latest and latest[:2])


def whole(log: UnifiedLog) -> list[Any]:
    return [
        record for _, data in read_all(log) for record in iterate_records(data) if record.offset >= log.log_start_offset
    ]


def plain(record: Any) -> tuple[int, int, bytes]:
    return record.offset, record.timestamp, record.value


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(OPERATIONS, FRACTION), min_size=3, max_size=25))
def test_the_log_is_the_list(operations: list[tuple[tuple[Any, ...], float]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        pair = Pair(Path(directory) / "t-0")
        for (name, *arguments), probe in operations:
            getattr(pair, name)(*arguments)
            pair.check(probe)
