"""All producers of a log: what is checked, what is open, what snapshots keep."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.log.files import Files
from pykbroker.log.producer_state import ProducerStateManager
from pykbroker.log.transaction_index import AbortedTransaction
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import BatchHeader, parse_header
from pykbroker.record.builder import build_batch
from pykbroker.record.control import ControlType, control_key, end_transaction_batch
from tests.log.logs import batch

EXPIRATION = 1000


@pytest.fixture
def producers(tmp_path: Path) -> ProducerStateManager:
    return open_state(tmp_path)


def open_state(directory: Path) -> ProducerStateManager:
    return ProducerStateManager(Files(), str(directory), TopicPartition("t", 0), EXPIRATION)


def header(producer_id: int, sequence: int = 0, *, epoch: int = 0, timestamp: int = 0, **fields: Any) -> BatchHeader:
    return parse_header(
        batch((timestamp,), producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence, **fields)
    )


def begin(producers: ProducerStateManager, producer_id: int, offset: int, sequence: int = 0) -> None:
    producers.append_data(header(producer_id, sequence, is_transactional=True), offset)
    producers.map_end_offset = offset + 1


def end(
    producers: ProducerStateManager,
    producer_id: int,
    offset: int,
    *,
    commit: bool,
    epoch: int = 0,
    coordinator: int = 0,
) -> AbortedTransaction | None:
    data = end_transaction_batch(
        commit=commit, producer_id=producer_id, producer_epoch=epoch, coordinator_epoch=coordinator, timestamp=5,
        base_offset=offset,
    )  # fmt: skip
    producers.map_end_offset = offset + 1
    return producers.replay(parse_header(data), bytes(data))


def refused(check: Callable[[], object]) -> int:
    with pytest.raises(KafkaError) as raised:
        check()
    return raised.value.code


class TestChecks:
    def test_a_client(self, producers: ProducerStateManager) -> None:
        assert producers.check(header(1, 77), 0, is_client=True) is None
        producers.append_data(header(1, 0), 10)
        assert producers.check(header(1, 1), 11, is_client=True) is None
        duplicate = producers.check(header(1, 0), 11, is_client=True)
        assert duplicate is not None
        assert duplicate.first_offset == 10
        assert refused(lambda: producers.check(header(1, 5), 11, is_client=True)) == (
            ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        )

    def test_a_coordinator_has_no_sequences(self, producers: ProducerStateManager) -> None:
        producers.append_data(header(1, 0), 10)
        assert producers.check(header(1, -1), 11, is_client=False) is None

    def test_an_old_epoch(self, producers: ProducerStateManager) -> None:
        producers.append_data(header(1, epoch=3), 10)
        assert (
            refused(lambda: producers.check(header(1, epoch=2), 11, is_client=True)) == ErrorCode.INVALID_PRODUCER_EPOCH
        )

    def test_plain_records_within_a_transaction(self, producers: ProducerStateManager) -> None:
        begin(producers, 1, 0)
        assert refused(lambda: producers.check(header(1, 1), 1, is_client=True)) == ErrorCode.INVALID_TXN_STATE

    def test_markers(self, producers: ProducerStateManager) -> None:
        producers.check_marker(header(1), 0, 0)
        begin(producers, 1, 0)
        end(producers, 1, 1, commit=True, epoch=2, coordinator=5)
        producers.check_marker(header(1, epoch=2), 5, 2)
        assert refused(lambda: producers.check_marker(header(1, epoch=1), 5, 2)) == ErrorCode.INVALID_PRODUCER_EPOCH
        assert refused(lambda: producers.check_marker(header(1, epoch=2), 4, 2)) == (
            ErrorCode.TRANSACTION_COORDINATOR_FENCED
        )


class TestTransactions:
    def test_the_first_unstable_offset(self, producers: ProducerStateManager) -> None:
        assert producers.first_unstable_offset() is None
        begin(producers, 1, 10)
        begin(producers, 2, 12)
        begin(producers, 1, 14, sequence=1)
        assert producers.first_unstable_offset() == 10
        assert end(producers, 1, 16, commit=True) is None
        assert producers.first_unstable_offset() == 10, "its marker is not replicated yet"
        producers.on_high_watermark(16)
        assert producers.first_unstable_offset() == 10
        producers.on_high_watermark(17)
        assert producers.first_unstable_offset() == 12

    def test_an_abort_tells_what_was_stable_then(self, producers: ProducerStateManager) -> None:
        begin(producers, 1, 10)
        begin(producers, 2, 12)
        assert end(producers, 1, 16, commit=False) == (1, 10, 16, 12)
        assert end(producers, 2, 17, commit=False) == (2, 12, 17, 18)

    def test_a_marker_without_a_transaction(self, producers: ProducerStateManager) -> None:
        assert end(producers, 1, 16, commit=False, epoch=4) is None
        assert producers.producers[1].epoch == 4
        assert producers.first_unstable_offset() is None

    def test_other_control_records_say_nothing(self, producers: ProducerStateManager) -> None:
        data = build_batch(
            [(control_key(ControlType.LEADER_CHANGE), b"", [], 0)], producer_id=1, producer_epoch=0, is_control=True
        )
        assert producers.replay(parse_header(data), bytes(data)) is None
        assert producers.producers == {}

    def test_the_start_of_the_log(self, producers: ProducerStateManager) -> None:
        begin(producers, 1, 10)
        begin(producers, 2, 11)
        end(producers, 1, 12, commit=True)
        producers.on_log_start_offset(13)
        assert producers.first_unstable_offset() == 11, "open is open, wherever the log begins"
        assert producers.map_end_offset == 13


class TestExpiry:
    def test_silence_but_not_within_a_transaction(self, producers: ProducerStateManager) -> None:
        producers.append_data(header(1, timestamp=0), 0)
        producers.append_data(header(2, timestamp=1), 1)
        producers.append_data(header(3, timestamp=0, is_transactional=True), 2)
        producers.expire(EXPIRATION - 1)
        assert set(producers.producers) == {1, 2, 3}
        producers.expire(EXPIRATION)
        assert set(producers.producers) == {2, 3}
        assert [entry.producer_id for entry in producers.active()] == [2, 3]


class TestSnapshots:
    def names(self, producers: ProducerStateManager) -> list[int]:
        return sorted(int(name[:20]) for name in os.listdir(producers.directory))

    def taken_at(self, producers: ProducerStateManager, *offsets: int) -> None:
        for number, offset in enumerate(offsets):
            producers.append_data(header(number), offset - 1)
            producers.map_end_offset = offset
            producers.take_snapshot()

    def test_one_for_each_end(self, producers: ProducerStateManager) -> None:
        producers.load(0, 0, 0)
        producers.take_snapshot()
        assert self.names(producers) == [], "of an empty log there is nothing to keep"
        self.taken_at(producers, 5, 5, 9)
        assert self.names(producers) == [5, 9]
        assert producers.last_snapshot_offset == 9

    def test_what_is_loaded(self, producers: ProducerStateManager, tmp_path: Path) -> None:
        begin(producers, 9, 3)
        self.taken_at(producers, 5, 7, 9)
        again = open_state(tmp_path)
        again.load(0, 8, 0)
        assert set(again.producers) == {0, 1, 9}
        assert (again.map_end_offset, again.last_snapshot_offset, again.first_unstable_offset()) == (7, 7, 3)
        assert self.names(again) == [5, 7], "those behind the end are of a history that was cut off"

    def test_snapshots_at_the_start_or_before_it_go(self, producers: ProducerStateManager, tmp_path: Path) -> None:
        self.taken_at(producers, 5, 7)
        again = open_state(tmp_path)
        again.load(7, 9, 0)
        assert (again.producers, again.map_end_offset, self.names(again)) == ({}, 7, [])

    def test_a_damaged_one_goes_and_the_one_before_serves(
        self, producers: ProducerStateManager, tmp_path: Path
    ) -> None:
        self.taken_at(producers, 5, 7)
        Path(producers.snapshot_path(7)).write_bytes(b"torn")
        again = open_state(tmp_path)
        again.load(0, 9, 0)
        assert (set(again.producers), again.map_end_offset, self.names(again)) == ({0}, 5, [5])

    def test_those_that_expired_are_not_loaded(self, producers: ProducerStateManager, tmp_path: Path) -> None:
        begin(producers, 9, 3)
        self.taken_at(producers, 5)
        again = open_state(tmp_path)
        again.load(0, 9, EXPIRATION)
        assert set(again.producers) == {9}

    def test_loading_starts_over(self, producers: ProducerStateManager) -> None:
        begin(producers, 1, 4)
        end(producers, 1, 5, commit=True)
        begin(producers, 2, 6)
        producers.load(0, 9, 0)
        assert (producers.producers, producers.first_unstable_offset(), producers.map_end_offset) == ({}, None, 0)

    def test_retention_and_truncation(self, producers: ProducerStateManager) -> None:
        self.taken_at(producers, 2, 4, 6, 8)
        producers.delete_snapshots_before(4)
        assert self.names(producers) == [4, 6, 8]
        producers.delete_snapshots_from(6)
        assert self.names(producers) == [4]

    @pytest.mark.parametrize(
        ("segments", "kept"),
        [({0, 4, 6}, [4, 6, 8]), ({0, 6}, [6, 8]), ({0}, [8]), ({0, 9}, []), ({4, 9}, [4]), ({0, 8}, [8])],
    )
    def test_strays(self, segments: set[int], kept: list[int], producers: ProducerStateManager) -> None:
        """Kept are those that a segment begins at, and the newest, which a clean stop wrote behind all segments."""
        self.taken_at(producers, 2, 4, 6, 8)
        producers.remove_stray_snapshots(segments)
        assert self.names(producers) == kept
