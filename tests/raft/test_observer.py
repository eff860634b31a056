"""The observer against what real controllers said to real brokers, and by hand where those had no such day."""

import random
from pathlib import Path
from typing import Any

import pytest

from pykbroker.clock import ManualClock
from pykbroker.ids import METADATA_TOPIC_ID, Uuid
from pykbroker.log.files import Files
from pykbroker.metadata.delta import MetadataDelta
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.publisher import MetadataPublisher
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages import fetch_snapshot
from pykbroker.protocol.messages.fetch import (
    EpochEndOffset,
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionData,
)
from pykbroker.protocol.messages.fetch import SnapshotId as WireSnapshotId
from pykbroker.protocol.metadata_records import frame_record, parse_record
from pykbroker.raft import quorum_state
from pykbroker.raft.metadata_loader import MetadataLoader
from pykbroker.raft.observer import Observer, RaftRequest, WrongCluster
from pykbroker.raft.observer_log import MetadataLost, ObserverLog
from pykbroker.raft.opening import open_observer_log
from pykbroker.raft.snapshot import SnapshotId, render
from pykbroker.record.batch import iterate_batches
from pykbroker.record.builder import SimpleRecord, build_batch
from pykbroker.record.reader import iterate_records
from tests.raft.conversations import Exchange, exchanges
from tests.raft.logs import config, latest, setting

A, B, C = ("a", 1), ("b", 2), ("c", 3)
DIRECTORY = Uuid(b"d" * 16)
NOW = 1000.0
# Connections of broker 2 in the second conversation with which a new process begins: restarted, killed and restarted.
RESTARTS = {10, 13}


def open_log(folder: Path) -> ObserverLog:
    folder.mkdir(exist_ok=True)
    return open_observer_log(str(folder), files=Files(), clock=ManualClock(), config=config())


class Stand:
    """An observer with its log, and the image that follows."""

    def __init__(self, folder: Path, voters: Any = None, bootstrap: Any = (), **fields: Any) -> None:
        self.folder = folder
        self.log = open_log(folder)
        values = {"node_id": 2, "cluster_id": "c", "directory_id": DIRECTORY, **fields}
        voters = {100: A} if voters is None and not bootstrap else voters or {}
        self.observer = Observer(
            voters=voters, bootstrap=bootstrap, log=self.log, config=config(), rng=random.Random(1), **values
        )
        self.publisher = MetadataPublisher(values["cluster_id"])
        self.loader = MetadataLoader(self.log, self.publisher)
        self.now = NOW

    @property
    def image(self) -> MetadataImage:
        return self.publisher.image

    def ask(self) -> RaftRequest:
        self.now = max(self.now, self.observer.next_deadline())
        request = self.observer.next_request(self.now)
        assert request is not None
        return request

    def answer(self, response: Message) -> RaftRequest:
        """To the request that is due; that request."""
        request = self.ask()
        self.observer.on_response(request, response, self.now)
        self.loader.catch_up()
        return request

    def fail(self) -> RaftRequest:
        request = self.ask()
        self.observer.on_error("closed", self.now)
        return request

    def settings(self) -> list[str]:
        return sorted(name for values in self.image.configs.resources.values() for name in values)


def partition_of(request: RaftRequest) -> FetchPartition:
    assert isinstance(request.message, FetchRequest)
    return request.message.topics[0].partitions[0]


def batch(offset: int, *names: str, epoch: int = 1) -> bytes:
    entries = [SimpleRecord(None, frame_record(record, latest(record)), (), 5) for record in map(setting, names)]
    return bytes(build_batch(entries, base_offset=offset, leader_epoch=epoch))


def fetched(
    *batches: bytes, high_watermark: int = 0, error: int = 0, epoch: int = 1, leader: int = 100, **fields: Any
) -> FetchResponse:
    nodes = fields.pop("nodes", [NodeEndpoint(100, *A, None)])
    row = PartitionData(
        error_code=error,
        high_watermark=high_watermark,
        current_leader=LeaderIdAndEpoch(leader, epoch),
        records=b"".join(batches),
        **fields,
    )
    topic = FetchableTopicResponse(topic_id=METADATA_TOPIC_ID, partitions=[row])
    return FetchResponse(responses=[topic], node_endpoints=nodes)


# What real ones said


@pytest.mark.parametrize(
    ("name", "client", "count"),
    [
        ("kraft-controller-static", "raft-client-1", 813),
        ("kraft-controller-dynamic", "raft-client-1", 431),
        ("kraft-controller-dynamic", "raft-client-2", 346),
    ],
)
def test_a_real_controllers_answers_lead_to_the_requests_of_a_real_broker(
    tmp_path: Path, name: str, client: str, count: int
) -> None:
    told = [each for each in exchanges(name, client) if each.api_key == ApiKey.FETCH]
    assert len(told) == count
    stand = started(tmp_path / "data", client, told[0])
    seen: set[int] = set()
    for each in told:
        if each.connection in RESTARTS - seen and client == "raft-client-2":
            stand.log.close()
            stand = started(tmp_path / "data", client, told[0])
            stand.observer.leader = (each.response.node_endpoints[0].host, each.response.node_endpoints[0].port)
        seen.add(each.connection)
        stand.now = each.time
        request = stand.observer.next_request(each.time)
        assert request is not None
        assert request.message == each.request
        stand.observer.on_response(request, each.response, each.time)
        stand.loader.catch_up()
    assert stand.loader.is_current
    served = b"".join(records_of(each) for each in told)
    assert stand.image == replayed(stand.image.cluster_id, served)
    written = (tmp_path / "data" / "__cluster_metadata-0" / f"{0:020}.log").read_bytes()
    assert written == without_repetition(served)
    stand.log.close()


def started(folder: Path, client: str, first: Exchange) -> Stand:
    assert isinstance(first.request, FetchRequest)
    directory = first.request.topics[0].partitions[0].replica_directory_id
    return Stand(folder, node_id=int(client[-1]), cluster_id=first.request.cluster_id, directory_id=directory)


def records_of(exchange: Exchange) -> bytes:
    assert isinstance(exchange.response, FetchResponse)
    return bytes(exchange.response.responses[0].partitions[0].records or b"")


def without_repetition(served: bytes) -> bytes:
    """A broker that lost a part of its log with a SIGKILL would fetch it again; none did."""
    offsets = [header.base_offset for header, _ in iterate_batches(served)]
    assert offsets == sorted(set(offsets))
    return served


def replayed(cluster_id: str, served: bytes) -> MetadataImage:
    delta, last = MetadataDelta(MetadataImage.empty(cluster_id)), (-1, -1)
    for header, position in iterate_batches(served):
        last = header.last_offset, header.partition_leader_epoch
        if not header.is_control:
            for record in iterate_records(served, position):
                delta.replay(parse_record(record.value or b"")[0])
    return delta.apply(*last)


# Who leads


def test_the_first_answer_tells_who_leads(tmp_path: Path) -> None:
    stand = Stand(tmp_path, bootstrap=[B])
    request = stand.answer(fetched(error=ErrorCode.FENCED_LEADER_EPOCH, epoch=7))
    assert (request.where, partition_of(request).current_leader_epoch) == (B, 0)
    assert (stand.observer.leader, stand.observer.next_deadline()) == (A, stand.now)
    request = stand.ask()
    assert (request.where, partition_of(request).current_leader_epoch) == (A, 7)
    assert not stand.observer.is_accepted


def test_where_a_static_voter_is_is_known_without_being_told(tmp_path: Path) -> None:
    stand = Stand(tmp_path, voters={100: A, 101: B})
    stand.answer(fetched(error=ErrorCode.NOT_LEADER_OR_FOLLOWER, epoch=3, leader=101, nodes=[]))
    assert stand.observer.leader == B


def test_what_was_learned_is_on_disk_and_counts_after_a_restart(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.answer(fetched(error=ErrorCode.FENCED_LEADER_EPOCH, epoch=7))
    text = (tmp_path / "__cluster_metadata-0" / "quorum-state").read_text()
    assert text == (
        '{"clusterId":"","leaderId":100,"leaderEpoch":7,"votedId":-1,"appliedOffset":0,'
        '"currentVoters":[{"voterId":100}],"data_version":0}'
    )
    assert partition_of(Stand(tmp_path).ask()).current_leader_epoch == 7


def test_a_dynamic_quorum_has_no_voters_in_the_file(tmp_path: Path) -> None:
    stand = Stand(tmp_path, bootstrap=[A])
    stand.log.quorum = stand.log.quorum._replace(kraft_version=1)
    stand.answer(fetched(error=ErrorCode.FENCED_LEADER_EPOCH, epoch=7))
    assert quorum_state.read(stand.log.directory) == quorum_state.QuorumState(100, 7, version=1)


def test_an_epoch_without_a_leader_makes_us_ask_all(tmp_path: Path) -> None:
    stand = Stand(tmp_path, voters={100: A, 101: B, 102: C})
    stand.answer(fetched(error=ErrorCode.NOT_LEADER_OR_FOLLOWER, epoch=4, leader=-1))
    assert stand.observer.leader is None
    asked = {stand.fail().where for _ in range(3)}
    assert asked == {A, B, C}


def test_an_old_epoch_is_no_news(tmp_path: Path) -> None:
    stand = Stand(tmp_path, voters={100: A, 101: B})
    stand.answer(fetched(error=ErrorCode.FENCED_LEADER_EPOCH, epoch=7))
    stand.answer(fetched(error=ErrorCode.UNKNOWN_LEADER_EPOCH, epoch=6, leader=101))
    assert (stand.observer.leader, stand.observer.epoch) == (A, 7)
    assert stand.observer.next_deadline() > stand.now
    stand.answer(fetched(batch(0, "x", epoch=6), high_watermark=1, epoch=6))
    assert stand.log.end_offset == 0, "records of a deposed leader were taken"


def test_on_leader_is_called_when_it_changes(tmp_path: Path) -> None:
    stand, calls = Stand(tmp_path), []
    stand.observer.on_leader = lambda: calls.append(stand.observer.leader)
    stand.answer(fetched(error=ErrorCode.FENCED_LEADER_EPOCH, epoch=7))
    stand.answer(fetched(epoch=7))
    stand.answer(fetched(error=ErrorCode.NOT_LEADER_OR_FOLLOWER, epoch=8, leader=101, nodes=[NodeEndpoint(101, *B)]))
    assert calls == [A, B]


# Failures


def test_after_a_failure_another_is_asked_then_the_leader_again(tmp_path: Path) -> None:
    stand = Stand(tmp_path, voters={100: A, 101: B})
    stand.answer(fetched(high_watermark=0))
    assert stand.observer.leader == A
    assert [stand.fail().where for _ in range(4)] == [A, B, A, B]


def test_pauses_grow_up_to_a_second_and_end_with_an_answer(tmp_path: Path) -> None:
    stand, pauses = Stand(tmp_path), []
    for _ in range(9):
        stand.fail()
        pauses.append(round(stand.observer.next_deadline() - stand.now, 3))
    assert pauses == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0, 1.0]
    assert stand.observer.next_request(stand.now) is None
    stand.answer(fetched())
    assert stand.observer.next_deadline() == stand.now
    stand.fail()
    assert stand.observer.next_deadline() == pytest.approx(stand.now + 0.02)


def test_a_long_silence_is_told_once_and_so_is_its_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    stand = Stand(tmp_path)
    for _ in range(12):
        stand.fail()
    assert caplog.text.count("No controller has answered for") == 1
    stand.answer(fetched())
    assert caplog.text.count("The controllers answer again") == 1


@pytest.mark.parametrize("error", [ErrorCode.INVALID_REQUEST, ErrorCode.UNKNOWN_SERVER_ERROR])
def test_an_error_is_not_the_end(tmp_path: Path, error: ErrorCode) -> None:
    stand = Stand(tmp_path)
    stand.answer(FetchResponse(error_code=error))
    assert (stand.observer.last_failure, stand.observer.next_deadline() > stand.now) == (
        f"a:1: the answer is {error.name}",
        True,
    )
    stand.answer(fetched(error=error))
    assert stand.observer.last_failure == f"a:1: Fetch is answered {error.name}"
    stand.answer(FetchResponse())
    assert stand.observer.last_failure == "a:1: an answer without the metadata partition"


def test_another_cluster_is_no_place_to_join(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    with pytest.raises(WrongCluster, match=r"controller at a:1 belongs to another cluster .* cluster\.id is c\."):
        stand.answer(FetchResponse(error_code=ErrorCode.INCONSISTENT_CLUSTER_ID))


def test_another_cluster_in_the_place_of_ours_is_waited_out(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.answer(fetched())
    stand.answer(FetchResponse(error_code=ErrorCode.INCONSISTENT_CLUSTER_ID))
    assert "INCONSISTENT_CLUSTER_ID" in stand.observer.last_failure


def test_a_damaged_batch_is_fetched_again(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    damaged = bytearray(batch(0, "x"))
    damaged[-1] ^= 1
    stand.answer(fetched(bytes(damaged), high_watermark=1))
    assert (stand.log.end_offset, stand.image.offset) == (0, -1)
    assert "corrupt" in stand.observer.last_failure
    stand.answer(fetched(batch(0, "x"), high_watermark=1))
    assert stand.settings() == ["x"]


def test_batches_that_are_here_already_are_no_end_either(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.answer(fetched(batch(0, "x"), high_watermark=1))
    stand.answer(fetched(batch(0, "x"), high_watermark=1))
    assert "Unexpected offset" in stand.observer.last_failure
    stand.answer(fetched(batch(1, "y"), high_watermark=2))
    assert stand.settings() == ["x", "y"]


# Records


def test_only_what_is_below_the_high_watermark_counts(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.answer(fetched(batch(0, "a"), batch(1, "b"), high_watermark=1))
    assert (stand.settings(), stand.log.end_offset, stand.loader.is_current) == (["a"], 2, True)
    request = stand.answer(fetched(high_watermark=2))
    assert (partition_of(request).fetch_offset, partition_of(request).high_watermark) == (2, 1)
    assert stand.settings() == ["a", "b"]


def test_a_restart_begins_with_nothing_until_a_leader_says_what_counts(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.answer(fetched(batch(0, "a"), batch(1, "b"), high_watermark=1))
    stand.log.close()
    stand = Stand(tmp_path)
    partition = partition_of(stand.ask())
    assert (partition.fetch_offset, partition.last_fetched_epoch, partition.high_watermark) == (2, 1, -1)
    assert not stand.loader.catch_up()
    stand.answer(fetched(high_watermark=1))
    assert stand.settings() == ["a"]


def test_a_diverging_epoch_cuts_what_was_never_committed(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.answer(fetched(batch(0, "a"), batch(1, "b"), batch(2, "c"), high_watermark=1))
    stand.answer(fetched(epoch=2, diverging_epoch=EpochEndOffset(epoch=1, end_offset=2)))
    assert stand.log.end_offset == 2
    stand.answer(fetched(batch(2, "d", epoch=2), high_watermark=3, epoch=2))
    assert stand.settings() == ["a", "b", "d"]


def test_committed_metadata_is_never_cut(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.answer(fetched(batch(0, "a"), batch(1, "b"), high_watermark=2))
    with pytest.raises(
        MetadataLost, match=r"ends at offset 1, this node has committed metadata up to 2.*__cluster_met"
    ):
        stand.answer(fetched(epoch=2, diverging_epoch=EpochEndOffset(epoch=1, end_offset=1)))
    assert stand.log.end_offset == 2


# Snapshots

WANTED = WireSnapshotId(end_offset=40, epoch=3)
SNAPSHOT = b"".join(render([frame_record(setting(name), 0) for name in ("s", "t")], epoch=3, timestamp=9, now_ms=9))


def piece(
    position: int, data: bytes, size: int = len(SNAPSHOT), error: int = 0
) -> fetch_snapshot.FetchSnapshotResponse:
    row = fetch_snapshot.FetchSnapshotResponsePartitionSnapshot(
        error_code=error,
        snapshot_id=fetch_snapshot.SnapshotId(40, 3),
        current_leader=fetch_snapshot.LeaderIdAndEpoch(100, 3),
        size=size,
        position=position,
        unaligned_records=data,
    )
    topic = fetch_snapshot.FetchSnapshotResponseTopicSnapshot("__cluster_metadata", [row])
    return fetch_snapshot.FetchSnapshotResponse(topics=[topic])


def test_a_snapshot_comes_in_pieces_and_the_log_begins_behind_it(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.answer(fetched(epoch=3, high_watermark=41, snapshot_id=WANTED))
    request = stand.answer(piece(0, SNAPSHOT[:100]))
    assert request.api_key == ApiKey.FETCH_SNAPSHOT
    message = request.message
    assert isinstance(message, fetch_snapshot.FetchSnapshotRequest)
    assert (message.replica_id, message.cluster_id, message.topics[0].name) == (2, "c", "__cluster_metadata")
    assert message.topics[0].partitions[0].snapshot_id == fetch_snapshot.SnapshotId(40, 3)
    assert message.topics[0].partitions[0].replica_directory_id == DIRECTORY
    request = stand.answer(piece(100, SNAPSHOT[100:]))
    assert isinstance(request.message, fetch_snapshot.FetchSnapshotRequest)
    assert request.message.topics[0].partitions[0].position == 100
    assert (stand.settings(), stand.image.offset, stand.image.epoch) == (["s", "t"], 39, 3)
    partition = partition_of(stand.ask())
    assert (partition.fetch_offset, partition.last_fetched_epoch) == (40, 3)
    assert stand.log.latest_snapshot() == SnapshotId(40, 3)
    path = Path(stand.log.snapshot_path(SnapshotId(40, 3)))
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (SNAPSHOT, 0o400)
    stand.answer(fetched(batch(40, "u", epoch=3), epoch=3, high_watermark=41))
    assert stand.settings() == ["s", "t", "u"]


def test_a_snapshot_replaces_what_was_known(tmp_path: Path) -> None:
    stand, told = Stand(tmp_path), []
    stand.answer(fetched(batch(0, "a"), high_watermark=1))

    class Listener:
        def on_metadata_update(self, delta: MetadataDelta, image: MetadataImage) -> None:
            told.append((delta.base.offset, image.offset, sorted(delta.changed_configs)))

    stand.publisher.subscribe(Listener())
    stand.answer(fetched(epoch=3, high_watermark=41, snapshot_id=WANTED))
    stand.answer(piece(0, SNAPSHOT))
    assert stand.settings() == ["s", "t"]
    assert told[1:] == [(0, 39, [(2, "t")])]


def test_a_restart_begins_with_the_snapshot(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.answer(fetched(epoch=3, high_watermark=41, snapshot_id=WANTED))
    stand.answer(piece(0, SNAPSHOT))
    stand.log.close()
    stand = Stand(tmp_path)
    partition = partition_of(stand.ask())
    assert (partition.fetch_offset, partition.last_fetched_epoch) == (40, 3)
    assert stand.loader.catch_up()
    assert (stand.settings(), stand.image.offset) == (["s", "t"], 39)


@pytest.mark.parametrize(
    "wrong",
    [
        fetch_snapshot.FetchSnapshotResponse(error_code=-1),
        piece(0, b"", error=ErrorCode.SNAPSHOT_NOT_FOUND),
        piece(7, SNAPSHOT),
        piece(0, b""),
        piece(0, SNAPSHOT, size=10),
        piece(0, SNAPSHOT[:-1], size=len(SNAPSHOT) - 1),
    ],
    ids=["top-level -1", "not found", "another position", "nothing", "more than its size", "no footer"],
)
def test_a_download_that_goes_wrong_begins_anew(tmp_path: Path, wrong: Message) -> None:
    stand = Stand(tmp_path)
    stand.answer(fetched(epoch=3, high_watermark=41, snapshot_id=WANTED))
    stand.answer(wrong)
    assert stand.log.end_offset == 0
    assert not [name for name in (tmp_path / "__cluster_metadata-0").iterdir() if ".checkpoint" in name.name]
    assert stand.ask().api_key == ApiKey.FETCH
    stand.answer(fetched(epoch=3, high_watermark=41, snapshot_id=WANTED))
    stand.answer(piece(0, SNAPSHOT))
    assert stand.settings() == ["s", "t"]


def test_a_lost_connection_does_not_begin_a_download_anew(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.answer(fetched(epoch=3, high_watermark=41, snapshot_id=WANTED))
    stand.answer(piece(0, SNAPSHOT[:100]))
    assert stand.fail().api_key == ApiKey.FETCH_SNAPSHOT
    assert stand.answer(fetched(epoch=3, high_watermark=41, snapshot_id=WANTED)).api_key == ApiKey.FETCH
    stand.answer(piece(100, SNAPSHOT[100:]))
    assert stand.settings() == ["s", "t"]
