"""Cleaning against a plain model: whatever is written and whenever it is cleaned, the table that the log is stays."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.clock import ManualClock
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.record.reader import Record
from tests.log.cleaners import clean, committed, end_transaction, latest, map_of, put, put_transactional, records
from tests.log.logs import NOW, Unsynced, open_log

KEYS = st.integers(0, 7).map(lambda number: b"k%d" % number)
VALUES = st.one_of(st.none(), st.binary(max_size=12))
PAIRS = st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=5)
PRODUCERS = st.integers(1, 3)
OPERATIONS = st.one_of(
    st.tuples(st.just("put"), PAIRS, st.sampled_from([0, 1, 3])),
    st.tuples(st.just("begin"), PRODUCERS, PAIRS),
    st.tuples(st.just("end"), PRODUCERS, st.booleans()),
    st.tuples(st.just("end"), PRODUCERS, st.booleans()),
    st.tuples(st.just("roll")),
    st.tuples(st.just("clean"), st.integers(1, 6), st.sampled_from([40, 200, 10_000])),
    st.tuples(st.just("pass time")),
    st.tuples(st.just("restart")),
)


class World:
    """The log, and what its records would be without cleaning."""

    def __init__(self, directory: Path, segment_bytes: int) -> None:
        self.directory = directory
        self.clock = ManualClock(wall_ms=NOW)
        self.config: dict[str, Any] = {
            "segment_bytes": segment_bytes,
            "index_interval_bytes": 100,
            "segment_index_bytes": 480,
            "cleanup_policy": ["compact"],
            "delete_retention_ms": 1000,
        }
        self.log = self.open()
        self.sequences: dict[int, int] = {}
        self.open_transactions: dict[int, list[tuple[int, bytes, bytes | None]]] = {}
        # (offset, key, value) of what is committed, in the order of offsets.
        self.decided: list[tuple[int, bytes, bytes | None]] = []

    def open(self) -> UnifiedLog:
        log = open_log(self.directory, files=Unsynced(), clock=self.clock, clean=False, **self.config)
        log.update_high_watermark(log.log_end_offset)
        return log

    def apply(self, operation: str, *values: Any) -> None:
        getattr(self, operation.replace(" ", "_"))(*values)

    def put(self, pairs: list[tuple[bytes, bytes | None]], codec: int) -> None:
        first = put(self.log, *pairs, codec=codec)
        self.decided += [(first + index, *pair) for index, pair in enumerate(pairs)]

    def begin(self, producer: int, pairs: list[tuple[bytes, bytes | None]]) -> None:
        sequence = self.sequences.get(producer, 0)
        first = put_transactional(self.log, producer, *pairs, sequence=sequence)
        self.sequences[producer] = sequence + len(pairs)
        written = [(first + index, *pair) for index, pair in enumerate(pairs)]
        self.open_transactions.setdefault(producer, []).extend(written)

    def end(self, producer: int, commit: bool) -> None:
        written = self.open_transactions.pop(producer, None)
        if written is None:
            return
        end_transaction(self.log, producer, commit=commit, timestamp=self.clock.wall_ms())
        if commit:
            self.decided = sorted(self.decided + written)

    def roll(self) -> None:
        if self.log.active.size:
            self.log.roll(NOW)

    def clean(self, keys: int, io_buffer_size: int) -> None:
        before, end = committed(self.log), self.log.log_end_offset
        clean(self.log, **map_of(keys), log_cleaner_io_buffer_size=io_buffer_size)
        after = committed(self.log)
        assert self.log.log_end_offset == end
        assert latest(after) == latest(before)
        assert set(map(without_headers, after)) <= set(map(without_headers, before))

    def pass_time(self) -> None:
        self.clock.advance(2)

    def restart(self) -> None:
        first_dirty = self.log.cleaning.first_dirty_offset
        producers = state(self.log)
        self.log = self.open()
        self.log.cleaning.first_dirty_offset = first_dirty
        assert state(self.log) == producers

    def check(self) -> None:
        """An open transaction's records are told from aborted ones by nobody yet: they are settled first."""
        for producer in list(self.open_transactions):
            self.end(producer, False)
        found = [(record.offset, record.key, record.value) for record in committed(self.log)]
        assert set(found) <= set(self.decided)
        assert found == sorted(found)
        assert table(found) == table(self.decided)


def without_headers(record: Record) -> tuple[int, int, bytes | None, bytes | None]:
    return record.offset, record.timestamp, record.key, record.value


def state(log: UnifiedLog) -> dict[int, tuple[int, int]]:
    return {pid: (entry.last_sequence, entry.first_offset) for pid, entry in log.producer_state.producers.items()}


def table(found: list[Any]) -> dict[bytes, bytes]:
    result: dict[bytes, bytes] = {}
    for _, key, value in found:
        if value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(OPERATIONS, min_size=40, max_size=80), st.sampled_from([300, 400, 900]))
def test_the_table_stays(operations: list[tuple[Any, ...]], segment_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as root:
        world = World(Path(root) / "t-0", segment_bytes)
        for operation in operations:
            world.apply(*operation)
        world.check()
        world.roll()
        world.put([(b"last", b"1")], 0)
        # Often enough to come through with small maps; then time for all horizons.
        for _ in range(4):
            world.clean(100, 10_000)
            world.pass_time()
            world.roll()
            world.put([(b"last", b"1")], 0)
        world.check()
        settled = [record for record in records(world.log) if record.offset < world.log.active.base_offset]
        assert all(record.value is not None for record in settled if record.key != b"last")
