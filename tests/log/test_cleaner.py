"""What is left of a log's segments, row by row of the scenarios, and damage, sizes, gaps."""

import os
from pathlib import Path
from typing import Any

import pytest

from pykbroker.clock import ManualClock
from pykbroker.log.cleaning_state import CleaningAborted
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.record.batch import BatchHeader
from pykbroker.record.damage import CorruptBatch
from tests.log.cleaners import (
    batches,
    clean,
    committed,
    end_transaction,
    keyed,
    latest,
    map_of,
    put,
    put_transactional,
    records,
    steps,
)
from tests.log.logs import NOW, append, open_log, topic_config


@pytest.fixture
def log(tmp_path: Path) -> UnifiedLog:
    return open_log(
        tmp_path / "t-0",
        clock=ManualClock(wall_ms=NOW),
        cleanup_policy=["compact"],
        index_interval_bytes=100,
        delete_retention_ms=1000,
    )


def seal(log: UnifiedLog) -> None:
    log.roll(NOW)


def found(log: UnifiedLog) -> list[tuple[int, bytes | None, bytes | None]]:
    return [(record.offset, record.key, record.value) for record in records(log)]


def controls(log: UnifiedLog) -> list[BatchHeader]:
    return [header for header, _ in batches(log) if header.is_control]


def later(log: UnifiedLog, seconds: float = 2) -> None:
    """A second pass, when there is something new to clean."""
    assert isinstance(log.clock, ManualClock)
    log.clock.advance(seconds)
    put(log, (b"new", b"1"))
    seal(log)
    clean(log)


def test_of_each_key_the_newest_stays_with_its_offset(log: UnifiedLog) -> None:
    put(log, (b"a", b"1"), (b"b", b"1"), (b"a", b"2"))
    put(log, (b"c", b"1"))
    seal(log)
    put(log, (b"b", b"2"), (b"d", b"1"))
    seal(log)
    put(log, (b"c", b"3"))  # in the active segment: it takes part in nothing
    clean(log)
    assert found(log) == [
        (2, b"a", b"2"), (3, b"c", b"1"), (4, b"b", b"2"), (5, b"d", b"1"), (6, b"c", b"3"),
    ]  # fmt: skip
    assert [segment.base_offset for segment in log.segments] == [0, 6]
    assert (log.cleaning.first_dirty_offset, log.log_end_offset) == (6, 7)


@pytest.mark.parametrize("codec", range(5))
def test_a_batch_keeps_its_codec(log: UnifiedLog, codec: int) -> None:
    put(log, (b"a", b"1"), (b"b", b"1"), codec=codec)
    put(log, (b"a", b"2"), codec=codec)
    seal(log)
    clean(log)
    assert [header.codec for header, _ in batches(log)] == [codec] * 2
    assert found(log) == [(1, b"b", b"1"), (2, b"a", b"2")]


def test_a_tombstone_stays_for_its_retention(log: UnifiedLog) -> None:
    put(log, (b"a", b"1"), (b"b", b"1"))
    put(log, (b"a", None))
    seal(log)
    clean(log)
    assert found(log) == [(1, b"b", b"1"), (2, b"a", None)]
    horizons = [header.base_timestamp for header, _ in batches(log) if header.has_delete_horizon]
    assert horizons == [NOW + 1000]
    later(log, 0.999)
    assert (2, b"a", None) in found(log)
    later(log)
    assert (2, b"a", None) not in found(log)
    assert latest(records(log)) == {b"b": b"1", b"new": b"1"}


class TestTransactions:
    def test_aborted_data_goes_at_once_and_never_shadows(self, log: UnifiedLog) -> None:
        put(log, (b"a", b"old"))
        put_transactional(log, 1, (b"a", b"aborted"))
        end_transaction(log, 1, commit=False)
        put_transactional(log, 2, (b"b", b"committed"))
        end_transaction(log, 2, commit=True)
        seal(log)
        clean(log)
        assert found(log) == [(0, b"a", b"old"), (3, b"b", b"committed")]

    def test_markers_go_after_their_data_and_their_retention(self, log: UnifiedLog) -> None:
        put_transactional(log, 2, (b"b", b"1"))
        end_transaction(log, 2, commit=True)
        put_transactional(log, 2, (b"b", b"2"), sequence=1)
        end_transaction(log, 2, commit=True)
        seal(log)
        clean(log)
        assert [header.last_offset for header in controls(log)] == [1, 3]
        later(log)  # now the first one's data is seen to be gone: it gets its horizon
        assert [header.has_delete_horizon for header in controls(log)] == [True, False]
        later(log, 0.5)
        assert len(controls(log)) == 2
        later(log)
        assert [header.last_offset for header in controls(log)] == [3]
        assert latest(committed(log)) == {b"b": b"2", b"new": b"1"}

    def test_the_last_batch_of_a_producer_stays_as_a_header(self, log: UnifiedLog) -> None:
        append(log, keyed((b"a", b"1"), producer_id=7, producer_epoch=3, base_sequence=41), origin="client")
        put(log, (b"a", b"2"))
        seal(log)
        clean(log)
        (kept, _), _ = batches(log)
        assert (kept.record_count, kept.producer_id, kept.producer_epoch, kept.last_sequence) == (0, 7, 3, 41)
        directory = Path(log.directory)
        for snapshot in directory.glob("*.snapshot"):
            snapshot.unlink()
        again = open_log(directory, clean=False, clock=ManualClock(wall_ms=NOW))
        assert again.producer_state.producers[7].last_sequence == 41

    def test_the_last_marker_of_a_producer_without_data_stays(self, log: UnifiedLog) -> None:
        """Its epoch fences older ones."""
        end_transaction(log, 9, commit=False)
        put(log, (b"a", b"1"))
        seal(log)
        clean(log)
        later(log)
        later(log)
        assert [header.producer_id for header in controls(log)] == [9]

    def test_a_transaction_that_spans_the_groups(self, log: UnifiedLog) -> None:
        """Scenario 19, KAFKA-8351: the marker stays while data of another group stays."""
        put_transactional(log, 1, (b"a", b"1"))
        seal(log)
        put_transactional(log, 1, (b"b", b"1"), sequence=1)
        end_transaction(log, 1, commit=True)
        seal(log)
        log.update_config(_smaller(log, segment_bytes=100))
        clean(log)
        later(log)
        later(log)
        assert [segment.base_offset for segment in log.segments][:2] == [0, 1]
        assert [header.last_offset for header in controls(log)] == [2]
        assert latest(committed(log))[b"a"] == b"1"

    def test_an_abort_whose_marker_is_in_the_active_segment(self, log: UnifiedLog) -> None:
        put(log, (b"a", b"old"))
        put_transactional(log, 1, (b"a", b"aborted"))
        seal(log)
        end_transaction(log, 1, commit=False)
        clean(log)
        assert found(log) == [(0, b"a", b"old")]
        assert log.segments[0].transaction_index.entries == []
        assert len(log.active.transaction_index.entries) == 1

    def test_an_open_transaction_is_not_touched(self, log: UnifiedLog) -> None:
        """Scenario 22: nothing at or behind the last stable offset is cleaned."""
        put(log, (b"a", b"1"))
        seal(log)
        put_transactional(log, 1, (b"a", b"2"))
        seal(log)
        put(log, (b"a", b"3"))
        seal(log)
        clean(log)
        assert [offset for offset, _, _ in found(log)] == [0, 1, 2]
        assert log.cleaning.first_dirty_offset == 1
        end_transaction(log, 1, commit=True)
        seal(log)
        clean(log)
        assert [offset for offset, _, _ in found(log)] == [2]

    def test_no_marker_is_dropped_for_having_the_key_of_another(self, log: UnifiedLog) -> None:
        """Scenario 21, Crabka#528: control records have keys, which are all the same."""
        for producer in (1, 2, 3):
            put_transactional(log, producer, (b"k%d" % producer, b"1"))
            end_transaction(log, producer, commit=True)
        seal(log)
        clean(log)
        assert len(controls(log)) == 3


class TestASmallMap:
    def test_it_fills_within_a_segment(self, log: UnifiedLog) -> None:
        """Scenario 18, KAFKA-13727: what it does not cover stays, aborted data excepted, and is cleaned next time."""
        put(log, (b"a", b"1"), (b"b", b"1"))
        put_transactional(log, 1, (b"c", b"aborted"))
        put(log, (b"a", b"2"), (b"c", b"2"), (b"b", b"3"))
        end_transaction(log, 1, commit=False)
        seal(log)
        clean(log, **map_of(3))
        # a, b and c fill the map with the batch's second record; b at 5 is not covered, so b at 1 has to stay.
        assert found(log) == [(1, b"b", b"1"), (3, b"a", b"2"), (4, b"c", b"2"), (5, b"b", b"3")]
        assert log.cleaning.first_dirty_offset == 5
        assert [entry.producer_id for entry in log.aborted_transactions(0, 100)] == [1]
        clean(log, **map_of(3))
        assert found(log) == [(3, b"a", b"2"), (4, b"c", b"2"), (5, b"b", b"3")]
        assert log.cleaning.first_dirty_offset == 7

    def test_keys_in_an_order_that_is_not_that_of_their_offsets(self, log: UnifiedLog) -> None:
        """a, then b's tombstone, then a again: a map with room for one key must not skip the tombstone."""
        put(log, (b"b", b"1"))
        seal(log)
        clean(log)
        put(log, (b"a", b"1"), (b"b", None), (b"a", b"2"))
        seal(log)
        clean(log, **map_of(1))
        assert log.cleaning.first_dirty_offset == 2
        for _ in range(3):
            later(log)
        assert latest(records(log)) == {b"a": b"2", b"new": b"1"}

    def test_transactions_that_ended_before_do_not_go_on(self, log: UnifiedLog) -> None:
        """The map is built from the middle: an abort before it says nothing of what the producer did then."""
        put_transactional(log, 1, (b"x", b"aborted"))
        end_transaction(log, 1, commit=False)
        put(log, (b"a", b"old"))
        seal(log)
        clean(log)
        put_transactional(log, 1, (b"a", b"new"), sequence=1)
        end_transaction(log, 1, commit=True)
        seal(log)
        clean(log)
        assert [value for _, key, value in found(log) if key == b"a"] == [b"new"]


def test_records_without_a_key_go(log: UnifiedLog, caplog: pytest.LogCaptureFixture) -> None:
    """They come of a topic that was not compacted before."""
    put(log, (None, b"1"), (b"a", b"1"))
    seal(log)
    with caplog.at_level("WARNING"):
        clean(log)
    assert found(log) == [(1, b"a", b"1")]
    assert "1 records without a key" in caplog.text


def test_the_last_batch_stays_as_a_header_so_that_the_end_is_known(log: UnifiedLog) -> None:
    put(log, (b"a", b"1"))
    put_transactional(log, 1, (b"b", b"aborted"))
    end_transaction(log, 1, commit=False)
    put_transactional(log, 1, (b"b", b"aborted"), sequence=1)
    seal(log)
    end_transaction(log, 1, commit=False)
    clean(log)
    assert [header.last_offset for header, _ in batches(log)] == [0, 2, 3, 4]


def test_batches_larger_than_the_buffer(log: UnifiedLog) -> None:
    put(log, (b"a", b"x" * 3000))
    put(log, (b"a", b"y" * 5000), (b"b", b"1"))
    seal(log)
    clean(log, log_cleaner_io_buffer_size=100)
    assert found(log) == [(1, b"a", b"y" * 5000), (2, b"b", b"1")]


def test_the_indexes_are_those_of_the_new_segment(log: UnifiedLog) -> None:
    for number in range(40):
        put(log, (b"k%d" % (number % 30), b"v" * 40), timestamp=NOW + number)
    seal(log)
    modified = log.segments[0].last_modified_ms()
    clean(log)
    segment = log.segments[0]
    segment.sanity_check()
    assert len(segment.offset_index) > 5
    assert segment.largest_timestamp() == NOW + 39
    for header, _ in batches(log):
        at = segment.find(header.base_offset)
        assert at is not None
        assert at.base_offset == header.base_offset
        assert log.offset_for_timestamp(header.max_timestamp) is not None
    assert segment.last_modified_ms() == modified
    for suffix in (".index", ".timeindex"):
        assert os.path.getsize(segment.path(suffix)) < 1000, "no preallocated tail"


def test_a_segment_that_loses_everything_is_empty(log: UnifiedLog) -> None:
    put(log, (b"a", b"1"))
    seal(log)
    put(log, (b"a", b"2" * 50))
    seal(log)
    log.update_config(_smaller(log, segment_bytes=100))
    clean(log)
    assert [(segment.base_offset, segment.size > 0) for segment in log.segments[:2]] == [(0, False), (1, True)]
    assert log.read(0, 1000, upper_bound=10).size > 0


@pytest.mark.parametrize("position", [70, 100])
def test_damage_is_not_copied_under_a_new_checksum(log: UnifiedLog, position: int) -> None:
    put(log, (b"a", b"1" * 60), (b"b", b"1"))
    put(log, (b"a", b"2"))
    seal(log)
    path = Path(log.segments[0].path(".log"))
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptBatch, match="offset 0 has a wrong checksum"):
        clean(log)
    assert path.read_bytes() == data
    assert not list(path.parent.glob("*.cleaned"))


def test_a_file_that_ends_early(log: UnifiedLog) -> None:
    put(log, (b"a", b"1" * 60))
    seal(log)
    os.truncate(log.segments[0].path(".log"), 50)
    with pytest.raises(CorruptBatch, match="too few for a batch"):
        clean(log)


def test_output_larger_than_a_segment_can_be_becomes_two(log: UnifiedLog) -> None:
    """Scenario 20, KAFKA-20036: recompression may make it larger; each batch is filtered once, so no state changes."""
    put_transactional(log, 1, (b"a", b"1" * 50))
    put_transactional(log, 1, (b"b", b"1" * 50), sequence=1)
    end_transaction(log, 1, commit=False)
    put(log, (b"c", b"1" * 50))
    put(log, (b"d", b"1" * 50))
    put(log, (b"e", b"1" * 50))
    seal(log)
    clean(log, largest_segment=300)
    assert [key for _, key, _ in found(log)] == [b"c", b"d", b"e"]
    assert len(log.segments) == 3
    assert all(segment.size <= 300 for segment in log.segments)
    assert [entry.producer_id for entry in log.aborted_transactions(0, 100)] == [1]
    again = open_log(Path(log.directory), clean=False, clock=ManualClock(wall_ms=NOW))
    assert found(again) == found(log)


def test_it_stops_when_it_is_told(log: UnifiedLog) -> None:
    put(log, (b"a", b"1"))
    put(log, (b"a", b"2"))
    seal(log)

    def pace(_: int) -> None:
        raise CleaningAborted

    with pytest.raises(CleaningAborted):
        for _ in steps(log, pace=pace):
            pass
    assert len(found(log)) == 2


def _smaller(log: UnifiedLog, **values: Any) -> Any:
    return topic_config(**{**log.config.__dict__, **values})
