"""Record batches read from segments for a share fetch, and the part of them that is sent."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pykbroker.errors import KafkaError
from pykbroker.log.files import Files, LogFile
from pykbroker.log.segment import Region
from pykbroker.log.transaction_index import AbortedTransaction
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.share_fetch import AcquiredRecords
from pykbroker.record.batch import HEADER_SIZE
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


def read(path: Path, *batches: bytes, aborted: Sequence[AbortedTransaction] = ()) -> FetchedRecords:
    return read_records([region(path / "log", *batches)], -1, 500, aborted)


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


class TestMarkers:
    BATCHES = (
        stored(0),
        *(
            bytes(
                end_transaction_batch(
                    commit=commit,
                    producer_id=1,
                    producer_epoch=0,
                    coordinator_epoch=0,
                    timestamp=1000,
                    base_offset=offset,
                )
            )
            for commit, offset in ((True, 1), (False, 2))
        ),
    )

    def test_only_that_of_an_abort_is_one(self, tmp_path: Path) -> None:
        records = read(tmp_path, *self.BATCHES, aborted=[AbortedTransaction(1, 0, 2, 3)])
        assert [batch.is_abort for batch in records.batches] == [False, False, True]

    def test_nobody_looks_where_no_transaction_is_left_out(self, tmp_path: Path) -> None:
        *before, abort = self.BATCHES
        records = read(tmp_path, *before, abort[:-10] + bytes(10))
        assert [batch.is_abort for batch in records.batches] == [False, False, False]

    def test_one_that_cannot_be_read_ends_the_answer(self, tmp_path: Path) -> None:
        *before, abort = self.BATCHES
        damaged = abort[:HEADER_SIZE] + bytes(len(abort) - HEADER_SIZE)
        records = read(tmp_path, *before, damaged, stored(3), aborted=[AbortedTransaction(1, 0, 2, 3)])
        assert offsets(records) == [(0, 0), (1, 1)]


class TestDamage:
    """What of it matters to the broker is told with the error of Kafka's exception; the rest is for the client."""

    @pytest.mark.parametrize(
        "damage",
        [
            lambda batch: batch[:-3] + b"xyz",  # the checksum does not match
            lambda batch: batch[:22] + b"\1" + batch[23:],  # no gzip
            lambda batch: batch[:22] + b"\7" + batch[23:],  # no codec
        ],
    )
    def test_of_the_records_of_magic_2(self, damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
        damaged = damage(stored(0, 3))
        records = read(tmp_path, damaged, stored(3))
        assert offsets(records) == [(0, 2), (3, 3)]
        assert records.slice(acquired((0, 3))) == damaged + stored(3)

    @pytest.mark.parametrize(
        ("damaged", "code"),
        [
            (stored(0)[:8] + b"\0\0\0\x0d" + stored(0)[12:], ErrorCode.CORRUPT_MESSAGE),  # too short for any magic
            (stored(0)[:16] + b"\3" + stored(0)[17:], ErrorCode.CORRUPT_MESSAGE),  # no such magic
            (stored(0)[:8] + b"\0\0\0\x0e" + stored(0)[12:26], ErrorCode.CORRUPT_MESSAGE),  # too short for magic 2
            (stored(0)[:23] + b"\xff\xff\xff\xfe" + stored(0)[27:], ErrorCode.CORRUPT_MESSAGE),  # ends before it begins
            (bytes(message(1, GZIP, 2, 1000, None, None)), ErrorCode.INVALID_RECORD),  # no set in it
            (bytes(message(1, GZIP, 2, 1000, None, compress(GZIP, b""))), ErrorCode.INVALID_RECORD),
            (bytes(message(1, 4, 2, 1000, None, b"v")), ErrorCode.INVALID_RECORD),  # zstd is for magic 2
            (bytes(message(0, GZIP, 2, -1, None, b"no gzip")), ErrorCode.UNKNOWN_SERVER_ERROR),
            (bytes(message(1, 0, 2, 1000, None, b"v"))[:26] + b"\0\0\0\x7f" + b"\0" * 5, ErrorCode.INVALID_RECORD),
        ],
    )
    def test_of_what_comes_first(self, damaged: bytes, code: ErrorCode, tmp_path: Path) -> None:
        with pytest.raises(KafkaError) as caught:
            read(tmp_path, damaged, stored(3))
        assert caught.value.code == code

    def test_what_is_before_it_can_be_had(self, tmp_path: Path) -> None:
        damaged = bytes(message(1, GZIP, 5, 1000, None, b"no gzip"))
        assert offsets(read(tmp_path, stored(0, 3), damaged, stored(6))) == [(0, 2)]

    def test_offsets_that_go_back(self, tmp_path: Path) -> None:
        assert offsets(read(tmp_path, stored(0, 3), stored(2), stored(3))) == [(0, 2)]
