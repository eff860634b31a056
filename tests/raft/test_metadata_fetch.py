"""Fetch of the metadata log by observers, as KafkaRaftClient answers: section 3 of the facts about KRaft."""

from pathlib import Path
from typing import Any

import pytest

from pykbroker.ids import METADATA_TOPIC_ID, ZERO_UUID, Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.fetch import (
    EpochEndOffset,
    FetchPartition,
    FetchRequest,
    FetchTopic,
    LeaderIdAndEpoch,
    PartitionData,
    ReplicaState,
    SnapshotId,
)
from pykbroker.raft import metadata_fetch
from pykbroker.raft.leader_state import LeaderState
from pykbroker.raft.metadata_fetch import Answer, fetch
from pykbroker.record.batch import iterate_batches
from tests.raft.logs import append, open_log
from tests.raft.test_metadata_log import lead, write_snapshot

NO_SNAPSHOT = SnapshotId(-1, -1)
NO_DIVERGENCE = EpochEndOffset(-1, -1)


def leading(folder: Path) -> LeaderState:
    """Epoch 2 from offset 0: a leader change, then the batches 1-2 and 3; epoch 5 from 4: a leader change, then 5."""
    log = open_log(folder)
    lead(log, 2)
    append(log, "a", "b")
    append(log, "c")
    lead(log, 5)
    append(log, "d")
    log.sync()
    return LeaderState(log, 1, "cluster", {})


def request(offset: int, last_epoch: int, epoch: int = 5, **fields: Any) -> FetchRequest:
    values: dict[str, Any] = {"partition": 0, "high_watermark": -1, "replica_directory_id": ZERO_UUID}
    top: dict[str, Any] = {"max_wait_ms": 500, "max_bytes": 1 << 20, "cluster_id": None, "topic_id": METADATA_TOPIC_ID}
    for name, value in fields.items():
        (top if name in top else values)[name] = value
    asked = FetchPartition(current_leader_epoch=epoch, fetch_offset=offset, last_fetched_epoch=last_epoch, **values)
    topics = [FetchTopic(topic_id=top.pop("topic_id"), partitions=[asked])]
    return FetchRequest(replica_state=ReplicaState(2, -1), topics=topics, **top)


def ask(state: LeaderState, asked: FetchRequest, version: int = 18, now_ms: int = 1000) -> Answer:
    return fetch(state, state.leader("CONTROLLER", ("host", 9093)), asked, version, now_ms)


def row(answer: Answer) -> PartitionData:
    assert answer.response.error_code == 0
    (topic,) = answer.response.responses
    (partition,) = topic.partitions
    assert topic.topic_id == METADATA_TOPIC_ID
    assert partition.current_leader == LeaderIdAndEpoch(1, 5)
    return partition


def offsets(partition: PartitionData) -> list[int]:
    return [header.base_offset for header, _ in iterate_batches(bytes(partition.records or b""))]


def test_an_empty_observer_gets_the_log_from_its_start(tmp_path: Path) -> None:
    answer = ask(leading(tmp_path), request(0, 0))
    partition = row(answer)
    assert (partition.error_code, partition.high_watermark, partition.log_start_offset) == (0, 6, 0)
    assert offsets(partition) == [0, 1, 3, 4, 5]
    assert (partition.snapshot_id, partition.diverging_epoch) == (NO_SNAPSHOT, NO_DIVERGENCE)
    assert not answer.may_wait


@pytest.mark.parametrize("version", [13, 15, 16, 17, 18])
def test_where_the_leader_is_stands_in_later_versions(tmp_path: Path, version: int) -> None:
    nodes = ask(leading(tmp_path), request(0, 0), version).response.node_endpoints
    assert [(node.node_id, node.host, node.port) for node in nodes] == ([(1, "host", 9093)] if version >= 17 else [])


def test_as_much_as_fits_and_one_batch_at_least(tmp_path: Path) -> None:
    state = leading(tmp_path)
    assert offsets(row(ask(state, request(1, 2, max_bytes=1)))) == [1]
    assert offsets(row(ask(state, request(3, 2)))) == [3, 4, 5]


def test_an_answer_has_its_limit_whatever_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = leading(tmp_path)
    monkeypatch.setattr(metadata_fetch, "MOST_BYTES", 1)
    assert offsets(row(ask(state, request(1, 2, max_bytes=2**31 - 1)))) == [1]


def test_nothing_is_given_before_it_is_committed(tmp_path: Path) -> None:
    state = leading(tmp_path)
    append(state.log, "e")
    assert offsets(row(ask(state, request(5, 5)))) == [5]
    answer = ask(state, request(6, 5, high_watermark=6))
    assert (row(answer).records, row(answer).high_watermark, answer.may_wait) == (b"", 6, True)
    state.log.sync()
    assert offsets(row(ask(state, request(6, 5, high_watermark=6)))) == [6]


def test_a_new_high_watermark_is_news(tmp_path: Path) -> None:
    state = leading(tmp_path)
    assert not ask(state, request(6, 5, high_watermark=5)).may_wait
    assert ask(state, request(6, 5, high_watermark=6)).may_wait
    # Before v18 nobody tells his own: the field's default is the largest number.
    assert ask(state, request(6, 5, high_watermark=2**63 - 1)).may_wait
    assert not ask(state, request(6, 5, high_watermark=6, max_wait_ms=0)).may_wait


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (request(6, 2, epoch=4), ErrorCode.FENCED_LEADER_EPOCH),
        (request(0, 0, epoch=0), ErrorCode.FENCED_LEADER_EPOCH),
        (request(6, 5, epoch=6), ErrorCode.UNKNOWN_LEADER_EPOCH),
        (request(-1, 5), ErrorCode.INVALID_REQUEST),
        (request(6, -1), ErrorCode.INVALID_REQUEST),
        (request(6, 6), ErrorCode.INVALID_REQUEST),
        (request(0, 0, epoch=-1), ErrorCode.INVALID_REQUEST),
        (request(6, 5, max_wait_ms=-1), ErrorCode.INVALID_REQUEST),
    ],
)
def test_refused_with_the_leader_that_there_is(tmp_path: Path, asked: FetchRequest, code: int) -> None:
    state = leading(tmp_path)
    answer = ask(state, asked)
    partition = row(answer)
    assert (partition.error_code, partition.high_watermark, partition.records) == (code, -1, b"")
    assert not answer.may_wait
    assert state.observers(1000) == []


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (request(0, 0, cluster_id="other"), ErrorCode.INCONSISTENT_CLUSTER_ID),
        (request(0, 0, topic_id=Uuid.random()), ErrorCode.INVALID_REQUEST),
        (request(0, 0, topic_id=ZERO_UUID), ErrorCode.INVALID_REQUEST),
        (request(0, 0, partition=1), ErrorCode.INVALID_REQUEST),
        (FetchRequest(topics=[]), ErrorCode.INVALID_REQUEST),
    ],
)
def test_refused_as_a_whole(tmp_path: Path, asked: FetchRequest, code: int) -> None:
    answer = ask(leading(tmp_path), asked)
    assert (answer.response.error_code, answer.response.responses, answer.may_wait) == (code, [], False)


@pytest.mark.parametrize(
    ("offset", "last_epoch", "diverging"),
    [
        (5, 2, EpochEndOffset(2, 4)),  # longer in epoch 2 than the leader was
        (5, 3, EpochEndOffset(2, 4)),  # an epoch that the leader never had
        (7, 5, EpochEndOffset(5, 6)),  # beyond the leader's end
        (1, 1, EpochEndOffset(1, 0)),  # before anything that is known
    ],
)
def test_a_history_of_its_own_is_cut(tmp_path: Path, offset: int, last_epoch: int, diverging: EpochEndOffset) -> None:
    answer = ask(leading(tmp_path), request(offset, last_epoch))
    partition = row(answer)
    assert (partition.error_code, partition.diverging_epoch, partition.records) == (0, diverging, b"")
    assert (partition.high_watermark, answer.may_wait) == (6, False)


def test_who_is_empty_loads_the_newest_snapshot(tmp_path: Path) -> None:
    state = leading(tmp_path)
    write_snapshot(state.log, 3, "a", epoch=2)
    write_snapshot(state.log, 4, "a", epoch=2)
    answer = ask(state, request(0, 0))
    assert (row(answer).snapshot_id, row(answer).records, answer.may_wait) == (SnapshotId(4, 2), b"", False)
    assert offsets(row(ask(state, request(3, 2)))) == [3, 4, 5]
    # Whoever fetched in an epoch before the oldest one's has nothing to go on with.
    assert row(ask(state, request(3, 1))).snapshot_id == SnapshotId(4, 2)


def test_the_snapshot_of_the_first_voters_is_for_nobody_else(tmp_path: Path) -> None:
    state = leading(tmp_path)
    write_snapshot(state.log, 0, epoch=0)
    assert row(ask(state, request(0, 0))).snapshot_id == NO_SNAPSHOT


def test_who_lacks_what_was_dropped_loads_a_snapshot(tmp_path: Path) -> None:
    state = leading(tmp_path)
    for end_offset in (3, 4):
        write_snapshot(state.log, end_offset, "a", epoch=2)
    state.log.trim(max_bytes=0, max_ms=-1, now_ms=0)
    assert state.log.start_offset == 4
    assert row(ask(state, request(3, 2))).snapshot_id == SnapshotId(4, 2)
    assert row(ask(state, request(4, 1))).snapshot_id == SnapshotId(4, 2)
    assert offsets(row(ask(state, request(4, 2)))) == [4, 5]
    # The oldest epoch is known by the snapshot alone.
    assert row(ask(state, request(5, 2))).diverging_epoch == EpochEndOffset(2, 4)


def test_who_asks_is_known_from_then_on(tmp_path: Path) -> None:
    state = leading(tmp_path)
    directory = Uuid.random()
    ask(state, request(3, 2, replica_directory_id=directory), now_ms=7)
    (observer,) = state.observers(7)
    assert (observer.id, observer.directory_id, observer.end_offset, observer.last_fetch_ms) == (2, directory, 3, 7)


def test_before_v15_the_replica_names_itself_elsewhere(tmp_path: Path) -> None:
    state = leading(tmp_path)
    asked = request(3, 2)
    asked.replica_id, asked.replica_state = 9, ReplicaState(-1, -1)
    ask(state, asked, version=14)
    assert [observer.id for observer in state.observers(1000)] == [9]
