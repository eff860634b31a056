"""What a fetch reads beyond the dialogues: transactions, followers, leadership."""

from typing import Any

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.builder import build_batch
from pykbroker.record.control import end_transaction_batch
from pykbroker.replica.fetch_read import FetchedPartition, FetchParams, FetchResult, read_partitions
from pykbroker.replica.fetch_session import FetchRow
from tests.replica.stand import NODE_ID, Stand, partition_image

UNCOMMITTED, COMMITTED = 0, 1
TIMESTAMP = 1_700_000_000_000


def append(stand: Stand, topic: str = "t", **fields: Any) -> int:
    records = build_batch([(b"k", b"0123456789", [], TIMESTAMP)], **fields)
    stand.partition(topic).append(records, 1, stand.clock.wall_ms())
    return len(records)


def transactional(stand: Stand, producer_id: int, sequence: int = 0) -> None:
    append(stand, producer_id=producer_id, producer_epoch=0, base_sequence=sequence, is_transactional=True)


def end(stand: Stand, producer_id: int, *, commit: bool) -> None:
    marker = end_transaction_batch(
        commit=commit, producer_id=producer_id, producer_epoch=0, coordinator_epoch=0, timestamp=TIMESTAMP
    )
    stand.partition("t").append(marker, -1, stand.clock.wall_ms(), "coordinator")


def read(
    stand: Stand,
    offset: int = 0,
    isolation_level: int = UNCOMMITTED,
    *,
    topic: Any = "t",
    replica_id: int = -1,
    epoch: int = -1,
    only_leader: bool = True,
) -> FetchResult:
    row = FetchRow(topic, 0, epoch, offset, -1, 1 << 20)
    params = FetchParams(replica_id, isolation_level, 1, 1 << 20, only_leader)
    return read_partitions(stand.replicas, [row], params)


def one(result: FetchResult) -> FetchedPartition:
    (fetched,) = result.partitions
    return fetched


def test_read_committed_stops_at_the_last_stable_offset(stand: Stand) -> None:
    stand.create("t")
    size = append(stand)
    transactional(stand, 5)
    append(stand)
    committed, uncommitted = one(read(stand, 0, COMMITTED)), one(read(stand))
    assert (committed.high_watermark, committed.last_stable_offset, committed.size) == (3, 1, size)
    assert uncommitted.size == 3 * size
    assert uncommitted.aborted is None
    beyond = read(stand, 2, COMMITTED)
    assert (one(beyond).size, one(beyond).error_code, beyond.must_answer) == (0, 0, True), "not worth waiting"
    waiting = read(stand, 1, COMMITTED)
    assert (one(waiting).size, waiting.must_answer) == (0, False)
    end(stand, 5, commit=True)
    assert one(read(stand, 0, COMMITTED)).last_stable_offset == 4


def test_read_committed_lists_what_was_aborted(stand: Stand) -> None:
    stand.create("t")
    for producer_id in (5, 6):
        transactional(stand, producer_id)
    end(stand, 6, commit=False)
    assert one(read(stand, 0, COMMITTED)).aborted == [], "not stable yet"
    end(stand, 5, commit=True)
    aborted = one(read(stand, 0, COMMITTED)).aborted
    assert aborted is not None
    assert [(found.producer_id, found.first_offset) for found in aborted] == [(6, 1)]


def test_only_transactions_near_what_was_read_are_listed(stand: Stand) -> None:
    """A consumer far behind gets the aborted transactions of its own bytes, not of the whole log."""
    stand.create("t", index_interval_bytes="1")
    for producer_id in range(20):
        transactional(stand, producer_id)
        end(stand, producer_id, commit=False)
    stand.partition("t").log.roll(stand.clock.wall_ms())
    for producer_id in range(20, 25):
        transactional(stand, producer_id)
        end(stand, producer_id, commit=False)

    def listed(offset: int, max_bytes: int) -> list[int]:
        row = FetchRow("t", 0, -1, offset, -1, max_bytes)
        result = read_partitions(stand.replicas, [row], FetchParams(-1, COMMITTED, 1, 1 << 20, True))
        aborted = one(result).aborted
        assert aborted is not None
        return [found.producer_id for found in aborted]

    assert listed(0, 1 << 20) == list(range(20)), "to the end of the segment"
    assert listed(0, 400) == [0, 1, 2]
    assert listed(20, 1) == [10]
    assert listed(40, 1 << 20) == [20, 21, 22, 23, 24]
    assert listed(50, 1 << 20) == []


def test_an_older_segment_is_answered_without_waiting(stand: Stand) -> None:
    stand.create("t")
    size = append(stand)
    stand.partition("t").log.roll(stand.clock.wall_ms())
    assert not read(stand, 1).must_answer
    append(stand)
    result = read(stand)
    assert (result.size, result.must_answer) == (size, True)
    assert not read(stand, 1).must_answer


def test_followers_read_to_the_log_end(stand: Stand) -> None:
    stand.create("t")
    size = append(stand)
    two = partition_image(NODE_ID, 0)._replace(replicas=(NODE_ID, 2), isr=(NODE_ID, 2))
    stand.set_partition("t", two)
    append(stand)
    assert one(read(stand)).size == size
    assert one(read(stand, replica_id=2)).size == 2 * size
    assert one(read(stand, replica_id=NODE_ID)).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert one(read(stand, replica_id=3, epoch=0)).error_code == ErrorCode.UNKNOWN_LEADER_EPOCH


def test_consumers_read_from_a_follower_when_they_may(stand: Stand) -> None:
    """KIP-392: only_leader is false from v11 on."""
    stand.create("t")
    size = append(stand)
    stand.elect("t", 2, 1)
    assert one(read(stand)).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert one(read(stand, only_leader=False)).size == size
    assert one(read(stand, only_leader=False, epoch=0)).error_code == ErrorCode.FENCED_LEADER_EPOCH


def test_the_topic_id_of_the_log_counts(stand: Stand) -> None:
    """Scenario 31: a session remembers the name; the topic was created again."""
    old = stand.create("t")
    row = FetchRow(old, 0, -1, 0, -1, 100)
    params = FetchParams(-1, UNCOMMITTED, 1, 100, True)
    assert one(read_partitions(stand.replicas, [row], params)).error_code == 0
    stand.delete("t")
    gone = read_partitions(stand.replicas, [row], params)
    assert (one(gone).error_code, gone.count) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, 0)
    stand.create("t")
    again = read_partitions(stand.replicas, [row], params)
    assert (one(again).error_code, again.must_answer) == (ErrorCode.INCONSISTENT_TOPIC_ID, True)


def test_a_disk_that_fails(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand.create("t")
    append(stand)
    log = stand.partition("t").log

    def fail(*_: object) -> None:
        raise OSError(5, "gone")

    monkeypatch.setattr(log, "_read", fail)
    result = read(stand)
    assert (one(result).error_code, result.must_answer) == (ErrorCode.KAFKA_STORAGE_ERROR, True)
    assert one(read(stand)).error_code == ErrorCode.KAFKA_STORAGE_ERROR, "the directory is offline"


def test_what_is_awaited(stand: Stand) -> None:
    stand.create("t")
    size = append(stand)
    (awaited,) = read(stand, 0).awaited()
    assert (awaited.partition, awaited.offset, awaited.room) == (stand.partition("t"), 0, (1 << 20) - size)
    assert read(stand, topic="none").awaited() == []
