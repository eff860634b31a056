"""Incremental fetch sessions: the client names only what changed, the broker answers only what changed.
(FetchSession.scala, KIP-227)
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from random import Random
from typing import TYPE_CHECKING

from pykbroker.clock import Clock
from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.replica.fetch_read import FetchedPartition

NO_SESSION = 0
INITIAL_EPOCH = 0
FINAL_EPOCH = -1
_INT32_MAX = 0x7FFFFFFF
# A session younger than this is not evicted for a larger one; one unused for longer goes first.
MIN_EVICTION_SECONDS = 120.0
# Over all sessions, some 250 bytes each: Kafka has no such bound, a client could fill its memory. Who finds no room is
# answered in full each time.
MAX_PARTITIONS = 200_000

# A topic is known by its id from Fetch v13 on, by its name before.
TopicKey = Uuid | str
RowKey = tuple[TopicKey, int]


class FetchRow:
    """What a client wants of one partition, and what it was told last. `name`: of the topic, None while unknown."""

    __slots__ = (
        "current_leader_epoch",
        "fetch_offset",
        "follower_log_start",
        "high_watermark",
        "idle",
        "last_fetched_epoch",
        "log_start_offset",
        "max_bytes",
        "name",
        "partition",
        "topic",
    )

    def __init__(
        self,
        topic: TopicKey,
        partition: int,
        current_leader_epoch: int,
        fetch_offset: int,
        last_fetched_epoch: int,
        max_bytes: int,
        follower_log_start: int = -1,
    ) -> None:
        """-1: no epoch, as any negative one. `follower_log_start`: where the log of a follower that asks begins."""
        self.topic = topic
        self.name = topic if isinstance(topic, str) else None
        self.partition = partition
        self.current_leader_epoch = max(current_leader_epoch, -1)
        self.fetch_offset = fetch_offset
        self.last_fetched_epoch = last_fetched_epoch
        self.max_bytes = max_bytes
        self.follower_log_start = follower_log_start
        self.high_watermark = -1
        self.log_start_offset = -1
        # What a follower was answered when it had everything, to be said again as long as that is so.
        self.idle: FetchedPartition | None = None

    def ask_again(self, asked: "FetchRow") -> None:
        self.fetch_offset = asked.fetch_offset
        self.max_bytes = asked.max_bytes
        self.current_leader_epoch = asked.current_leader_epoch
        self.last_fetched_epoch = asked.last_fetched_epoch
        self.follower_log_start = asked.follower_log_start
        self.idle = None

    def tell(self, high_watermark: int, log_start_offset: int, *, is_error: bool) -> bool:
        """Notes what the client is told now; True when that is news (CachedPartition.maybeUpdateResponseData)."""
        is_news = is_error or high_watermark != self.high_watermark or log_start_offset != self.log_start_offset
        self.high_watermark = -1 if is_error else high_watermark
        self.log_start_offset = log_start_offset
        return is_news


class FetchSession:
    """`epoch` is what the next request must carry. Partitions are fetched in order; those with data go to the end."""

    __slots__ = ("created", "epoch", "eviction_key", "id", "is_privileged", "last_used", "rows", "uses_topic_ids")

    def __init__(
        self, session_id: int, rows: dict[RowKey, FetchRow], uses_topic_ids: bool, is_privileged: bool, now: float
    ) -> None:
        self.id = session_id
        self.epoch = 1
        self.rows = rows
        self.uses_topic_ids = uses_topic_ids
        self.is_privileged = is_privileged
        self.created = now
        self.last_used = now
        # Whether a follower's, partitions when it was last used, id; the cache orders by it.
        self.eviction_key = (is_privileged, 0, session_id)

    def update(self, asked: Mapping[RowKey, FetchRow], forgotten: Iterable[RowKey]) -> None:
        for key, row in asked.items():
            known = self.rows.get(key)
            if known is not None:
                known.ask_again(row)
            else:
                self.rows[key] = row
        for key in forgotten:
            self.rows.pop(key, None)

    def advance(self) -> None:
        """After 2³¹-1 comes 1: 0 and -1 mean something else."""
        self.epoch = 1 if self.epoch == _INT32_MAX else self.epoch + 1

    def move_to_end(self, row: FetchRow) -> None:
        """A partition that gave data comes last the next time, so that none starves behind max.bytes."""
        key = (row.topic, row.partition)
        self.rows[key] = self.rows.pop(key)


class FetchSessionCache:
    """At most `max_sessions`; a client that gets none is answered in full each time. Followers are privileged.

    Kafka splits its cache in eight by random; the rules within are these (FetchSessionCacheShard).
    """

    def __init__(self, max_sessions: int, clock: Clock, seed: int | None = None) -> None:
        self.max_sessions = max_sessions
        self._clock = clock
        self._random = Random(seed)
        # Partitions in all sessions.
        self.partitions = 0
        # In the order of last use.
        self._sessions: dict[int, FetchSession] = {}
        # Eviction keys, ascending: what anybody may evict, what only followers may.
        self._evictable_by_all: list[tuple[bool, int, int]] = []
        self._evictable_by_privileged: list[tuple[bool, int, int]] = []

    def __len__(self) -> int:
        return len(self._sessions)

    def create(self, rows: dict[RowKey, FetchRow], uses_topic_ids: bool, is_follower: bool) -> int:
        """The id of a new session over `rows`, 0 when there is no room."""
        now = self._clock.monotonic()
        if not self._make_room(len(rows), is_follower, now):
            return NO_SESSION
        session_id = self._random.randint(1, _INT32_MAX)
        while session_id in self._sessions:
            session_id = self._random.randint(1, _INT32_MAX)
        session = self._sessions[session_id] = FetchSession(session_id, rows, uses_topic_ids, is_follower, now)
        self._touch(session, now)
        return session_id

    def _make_room(self, size: int, is_privileged: bool, now: float) -> bool:
        """A stale session goes first; else the least worth one, if it is worth less than the new one (tryEvict)."""
        if self.partitions + size > MAX_PARTITIONS:
            return False
        if len(self._sessions) < self.max_sessions:
            return True
        idle = next(iter(self._sessions.values()), None)
        if idle is None:
            return False
        if now - idle.last_used > MIN_EVICTION_SECONDS:
            self.remove(idle.id)
            return True
        evictable = self._evictable_by_privileged if is_privileged else self._evictable_by_all
        if not evictable or (is_privileged, size, 0) < evictable[0]:
            return False
        self.remove(evictable[0][2])
        return True

    def _touch(self, session: FetchSession, now: float) -> None:
        """Used just now: last in line, and evictable as its size and age say from now on."""
        session.last_used = now
        self._sessions[session.id] = self._sessions.pop(session.id)
        self._drop_keys(session)
        session.eviction_key = (session.is_privileged, len(session.rows), session.id)
        self.partitions += len(session.rows)
        is_old = now - session.created > MIN_EVICTION_SECONDS
        if is_old or not session.is_privileged:
            insort(self._evictable_by_privileged, session.eviction_key)
        if is_old:
            insort(self._evictable_by_all, session.eviction_key)

    def _drop_keys(self, session: FetchSession) -> None:
        self.partitions -= session.eviction_key[1]
        for keys in (self._evictable_by_all, self._evictable_by_privileged):
            position = bisect_left(keys, session.eviction_key)
            if position < len(keys) and keys[position] == session.eviction_key:
                del keys[position]

    def remove(self, session_id: int) -> None:
        session = self._sessions.pop(session_id, None)
        if session is not None:
            self._drop_keys(session)

    def resume(
        self,
        session_id: int,
        epoch: int,
        uses_topic_ids: bool,
        asked: Mapping[RowKey, FetchRow],
        forgotten: Iterable[RowKey],
    ) -> FetchSession | None:
        """The session that a request continues, with its changes made; None when nothing is left and it was closed.

        Raises KafkaError FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR.
        """
        session = self._sessions.get(session_id)
        if session is None:
            raise KafkaError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.epoch != epoch:
            raise KafkaError(ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        if session.uses_topic_ids != uses_topic_ids:
            raise KafkaError(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        session.update(asked, forgotten)
        if not session.rows:
            self.remove(session_id)
            return None
        self._touch(session, self._clock.monotonic())
        if self.partitions > MAX_PARTITIONS:
            self.remove(session_id)
            raise KafkaError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        session.advance()
        return session
