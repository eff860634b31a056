"""A follower of a real quorum that never votes: finds the leader, fetches, is cut where it differs, loads snapshots.

Sans-I/O but for its own log: `next_request(now)`, then `on_response` or `on_error`; one request at a time. What is
committed is the log's to tell (observer_log). Kafka: KafkaRaftClient as an observer; KIP-595, KIP-630, KIP-853.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from logging import getLogger
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.ids import METADATA_TOPIC_ID, Uuid
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.lookup import error_of
from pykbroker.protocol.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
    ReplicaState,
)
from pykbroker.raft import quorum_state
from pykbroker.raft.observer_log import ObserverLog, SnapshotDownload
from pykbroker.raft.quorum_state import QuorumState
from pykbroker.raft.snapshot import SnapshotId

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.protocol.message import Message
    from pykbroker.protocol.messages.fetch_snapshot import FetchSnapshotRequest, FetchSnapshotResponse

LOG = getLogger("pykbroker.observer")
Address = tuple[str, int]

NOBODY: Final = -1
# How long a leader may hold a fetch back when it has nothing (KafkaRaftClient.MAX_FETCH_WAIT_MS).
FETCH_WAIT_MS: Final = 500
# The pause between failed attempts grows to this many seconds.
MAX_BACKOFF: Final = 1.0
_UNKNOWN_VALUE: Final = -1
# What a controller answers that knows better who leads, or does not know yet.
_ABOUT_LEADERS = (ErrorCode.FENCED_LEADER_EPOCH, ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.UNKNOWN_LEADER_EPOCH)


class RaftRequest(NamedTuple):
    """`timeout` in seconds."""

    where: Address
    api_key: int
    message: "Message"
    timeout: float


class WrongCluster(Exception):
    """The controllers belong to another cluster than our directories. The text says what to do."""


class Observer:
    """`leader`: where the active controller is, as far as known; `on_leader` is called when that changes.

    `is_accepted`: some leader has answered."""

    def __init__(
        self,
        *,
        node_id: int,
        cluster_id: str,
        directory_id: Uuid,
        voters: Mapping[int, Address],
        bootstrap: Sequence[Address],
        log: ObserverLog,
        config: "BrokerConfig",
        rng: random.Random | None = None,
    ) -> None:
        """`voters`: controller.quorum.voters; `bootstrap`: controller.quorum.bootstrap.servers. Raises
        QuorumStateError, OSError."""
        state = quorum_state.read(log.directory)
        self.epoch = max(state.leader_epoch if state is not None else 0, log.last_epoch)
        self.leader_id = NOBODY
        self.leader: Address | None = None
        self.on_leader: Callable[[], None] = _nothing
        self.is_accepted = False
        self.last_failure = "no controller was asked yet"
        self._node_id = node_id
        self._cluster_id = cluster_id
        self._directory_id = directory_id
        self._voters = dict(voters)
        self._log = log
        self._config = config
        self._asked = [*bootstrap, *(each for each in voters.values() if each not in bootstrap)]
        (rng or random.Random()).shuffle(self._asked)
        self._turn = 0
        self._failures = 0
        self._retry_at = 0.0
        self._silent_since: float | None = None
        self._has_warned = False
        self._download: SnapshotDownload | None = None

    # What the loop calls

    def next_deadline(self) -> float:
        """When next_request() has one, in clock.monotonic seconds; while one is under way there is no other."""
        return self._retry_at

    def next_request(self, now: float) -> RaftRequest | None:
        """None before next_deadline()."""
        if now < self._retry_at:
            return None
        timeout = self._config.controller_quorum_request_timeout_ms / 1000
        if self._download is not None and self.leader is not None and not self._failures:
            return RaftRequest(self.leader, ApiKey.FETCH_SNAPSHOT, self._fetch_snapshot(self._download), timeout)
        return RaftRequest(self._whom(), ApiKey.FETCH, self._fetch(), timeout)

    def on_error(self, reason: str, now: float) -> None:
        """The request could not be sent or was not answered."""
        self._failed(reason, now)

    def on_response(self, request: RaftRequest, response: "Message", now: float) -> None:
        """What was sent and is damaged is asked for again. Raises WrongCluster, MetadataLost, KafkaError
        (KAFKA_STORAGE_ERROR), OSError: the node cannot go on."""
        try:
            if request.api_key == ApiKey.FETCH_SNAPSHOT:
                self._on_snapshot(cast("FetchSnapshotResponse", response), request.where, now)
            else:
                self._on_fetch(cast(FetchResponse, response), request.where, now)
        except (KafkaError, MalformedFrame) as error:
            if isinstance(error, KafkaError) and error.code == ErrorCode.KAFKA_STORAGE_ERROR:
                raise
            self._give_up_download()
            self._failed(f"{_text(request.where)}: {error}", now)

    # Requests

    def _whom(self) -> Address:
        """The leader; after a failure in turns with the others, one of whom may have become leader."""
        if self.leader is not None and self._failures % 2 == 0:
            return self.leader
        others = [each for each in self._asked if each != self.leader] or self._asked
        if not others:
            assert self.leader is not None
            return self.leader
        self._turn += 1
        return others[self._turn % len(others)]

    def _fetch(self) -> FetchRequest:
        partition = FetchPartition(
            partition=0,
            current_leader_epoch=self.epoch,
            fetch_offset=self._log.end_offset,
            last_fetched_epoch=self._log.last_epoch,
            replica_directory_id=self._directory_id,
            high_watermark=self._log.high_watermark if self.is_accepted else _UNKNOWN_VALUE,
        )
        return FetchRequest(
            cluster_id=self._cluster_id,
            replica_state=ReplicaState(replica_id=self._node_id),
            max_wait_ms=FETCH_WAIT_MS,
            min_bytes=0,
            max_bytes=self._config.controller_quorum_fetch_max_bytes,
            session_epoch=-1,
            topics=[FetchTopic(topic_id=METADATA_TOPIC_ID, partitions=[partition])],
        )

    def _fetch_snapshot(self, download: SnapshotDownload) -> "FetchSnapshotRequest":
        from pykbroker.protocol.messages import fetch_snapshot as messages

        snapshot_id = messages.SnapshotId(download.snapshot_id.end_offset, download.snapshot_id.epoch)
        partition = messages.PartitionSnapshot(
            partition=0,
            current_leader_epoch=self.epoch,
            snapshot_id=snapshot_id,
            position=download.position,
            replica_directory_id=self._directory_id,
        )
        return messages.FetchSnapshotRequest(
            cluster_id=self._cluster_id,
            replica_id=self._node_id,
            max_bytes=self._config.controller_quorum_fetch_snapshot_max_bytes,
            topics=[messages.TopicSnapshot(name="__cluster_metadata", partitions=[partition])],
        )

    # Answers

    def _on_fetch(self, response: FetchResponse, where: Address, now: float) -> None:
        if response.error_code:
            return self._refused(response.error_code, where, now)
        rows = [row for topic in response.responses for row in topic.partitions]
        if not rows:
            return self._failed(f"{_text(where)}: an answer without the metadata partition", now)
        row = rows[0]
        nodes = {node.node_id: (node.host, node.port) for node in response.node_endpoints}
        has_news = self._learn(row.current_leader.leader_id, row.current_leader.leader_epoch, nodes)
        if row.error_code in _ABOUT_LEADERS and has_news:
            self._failures, self._retry_at = 0, now
            return None
        if row.error_code:
            return self._failed(f"{_text(where)}: Fetch is answered {error_of(row.error_code).name}", now)
        if row.current_leader.leader_epoch < self.epoch:
            return self._failed(f"{_text(where)}: an answer of the past epoch {row.current_leader.leader_epoch}", now)
        self._follow(row, now)
        return None

    def _follow(self, row: PartitionData, now: float) -> None:
        """An answer of the leader."""
        if row.diverging_epoch.epoch >= 0 and row.diverging_epoch.end_offset >= 0:
            offset = self._log.truncate(row.diverging_epoch.epoch, row.diverging_epoch.end_offset)
            LOG.info("Metadata from offset %d on is not what the controllers agreed on: cut off", offset)
        elif row.snapshot_id.epoch >= 0 or row.snapshot_id.end_offset >= 0:
            self._start_download(SnapshotId(row.snapshot_id.end_offset, row.snapshot_id.epoch))
        else:
            if row.records:
                self._log.append_as_follower(bytearray(row.records), self.epoch)
            self._log.commit(row.high_watermark)
        self._answered(now)

    def _on_snapshot(self, response: "FetchSnapshotResponse", where: Address, now: float) -> None:
        download = self._download
        rows = [row for topic in response.topics for row in topic.partitions]
        if response.error_code or not rows or download is None:
            # 4.3.1 answers -1 for all that is wrong with the partition: begin anew with a Fetch.
            self._give_up_download()
            return self._refused(response.error_code, where, now)
        row = rows[0]
        self._learn(row.current_leader.leader_id, row.current_leader.leader_epoch, {})
        left = row.size - download.position
        if row.error_code or row.position != download.position or not 0 < len(row.unaligned_records) <= left:
            self._give_up_download()
            return self._failed(f"{_text(where)}: FetchSnapshot is answered {error_of(row.error_code).name}", now)
        download.add(row.unaligned_records)
        if download.position == row.size:
            self._download = None
            download.finish()
            LOG.info(
                "Metadata up to offset %d came as a snapshot of %d bytes", download.snapshot_id.end_offset, row.size
            )
        self._answered(now)
        return None

    def _refused(self, code: int, where: Address, now: float) -> None:
        if code == ErrorCode.INCONSISTENT_CLUSTER_ID and not self.is_accepted:
            raise WrongCluster(
                f"The controller at {_text(where)} belongs to another cluster than this node's data, whose cluster.id "
                f"is {self._cluster_id}. Point controller.quorum.bootstrap.servers (or .voters) to the right "
                "controllers, or give this node an empty directory."
            )
        self._failed(f"{_text(where)}: the answer is {error_of(code).name}", now)

    def _learn(self, leader_id: int, epoch: int, nodes: Mapping[int, Address]) -> bool:
        """Who leads, if that is newer than what we know; whether it is."""
        address = nodes.get(leader_id) or self._voters.get(leader_id)
        if epoch < self.epoch or (epoch == self.epoch and leader_id in (NOBODY, self.leader_id)):
            if epoch == self.epoch and leader_id >= 0 and address is not None:
                self.leader = address
            return False
        self.epoch, self.leader_id, self.leader = epoch, leader_id, address if leader_id >= 0 else None
        quorum_state.write(self._log.directory, self._state(), self._log.files)
        if self.leader is not None:
            LOG.info("Controller %d at %s leads the metadata quorum in epoch %d", leader_id, _text(self.leader), epoch)
        self.on_leader()
        return True

    def _state(self) -> QuorumState:
        if self._log.quorum.kraft_version:
            return QuorumState(self.leader_id, self.epoch, version=1)
        return QuorumState(self.leader_id, self.epoch, voters=tuple(sorted(self._voters)))

    # Success and failure

    def _answered(self, now: float) -> None:
        if self._has_warned:
            LOG.info("The controllers answer again")
        self._failures, self._silent_since, self._has_warned = 0, None, False
        self.is_accepted, self._retry_at = True, now

    def _failed(self, reason: str, now: float) -> None:
        self.last_failure = reason
        backoff = self._config.controller_quorum_retry_backoff_ms / 1000
        self._retry_at = now + min(backoff * 2 ** min(self._failures, 10), MAX_BACKOFF)
        self._failures += 1
        if self._silent_since is None:
            self._silent_since = now
        silence = now - self._silent_since
        if silence > self._config.controller_quorum_fetch_timeout_ms / 1000 and not self._has_warned:
            self._has_warned = True
            LOG.warning("No controller has answered for %.1f s; the last attempt: %s", silence, reason)

    def _start_download(self, snapshot_id: SnapshotId) -> None:
        """Or goes on with the one under way."""
        if self._download is None or self._download.snapshot_id != snapshot_id:
            self._give_up_download()
            self._download = self._log.start_download(snapshot_id)

    def _give_up_download(self) -> None:
        if self._download is not None:
            self._download.drop()
            self._download = None


def _nothing() -> None:
    return


def _text(where: Address) -> str:
    return f"{where[0]}:{where[1]}"
