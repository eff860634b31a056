"""The leader of a quorum of one, as other nodes see it: who follows it, how far, and who waits (LeaderState)."""

from collections.abc import Mapping
from typing import NamedTuple

from pykbroker.ids import Uuid
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.raft.metadata_log import MetadataLog

# An observer that was not heard for so long is forgotten (LeaderState.OBSERVER_SESSION_TIMEOUT_MS).
OBSERVER_SESSION_MS = 300_000
MOST_OBSERVERS = 1000
# Of the log or of a snapshot in one answer, whatever is asked for: it lies in memory until it is sent.
MOST_BYTES = 8 * 1024 * 1024


class Observer:
    """A broker that follows. Times are wall milliseconds, -1: never."""

    __slots__ = ("directory_id", "end_offset", "id", "last_caught_up_ms", "last_fetch_ms", "leader_end_at_fetch")

    def __init__(self, replica_id: int, directory_id: Uuid) -> None:
        self.id = replica_id
        self.directory_id = directory_id
        self.end_offset = -1
        self.last_fetch_ms = -1
        self.last_caught_up_ms = -1
        self.leader_end_at_fetch = -1

    def fetched(self, offset: int, leader_end: int, now_ms: int) -> None:
        """It asks for `offset`. It has caught up now, or, when it has all that there was then, at its last fetch."""
        if offset >= leader_end:
            self.last_caught_up_ms = max(self.last_caught_up_ms, now_ms)
        elif 0 < self.leader_end_at_fetch <= offset:
            self.last_caught_up_ms = max(self.last_caught_up_ms, self.last_fetch_ms)
        self.leader_end_at_fetch = leader_end
        self.last_fetch_ms = max(self.last_fetch_ms, now_ms)
        self.end_offset = offset


class Leader(NamedTuple):
    """What every answer tells of the leader; `address`: host and port on the listener of the request."""

    id: int
    epoch: int
    address: tuple[str, int]


class LeaderState:
    """`advertised`: host and port by listener of the controller, where they are configured."""

    def __init__(
        self, log: MetadataLog, node_id: int, cluster_id: str, advertised: Mapping[str, tuple[str, int]]
    ) -> None:
        self.log = log
        self.node_id = node_id
        self.cluster_id = cluster_id
        self._advertised = advertised
        self._observers: dict[tuple[int, Uuid], Observer] = {}
        self._waiting: set[Pending[None]] = set()
        self._is_closed = False

    def leader(self, listener: str, reached_at: tuple[str, int]) -> Leader:
        """`reached_at`: where this request came in, for a listener that is not advertised."""
        return Leader(self.node_id, self.log.epoch, self._advertised.get(listener, reached_at))

    def is_this_cluster(self, cluster_id: str | None) -> bool:
        """Who names none is not checked."""
        return cluster_id is None or cluster_id == self.cluster_id

    def error_of_epoch(self, epoch: int) -> int:
        """Why a request for the leader of `epoch` is not ours to answer, 0: it is (validateLeaderOnlyRequest)."""
        if epoch < self.log.epoch:
            return ErrorCode.FENCED_LEADER_EPOCH
        if epoch > self.log.epoch:
            return ErrorCode.UNKNOWN_LEADER_EPOCH
        return ErrorCode.BROKER_NOT_AVAILABLE if self._is_closed else ErrorCode.NONE

    # Observers

    def fetched(self, replica_id: int, directory_id: Uuid, offset: int, now_ms: int) -> None:
        """A replica asks for `offset`: it has all before. Who has no id is a tool that only looks."""
        if replica_id < 0 or replica_id == self.node_id:
            return
        key = (replica_id, directory_id)
        observer = self._observers.get(key)
        if observer is None:
            self._make_room(now_ms)
            observer = self._observers[key] = Observer(replica_id, directory_id)
        observer.fetched(offset, self.log.end_offset, now_ms)

    def _make_room(self, now_ms: int) -> None:
        """A broker with a new directory id at each start leaves ghosts behind; of too many the oldest goes."""
        if len(self._observers) >= MOST_OBSERVERS and len(self.observers(now_ms)) >= MOST_OBSERVERS:
            del self._observers[min(self._observers, key=lambda key: self._observers[key].last_fetch_ms)]

    def observers(self, now_ms: int) -> list[Observer]:
        """Those heard lately."""
        for key, observer in list(self._observers.items()):
            if now_ms - observer.last_fetch_ms >= OBSERVER_SESSION_MS:
                del self._observers[key]
        return list(self._observers.values())

    # Who waits for more

    def wait(self) -> Pending[None]:
        """Completed once the high watermark moves, or the leader resigns. Give it back by forget()."""
        pending: Pending[None] = Pending()
        self._waiting.add(pending)
        return pending

    def forget(self, pending: Pending[None]) -> None:
        self._waiting.discard(pending)

    def committed(self) -> None:
        """The high watermark moved."""
        waiting, self._waiting = self._waiting, set()
        for pending in waiting:
            pending.complete(None)

    def close(self) -> None:
        """Nobody waits for a node that stops."""
        self._is_closed = True
        self.committed()
