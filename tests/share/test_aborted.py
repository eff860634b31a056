"""What a read_committed group never sees: records of aborted transactions."""

from pathlib import Path
from typing import NamedTuple

from pykbroker.ids import TopicIdPartition, Uuid
from pykbroker.log.files import Files, LogFile
from pykbroker.log.segment import Region
from pykbroker.record.builder import build_batch
from pykbroker.record.control import end_transaction_batch
from pykbroker.share.aborted import aborted_batches
from pykbroker.share.acquire import Wish, acquire
from pykbroker.share.fetched_records import FetchedRecords, read_records
from pykbroker.share.in_flight import RecordState
from pykbroker.share.share_partition import Limits, SharePartition, SharePartitionKey

KEY = SharePartitionKey("group", TopicIdPartition(Uuid(b"the id of topict"), "topic", 0))
NOW = 1000.0


class Transaction(NamedTuple):
    producer_id: int
    first_offset: int


class Log:
    """Batches of five records, one behind the other."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.end = 0

    def records(self, producer_id: int, *, is_transactional: bool = True) -> None:
        self.data += build_batch(
            [(None, b"v", [], 1000)] * 5,
            base_offset=self.end,
            producer_id=producer_id,
            producer_epoch=0,
            base_sequence=0,
            is_transactional=is_transactional,
        )
        self.end += 5

    def marker(self, producer_id: int, *, commit: bool) -> None:
        self.data += end_transaction_batch(
            commit=commit,
            producer_id=producer_id,
            producer_epoch=0,
            coordinator_epoch=0,
            timestamp=1000,
            base_offset=self.end,
        )
        self.end += 1

    def read(self, path: Path, *aborted: tuple[int, int]) -> FetchedRecords:
        (path / "log").write_bytes(self.data)
        region = Region(LogFile(Files(), str(path / "log")), 0, len(self.data))
        return read_records([region], -1, 500, [Transaction(*one) for one in aborted])


def found(fetched: FetchedRecords) -> list[int]:
    return [batch.base_offset for batch in aborted_batches(fetched)]


def share_partition() -> SharePartition:
    partition = SharePartition(KEY, 0, lambda: Limits(30.0, 5, 200, True))
    partition.initialize(0, 0, [])
    return partition


def take(partition: SharePartition, fetched: FetchedRecords) -> tuple[list[tuple[int, int, int]], int]:
    rows, count = acquire(partition, Wish("ann", 100, 100, False, 0), fetched, NOW)
    return [(row.first_offset, row.last_offset, row.delivery_count) for row in rows], count


class TestAbortedBatches:
    def test_of_two_producers_at_once(self, tmp_path: Path) -> None:
        log = Log()
        log.records(1)  # 0
        log.records(2)  # 5
        log.records(1)  # 10
        log.marker(2, commit=True)
        log.marker(1, commit=False)
        log.records(2)  # 17
        assert found(log.read(tmp_path, (1, 0))) == [0, 10]

    def test_a_producer_is_trusted_again_after_its_marker(self, tmp_path: Path) -> None:
        log = Log()
        log.records(1)  # 0
        log.marker(1, commit=False)
        log.records(1)  # 6
        log.marker(1, commit=True)
        log.records(1)  # 12
        log.marker(1, commit=False)
        assert found(log.read(tmp_path, (1, 12), (1, 0))) == [0, 12]

    def test_a_transaction_that_began_before_what_was_read(self, tmp_path: Path) -> None:
        log = Log()
        log.end = 50
        log.records(1)
        assert found(log.read(tmp_path, (1, 3))) == [50]

    def test_what_is_of_no_transaction_is_not_aborted(self, tmp_path: Path) -> None:
        log = Log()
        log.records(1, is_transactional=False)
        log.records(-1, is_transactional=False)
        log.records(1)  # 10
        assert found(log.read(tmp_path, (1, 0))) == [10]


class TestFilter:
    def test_the_member_gets_what_lies_around_and_the_rest_is_archived(self, tmp_path: Path) -> None:
        log, partition = Log(), share_partition()
        log.records(2)  # 0
        log.records(1)  # 5
        log.records(2)  # 10
        assert take(partition, log.read(tmp_path, (1, 5))) == ([(0, 4, 1), (10, 14, 1)], 10)
        (batch,) = partition.cached
        states = [batch.state_at(offset).state for offset in range(15)]
        assert states == [RecordState.ACQUIRED] * 5 + [RecordState.ARCHIVED] * 5 + [RecordState.ACQUIRED] * 5
        assert (partition.start_offset, partition.delivery_complete_count) == (0, 5)
        assert len(partition.locks) == 10

    def test_the_start_offset_leaves_aborted_records_behind_at_once(self, tmp_path: Path) -> None:
        log, partition = Log(), share_partition()
        log.records(1)  # 0
        log.records(2)  # 5
        assert take(partition, log.read(tmp_path, (1, 0))) == ([(5, 9, 1)], 5)
        assert (partition.start_offset, partition.delivery_complete_count) == (5, 0)

    def test_nothing_but_aborted_records(self, tmp_path: Path) -> None:
        log, partition = Log(), share_partition()
        log.records(1)
        log.records(1)
        assert take(partition, log.read(tmp_path, (1, 0))) == ([], 0)
        assert (partition.start_offset, partition.next_fetch_offset(), len(partition.locks)) == (10, 10, 0)

    def test_a_group_of_read_uncommitted_gets_all(self, tmp_path: Path) -> None:
        log, partition = Log(), share_partition()
        log.records(1)
        assert take(partition, log.read(tmp_path)) == ([(0, 4, 1)], 5)
