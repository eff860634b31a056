"""FetchSnapshot: pieces of the right snapshot, and every refusal."""

import os
from pathlib import Path
from typing import Any

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.fetch_snapshot import (
    FetchSnapshotRequest,
    FetchSnapshotResponse,
    FetchSnapshotResponsePartitionSnapshot,
    LeaderIdAndEpoch,
    PartitionSnapshot,
    SnapshotId,
    TopicSnapshot,
)
from pykbroker.raft import snapshot_fetch
from pykbroker.raft.leader_state import LeaderState
from pykbroker.raft.snapshot_fetch import fetch_snapshot
from tests.raft.logs import append, open_log
from tests.raft.test_metadata_log import lead, write_snapshot

METADATA = "__cluster_metadata"


@pytest.fixture
def state(tmp_path: Path) -> LeaderState:
    """Epoch 2, with a snapshot of the offsets below 3."""
    log = open_log(tmp_path)
    lead(log, 2)
    append(log, "a", "b")
    log.sync()
    write_snapshot(log, 0, epoch=0)
    write_snapshot(log, 3, "a", "b", epoch=2)
    return LeaderState(log, 1, "cluster", {})


def ask(state: LeaderState, *, version: int = 1, cluster_id: str | None = None, **fields: Any) -> FetchSnapshotResponse:
    max_bytes = fields.pop("max_bytes", 1 << 20)
    name = fields.pop("name", METADATA)
    values: dict[str, Any] = {"current_leader_epoch": 2, "snapshot_id": SnapshotId(3, 2), "position": 0, **fields}
    topics = [TopicSnapshot(name, [PartitionSnapshot(**values)])]
    request = FetchSnapshotRequest(cluster_id=cluster_id, replica_id=2, max_bytes=max_bytes, topics=topics)
    return fetch_snapshot(state, state.leader("CONTROLLER", ("host", 9093)), request, version)


def row(response: FetchSnapshotResponse) -> FetchSnapshotResponsePartitionSnapshot:
    assert response.error_code == 0
    return response.topics[0].partitions[0]


@pytest.mark.parametrize("size", [1, 50, 1 << 20])
def test_the_pieces_are_the_file(state: LeaderState, size: int) -> None:
    whole = b""
    while True:
        piece = row(ask(state, position=len(whole), max_bytes=size))
        assert (piece.error_code, piece.position, piece.snapshot_id) == (0, len(whole), SnapshotId(3, 2))
        assert piece.current_leader == LeaderIdAndEpoch(1, 2)
        whole += piece.unaligned_records
        if len(whole) == piece.size:
            break
    assert whole == Path(state.log.snapshot_path(state.log.snapshots()[-1])).read_bytes()


def test_a_piece_has_its_limit_whatever_is_asked_for(state: LeaderState, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    monkeypatch.setattr(os, "pread", lambda _, length, position: reads.append((length, position)) or b"x")
    whole = row(ask(state, max_bytes=2**31 - 1)).size
    monkeypatch.setattr(snapshot_fetch, "MOST_BYTES", 10)
    row(ask(state, position=5, max_bytes=2**31 - 1))
    assert reads == [(whole, 0), (10, 5)]


@pytest.mark.parametrize("version", [0, 1])
def test_where_the_leader_is(state: LeaderState, version: int) -> None:
    nodes = ask(state, version=version).node_endpoints
    assert [(node.node_id, node.host, node.port) for node in nodes] == ([(1, "host", 9093)] if version else [])


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"current_leader_epoch": 1}, ErrorCode.FENCED_LEADER_EPOCH),
        ({"current_leader_epoch": 3}, ErrorCode.UNKNOWN_LEADER_EPOCH),
        ({"snapshot_id": SnapshotId(4, 2)}, ErrorCode.SNAPSHOT_NOT_FOUND),
        ({"snapshot_id": SnapshotId(3, 1)}, ErrorCode.SNAPSHOT_NOT_FOUND),
        ({"snapshot_id": SnapshotId(0, 0)}, ErrorCode.SNAPSHOT_NOT_FOUND),
        ({"position": -1}, ErrorCode.POSITION_OUT_OF_RANGE),
        ({"position": 1 << 30}, ErrorCode.POSITION_OUT_OF_RANGE),
        ({"name": "other"}, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ({"partition": 1}, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ],
)
def test_refused(state: LeaderState, fields: dict[str, Any], code: int) -> None:
    refused = row(ask(state, **fields))
    assert (refused.error_code, refused.size, refused.unaligned_records) == (code, 0, b"")


def test_refused_as_a_whole(state: LeaderState) -> None:
    assert ask(state, cluster_id="other").error_code == ErrorCode.INCONSISTENT_CLUSTER_ID
    leader = state.leader("CONTROLLER", ("host", 9093))
    assert fetch_snapshot(state, leader, FetchSnapshotRequest(), 1).error_code == ErrorCode.INVALID_REQUEST
