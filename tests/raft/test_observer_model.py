"""The observer against a model of a quorum: elections, lost tails, snapshots, broken connections, restarts, by seed."""

import random
from pathlib import Path

import pytest

from pykbroker.ids import METADATA_TOPIC_ID
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages import fetch_snapshot
from pykbroker.protocol.messages.fetch import (
    EpochEndOffset,
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionData,
)
from pykbroker.protocol.messages.fetch import SnapshotId as WireSnapshotId
from pykbroker.protocol.metadata_records import frame_record
from pykbroker.raft.observer import RaftRequest
from pykbroker.raft.snapshot import render
from tests.raft.logs import setting
from tests.raft.test_observer import Stand, batch

STEPS = 120
SEEDS = 40
VOTERS = {100: ("a", 100), 101: ("a", 101), 102: ("a", 102)}


class Quorum:
    """`log`: (epoch, setting) by offset, as the present leader has it; below `committed` nothing ever changes.

    `snapshot`: how much the newest one holds; the log below it has gone.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.epoch = 1
        self.leader = 100
        self.log: list[tuple[int, str]] = [(1, "s0")]
        self.committed = 1
        self.snapshot = 0

    def step(self) -> None:
        rng = self.rng
        kind = rng.choice(["append", "append", "commit", "elect", "snapshot"])
        if kind == "append":
            self.log += [(self.epoch, f"s{self.epoch}-{len(self.log) + n}") for n in range(rng.randint(1, 4))]
        elif kind == "commit":
            self.committed = min(rng.randint(self.committed, len(self.log)), self.committed + 3)
        elif kind == "elect" and rng.random() < 0.5:
            self.epoch += rng.randint(1, 2)
            self.leader = rng.choice(list(VOTERS))
            del self.log[rng.randint(self.committed, len(self.log)) :]
            self.log.append((self.epoch, f"elected-{self.epoch}"))
        elif kind == "snapshot" and rng.random() < 0.04:
            self.snapshot = self.committed

    def settings(self, end: int) -> list[str]:
        return sorted({name for _, name in self.log[:end]})

    # Answers

    def answer(self, request: RaftRequest) -> Message:
        if isinstance(request.message, FetchRequest):
            return self._fetch(request.message, is_leader=request.where == VOTERS[self.leader])
        assert isinstance(request.message, fetch_snapshot.FetchSnapshotRequest)
        return self._piece(request.message, is_leader=request.where == VOTERS[self.leader])

    def _fetch(self, request: FetchRequest, is_leader: bool) -> FetchResponse:
        asked = request.topics[0].partitions[0]
        row = PartitionData(current_leader=LeaderIdAndEpoch(self.leader, self.epoch), high_watermark=-1, records=b"")
        if asked.current_leader_epoch < self.epoch:
            row.error_code = ErrorCode.FENCED_LEADER_EPOCH
        elif not is_leader:
            row.error_code = ErrorCode.NOT_LEADER_OR_FOLLOWER
        elif self.snapshot and (asked.fetch_offset == 0 or asked.fetch_offset < self.snapshot):
            row.snapshot_id = WireSnapshotId(self.snapshot, self.log[self.snapshot - 1][0])
        elif (common := self._common(asked.last_fetched_epoch, asked.fetch_offset)) is not None:
            row.diverging_epoch = common
        else:
            end = min(asked.fetch_offset + self.rng.randint(1, 5), len(self.log))
            row.high_watermark = self.committed
            pieces = [batch(at, self.log[at][1], epoch=self.log[at][0]) for at in range(asked.fetch_offset, end)]
            row.records = b"".join(pieces)
        nodes = [NodeEndpoint(self.leader, *VOTERS[self.leader], None)]
        topic = FetchableTopicResponse(topic_id=METADATA_TOPIC_ID, partitions=[row])
        return FetchResponse(responses=[topic], node_endpoints=nodes)

    def _common(self, epoch: int, offset: int) -> EpochEndOffset | None:
        """Where the asker's history parts from ours; None when it does not (KafkaRaftClient.validateFetchOffset)."""
        if not offset:
            return None
        epochs = [own for own, _ in self.log if own <= epoch]
        found, end = (epochs[-1], len(epochs)) if epochs else (0, 0)
        return None if found == epoch and offset <= end else EpochEndOffset(found, end)

    def _piece(self, request: fetch_snapshot.FetchSnapshotRequest, is_leader: bool) -> Message:
        asked = request.topics[0].partitions[0]
        wanted = asked.snapshot_id.end_offset
        if not is_leader or asked.current_leader_epoch < self.epoch or wanted != self.snapshot:
            return fetch_snapshot.FetchSnapshotResponse(error_code=-1)
        values = [frame_record(setting(name), 0) for name in self.settings(wanted)]
        data = b"".join(render(values, epoch=asked.snapshot_id.epoch, timestamp=1, now_ms=1))
        piece = data[asked.position : asked.position + self.rng.choice([50, 200, 10_000])]
        row = fetch_snapshot.FetchSnapshotResponsePartitionSnapshot(
            snapshot_id=asked.snapshot_id,
            current_leader=fetch_snapshot.LeaderIdAndEpoch(self.leader, self.epoch),
            size=len(data),
            position=asked.position,
            unaligned_records=piece,
        )
        topic = fetch_snapshot.FetchSnapshotResponseTopicSnapshot("__cluster_metadata", [row])
        return fetch_snapshot.FetchSnapshotResponse(topics=[topic])


class Run:
    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.folder = folder
        self.quorum = Quorum(self.rng)
        self.stand = Stand(folder, voters=VOTERS)
        self.is_calm = False

    def restart(self) -> None:
        self.stand.log.close()
        self.stand = Stand(self.folder, voters=VOTERS)

    def ask(self) -> None:
        stand = self.stand
        request = stand.ask()
        answer = self.quorum.answer(request)
        if self.is_calm:
            stand.observer.on_response(request, answer, stand.now)
        elif self.rng.random() < 0.1:
            stand.observer.on_error("dropped", stand.now)
        else:
            for _ in range(self.rng.randint(0, 2)):  # what happens while the answer is on its way
                self.quorum.step()
            stand.observer.on_response(request, answer, stand.now)
        stand.loader.catch_up()
        self.check()

    def check(self) -> None:
        """Whatever is published is what was committed up to there."""
        end = self.stand.image.offset + 1
        assert end <= self.quorum.committed
        assert self.stand.settings() == self.quorum.settings(end)

    def go(self) -> None:
        for _ in range(STEPS):
            if self.rng.random() < 0.03:
                self.restart()
            if self.rng.random() < 0.4:
                self.quorum.step()
            else:
                self.ask()
        self.quorum.committed, self.is_calm = len(self.quorum.log), True
        for _ in range(200):
            if self.stand.image.offset + 1 == self.quorum.committed:
                break
            self.ask()
        assert self.stand.settings() == self.quorum.settings(self.quorum.committed)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_is_published_was_committed_and_all_of_it_comes(tmp_path: Path, seed: int) -> None:
    Run(tmp_path, seed).go()


def test_the_model_sees_everything(tmp_path: Path) -> None:
    """Snapshots, cuts and answers of all kinds happen in these runs: else they would prove little."""
    seen: set[str] = set()
    for seed in range(8):
        run = Run(tmp_path / str(seed), seed)
        answer = run.quorum.answer

        def watched(request: RaftRequest, answer=answer) -> Message:
            response = answer(request)
            if request.api_key == ApiKey.FETCH_SNAPSHOT:
                seen.add("snapshot")
            else:
                row = response.responses[0].partitions[0]
                seen.add("cut" if row.diverging_epoch.epoch >= 0 else ErrorCode(row.error_code).name)
            return response

        run.quorum.answer = watched  # type: ignore[method-assign]
        run.go()
    assert seen == {"snapshot", "cut", "NONE", "FENCED_LEADER_EPOCH", "NOT_LEADER_OR_FOLLOWER"}
