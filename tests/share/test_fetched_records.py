"""Record batches read from segments for a share fetch, and the part of them that is sent."""

from pathlib import Path

import pytest

from pykbroker.log.files import Files, LogFile
from pykbroker.log.segment import Region
from pykbroker.protocol.messages.share_fetch import AcquiredRecords
from pykbroker.record.builder import build_batch
from pykbroker.record.compression import compress
from pykbroker.record.control import end_transaction_batch
from pykbroker.record.legacy_builder import message
from pykbroker.share.fetched_records import CHUNK, FetchedRecords, read_records

GZIP = 1


def stored(base_offset: int, count: int = 1, size: int = 10) -> bytes:
    return bytes(build_batch([(None, b"v" * size, [], 1000)] * count, base_offset=base_offset))


def region(path: Path, *batches: bytes) -> Region:
    path.write_bytes(b"".join(batches))
    return Region(LogFile(Files(), str(path)), 0, path.stat().st_size)


def read(path: Path, *batches: bytes) -> FetchedRecords:
    return read_records([region(path / "log", *batches)], in_flight_until=-1, max_records=500)


def offsets(records: FetchedRecords) -> list[tuple[int, int]]:
    return [(batch.base_offset, batch.last_offset) for batch in records.batches]


def acquired(*bounds: tuple[int, int]) -> list[AcquiredRecords]:
    return [AcquiredRecords(first_offset=first, last_offset=last, delivery_count=1) for first, last in bounds]


class TestReading:
    def test_batches_of_several_segments(self, tmp_path: Path) -> None:
        one = region(tmp_path / "one", stored(0, 3), stored(3, 2))
        two = region(tmp_path / "two", stored(5), stored(8, 4))
        records = read_records([one, two], in_flight_until=-1, max_records=500)
        assert offsets(records) == [(0, 2), (3, 4), (5, 5), (8, 11)]
        assert records.slice(acquired((0, 11))) == stored(0, 3) + stored(3, 2) + stored(5) + stored(8, 4)

    def test_a_region_begins_and_ends_within_its_file(self, tmp_path: Path) -> None:
        whole = region(tmp_path / "log", stored(0), stored(1), stored(2))
        size = len(stored(0))
        records = read_records([whole._replace(position=size, length=size)], in_flight_until=-1, max_records=500)
        assert offsets(records) == [(1, 1)]

    def test_half_a_batch_at_the_end_is_left_out(self, tmp_path: Path) -> None:
        assert offsets(read(tmp_path, stored(0, 3), stored(3, 2)[:-1])) == [(0, 2)]

    def test_a_batch_larger_than_what_is_read_at_once(self, tmp_path: Path) -> None:
        large = stored(1, size=3 * CHUNK)
        records = read(tmp_path, stored(0), large, stored(2))
        assert offsets(records) == [(0, 0), (1, 1), (2, 2)]
        assert records.slice(acquired((1, 1))) == large

    @pytest.mark.parametrize(("in_flight_until", "enough"), [(-1, 1), (7, 8)])
    def test_no_more_is_read_than_may_be_given_out(self, in_flight_until: int, enough: int, tmp_path: Path) -> None:
        per_chunk = 4
        batches = [stored(offset, size=CHUNK // per_chunk) for offset in range(40)]
        found = read_records([region(tmp_path / "log", *batches)], in_flight_until, max_records=1)
        assert enough < found.batches[-1].last_offset <= enough + 1 + per_chunk

    def test_old_messages_have_no_header(self, tmp_path: Path) -> None:
        inner = b"".join(message(1, 0, offset, 1000, None, b"v") for offset in range(3))
        outer = message(1, GZIP, 12, 1000, None, compress(GZIP, inner))
        records = read(tmp_path, bytes(message(0, 0, 9, -1, None, b"v")), bytes(outer), stored(13))
        assert offsets(records) == [(9, 9), (10, 12), (13, 13)]
        assert [batch.header is None for batch in records.batches] == [True, True, False]
        assert not records.is_abort_marker(records.batches[0])


class TestSlicing:
    """ShareFetchUtils.maybeSliceFetchRecords."""

    BATCHES = (stored(0, 5), stored(5, 5), stored(10, 5), stored(20, 5))

    @pytest.mark.parametrize(
        ("given", "sent"),
        [
            ([(0, 24)], (0, 4)),
            ([(0, 4)], (0, 1)),
            ([(7, 7)], (1, 2)),
            ([(4, 5)], (0, 2)),
            ([(2, 2), (12, 12)], (0, 3)),
            ([(21, 22)], (3, 4)),
            ([(15, 19)], (2, 3)),  # compacted away: the batch before is all there is
        ],
    )
    def test_whole_batches(self, given: list[tuple[int, int]], sent: tuple[int, int], tmp_path: Path) -> None:
        records = read(tmp_path, *self.BATCHES)
        first, end = sent
        assert records.slice(acquired(*given)) == b"".join(self.BATCHES[first:end])


def test_only_the_marker_of_an_abort_is_one(tmp_path: Path) -> None:
    commit, abort = (
        bytes(
            end_transaction_batch(
                commit=commit, producer_id=1, producer_epoch=0, coordinator_epoch=0, timestamp=1000, base_offset=offset
            )
        )
        for commit, offset in ((True, 1), (False, 2))
    )
    records = read(tmp_path, stored(0), commit, abort)
    assert [records.is_abort_marker(batch) for batch in records.batches] == [False, False, True]
