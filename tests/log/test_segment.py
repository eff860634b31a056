"""One segment: when it is full, where its index entries lie, what is found in it."""

import os
from pathlib import Path
from typing import Any

import pytest

from pykbroker.log.files import Files
from pykbroker.log.segment import INT32_MAX, LogSegment
from pykbroker.log.sparse_index import CorruptIndex
from pykbroker.record.batch import iterate_batches, stamp
from pykbroker.record.damage import CorruptBatch
from tests.golden_data import golden_lines
from tests.log.logs import NOW, batch, topic_config

BASE = 100


def segment_in(directory: Path, *, base_offset: int = BASE, **config: Any) -> LogSegment:
    segment = LogSegment(Files(), str(directory), base_offset, topic_config(**config), NOW, 0)
    segment.create()
    return segment


def reopened(segment: LogSegment, **config: Any) -> LogSegment:
    return LogSegment(
        Files(),
        segment.directory,
        segment.base_offset,
        topic_config(**config),
        NOW,
        os.path.getsize(segment.path(".log")),
    )


def add(segment: LogSegment, offset: int, *timestamps: int, value: bytes = b"v" * 50) -> int:
    """One batch from `offset` on; its size."""
    data = batch(timestamps or (NOW,), value=value, base_offset=offset)
    segment.append(data, offset + max(len(timestamps), 1) - 1, max(timestamps, default=NOW))
    return len(data)


def test_names_and_new_files(tmp_path: Path) -> None:
    segment_in(tmp_path, segment_index_bytes=1000)
    name = "00000000000000000100"
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == {
        f"{name}.log": 0, f"{name}.index": 1000, f"{name}.timeindex": 996,
    }  # fmt: skip


class TestIndexEntries:
    def test_one_when_more_than_the_interval_was_written_before_a_batch(self, tmp_path: Path) -> None:
        """Each tells the last offset of the batch that crosses the interval, and where that batch begins."""
        segment = segment_in(tmp_path, index_interval_bytes=250)
        size = add(segment, 100, 1, 1)
        assert size <= 250 < 2 * size
        for offset in range(102, 116, 2):
            assert add(segment, offset, offset, offset) == size
        assert list(segment.offset_index) == [(2 * number + 1, number * size) for number in (2, 4, 6)]

    def test_exactly_the_interval_is_not_more(self, tmp_path: Path) -> None:
        size = len(batch())
        segment = segment_in(tmp_path, index_interval_bytes=2 * size)
        for offset in range(100, 108):
            add(segment, offset)
        assert list(segment.offset_index) == [(3, 3 * size), (6, 6 * size)]

    def test_time_entries_tell_the_largest_timestamp_so_far(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path, index_interval_bytes=1)
        for offset, timestamp in enumerate([50, 70, 60, 65, 80], start=100):
            add(segment, offset, timestamp)
        assert list(segment.time_index) == [(70, 1), (80, 4)]
        assert (segment.largest_timestamp(), segment.offset_of_max_timestamp) == (80, 104)

    def test_the_offset_is_that_of_the_first_batch_with_the_timestamp(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path)
        add(segment, 100, 5, 9, 7)
        add(segment, 103, 9)
        segment.seal_indexes()
        assert list(segment.time_index) == [(9, 2)]

    @pytest.mark.parametrize("at_once", [False, True])
    def test_an_append_behind_a_restart_does_not_contradict_the_index(
        self, at_once: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Else the first append after each start would read the whole segment."""
        segment = segment_in(tmp_path)
        add(segment, 100, NOW)
        segment.close()
        segment = reopened(segment)
        if at_once:
            data = batch((NOW + 1,), base_offset=101)
            segment.append_batches(data, [header for header, _ in iterate_batches(data)])
        else:
            add(segment, 101, NOW + 1)
        assert (segment.largest_timestamp(), segment.offset_of_max_timestamp) == (NOW + 1, 101)
        assert not caplog.records

    def test_every_batch_of_one_append_is_indexed(self, tmp_path: Path) -> None:
        one, many = (
            segment_in(tmp_path / "a", index_interval_bytes=200),
            segment_in(tmp_path / "b", index_interval_bytes=200),
        )
        whole = bytearray()
        for offset in range(100, 110):
            add(one, offset, offset)
            whole += batch((offset,), base_offset=offset)
        many.append_batches(whole, [header for header, _ in iterate_batches(whole)])
        assert list(many.offset_index) == list(one.offset_index) != []
        assert list(many.time_index) == list(one.time_index) != []
        assert [many.locate(offset) for offset in range(100, 110)] == [one.locate(offset) for offset in range(100, 110)]

    @pytest.fixture(autouse=True)
    def _directories(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()


class TestRollRules:
    def test_size(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path, segment_bytes=1000)
        assert not segment.should_roll(1001, NOW, BASE, NOW), "an empty one takes what the log lets in"
        size = add(segment, 100)
        assert not segment.should_roll(1000 - size, NOW, 101, NOW)
        assert segment.should_roll(1001 - size, NOW, 101, NOW)

    def test_time_between_the_first_and_the_new_batch(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path, segment_ms=1000)
        assert not segment.should_roll(10, NOW + 5000, BASE, NOW + 5000)
        add(segment, 100, NOW)
        assert not segment.should_roll(10, NOW + 1000, 101, NOW + 9999)
        assert segment.should_roll(10, NOW + 1001, 101, NOW)

    def test_the_clock_where_the_first_batch_has_no_timestamp(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path, segment_ms=1000)
        add(segment, 100, -1)
        assert not segment.should_roll(10, NOW + 5000, 101, NOW + 1000)
        assert segment.should_roll(10, NOW, 101, NOW + 1001)

    def test_the_first_timestamp_is_read_again_after_a_restart(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path)
        add(segment, 100, NOW - 3, NOW)
        add(segment, 102, NOW + 50)
        segment.close()
        again = reopened(segment, segment_ms=1000)
        assert not again.should_roll(10, NOW + 1000, 103, NOW)
        assert again.should_roll(10, NOW + 1001, 103, NOW)

    def test_each_segment_has_a_jitter_of_its_own(self, tmp_path: Path) -> None:
        config = topic_config(segment_jitter_ms=10, segment_ms=5)
        found = {LogSegment(Files(), str(tmp_path), BASE, config, NOW, 0).jitter_ms for _ in range(100)}
        assert len(found) > 1
        assert found <= set(range(5))

    def test_jitter_rolls_earlier(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path, segment_ms=1000)
        segment.jitter_ms = 400
        add(segment, 100, NOW)
        assert not segment.should_roll(10, NOW + 600, 101, NOW)
        assert segment.should_roll(10, NOW + 601, 101, NOW)

    def test_offsets_beyond_what_the_index_can_say(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path)
        assert not segment.should_roll(10, NOW, BASE + INT32_MAX, NOW)
        assert segment.should_roll(10, NOW, BASE + INT32_MAX + 1, NOW)

    @pytest.mark.parametrize(("index_bytes", "entries"), [(48, 3), (24, 1)])
    def test_full_indexes(self, index_bytes: int, entries: int, tmp_path: Path) -> None:
        """48 bytes are six offsets or four times, of which the last is kept for the roll."""
        segment = segment_in(tmp_path, segment_index_bytes=index_bytes, index_interval_bytes=1)
        add(segment, 100, 1)
        for number in range(1, entries + 1):
            assert not segment.should_roll(10, 1, 100 + number, NOW)
            add(segment, 100 + number, 1 + number)
        assert segment.should_roll(10, 1, 110, NOW)


class TestFinding:
    @pytest.mark.parametrize("interval", [1, 300, 4096])
    @pytest.mark.parametrize("is_reopened", [False, True])
    def test_the_batch_that_holds_an_offset(self, interval: int, is_reopened: bool, tmp_path: Path) -> None:
        segment = segment_in(tmp_path, index_interval_bytes=interval)
        positions, at = {}, 0
        for number in range(20):
            offset = BASE + number * 5
            size = add(segment, offset, 1, 2, 3, value=b"x" * number * 10)  # three of five offsets: compacted
            positions.update(dict.fromkeys(range(offset - 2, offset + 3), (at, size)))
            at += size
        if is_reopened:
            segment.close()
            segment = reopened(segment)
        for offset in range(BASE, BASE + 98):
            assert segment.locate(offset) == positions[offset], offset
            found = segment.find(offset)
            assert found is not None
            assert (found.position, found.size) == positions[offset]
        assert segment.locate(BASE + 98) is None

    def test_batches_larger_than_what_is_read_at_once(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path)
        sizes = [add(segment, 100 + number, value=b"x" * (number * 40_000)) for number in range(5)]
        assert [found.size for found in segment.batches(0, chunk_size=100)] == sizes
        assert [found.base_offset for found in segment.batches(sizes[0])] == [101, 102, 103, 104]

    def test_an_incomplete_batch_at_the_end_is_none(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path)
        size = add(segment, 100)
        for cut in (size - 1, 60, 17, 10, 1):
            os.truncate(segment.path(".log"), cut)
            assert list(reopened(segment).batches(0)) == []

    def test_bytes_that_are_no_batch(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path)
        size = add(segment, 100)
        with open(segment.path(".log"), "ab") as file:
            file.write(bytes(100))
        batches = reopened(segment).batches(0)
        assert next(batches).size == size
        with pytest.raises(CorruptBatch):
            next(batches)

    def test_old_magics(self, tmp_path: Path) -> None:
        lines = {line["magic"]: line for line in golden_lines("records/batches.jsonl.gz") if line["magic"] < 2}
        for magic, line in lines.items():
            segment = segment_in(tmp_path, base_offset=magic)
            data = bytes.fromhex(line["hex"])
            os.pwrite(segment.file.fileno(), data, 0)
            found = list(reopened(segment).batches(0))
            assert [(each.size, each.magic, each.last_offset) for each in found] == [
                (each["size"], magic, each["last_offset"]) for each in line["batches"]
            ]
            assert [each.max_timestamp for each in found] == [each["max_timestamp"] for each in line["batches"]]

    def test_batches_for_a_timestamp(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path, index_interval_bytes=1)
        for offset, timestamp in enumerate([10, 40, 20, 30, 50], start=100):
            add(segment, offset, timestamp)
        assert [found.base_offset for found in segment.batches_for_timestamp(25, 0)] == [101, 103, 104]
        assert [found.base_offset for found in segment.batches_for_timestamp(25, 102)] == [103, 104]
        assert list(segment.batches_for_timestamp(51, 0)) == []

    def test_reading_behind_the_end(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path)
        size = add(segment, 100)
        assert len(segment.read(0, size)) == size
        with pytest.raises(CorruptBatch, match=f"ends at {size}, before {size + 1}"):
            segment.read(1, size)


class TestTruncation:
    @pytest.mark.parametrize("kept", range(6))
    def test_everything_from_an_offset_on_goes(self, kept: int, tmp_path: Path) -> None:
        segment = segment_in(tmp_path, index_interval_bytes=1)
        timestamps = [10, 50, 20, 60, 40]
        size = 0
        for offset, timestamp in enumerate(timestamps, start=100):
            size = add(segment, offset, timestamp)
        assert segment.truncate_to(100 + kept) == (5 - kept) * size
        assert segment.size == os.path.getsize(segment.path(".log")) == kept * size
        assert segment.largest_timestamp() == max(timestamps[:kept], default=-1)
        assert list(segment.offset_index) == [(number, number * size) for number in range(1, kept)]
        assert [segment.locate(100 + number) for number in range(6)] == [
            (number * size, size) if number < kept else None for number in range(6)
        ]

    def test_a_batch_goes_whole(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path)
        size = add(segment, 100, 1, 2, 3)
        assert segment.truncate_to(102) == size
        assert segment.size == 0

    def test_it_goes_on_behind_the_cut(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path, index_interval_bytes=1)
        for offset in range(100, 105):
            add(segment, offset, offset)
        segment.truncate_to(102)
        add(segment, 102, 7000)
        assert [found.base_offset for found in segment.batches(0)] == [100, 101, 102]
        assert segment.locate(102) == (2 * len(batch()), len(batch((7000,))))
        assert segment.largest_timestamp() == 7000


class TestEnding:
    def test_a_sealed_segment_has_whole_trimmed_indexes_and_no_open_files(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path, index_interval_bytes=1)
        for offset in range(100, 104):
            add(segment, offset, 1000 - offset if offset > 100 else 5000)
        before = len(os.listdir("/proc/self/fd"))
        segment.become_inactive()
        assert len(os.listdir("/proc/self/fd")) == before - 1
        assert os.path.getsize(segment.path(".index")) == 3 * 8
        assert os.path.getsize(segment.path(".timeindex")) == 12
        assert reopened(segment).largest_timestamp() == 5000

    def test_flushing_a_segment_that_is_deleted_meanwhile(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path)
        add(segment, 100)
        segment.become_inactive()
        renamed = segment.mark_deleted()
        segment.flush()
        assert sorted(os.listdir(tmp_path)) == sorted(os.path.basename(path) for path in renamed)
        assert all(path.endswith((".log.deleted", ".index.deleted", ".timeindex.deleted")) for path in renamed)

    def test_what_is_read_stays_while_it_is_deleted(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path)
        size = add(segment, 100)
        file = segment.file
        for path in segment.mark_deleted():
            os.unlink(path)
        assert len(os.pread(file.fileno(), 1000, 0)) == size

    @pytest.mark.parametrize("suffix", [".index", ".timeindex"])
    def test_a_missing_index_is_told(self, suffix: str, tmp_path: Path) -> None:
        segment = segment_in(tmp_path)
        add(segment, 100)
        segment.close()
        reopened(segment).sanity_check()
        os.unlink(segment.path(suffix))
        with pytest.raises(CorruptIndex, match="missing"):
            reopened(segment).sanity_check()

    def test_a_stamped_batch_is_found_by_its_new_offset(self, tmp_path: Path) -> None:
        segment = segment_in(tmp_path)
        data = batch((1, 2))
        stamp(data, 0, 105, 3)
        segment.append(data, 106, 2)
        found = segment.find(106)
        assert found is not None
        assert found.header is not None
        assert (found.base_offset, found.header.partition_leader_epoch) == (105, 3)
