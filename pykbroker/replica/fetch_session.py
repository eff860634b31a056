"""Incremental fetch sessions: the client names only what changed, the broker answers only what changed.
(FetchSession.scala, KIP-227)
"""

from collections.abc import Iterable
from random import Random

from pykbroker.clock import Clock
from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode

NO_SESSION = 0
INITIAL_EPOCH = 0
FINAL_EPOCH = -1
_INT32_MAX = 0x7FFFFFFF
# A session younger than this is not evicted for a larger one.
MIN_EVICTION_SECONDS = 120.0

# A topic is known by its id from Fetch v13 on, by its name before.
TopicKey = Uuid | str


class FetchRow:
    """What a client wants of one partition, and what it was told last."""

    __slots__ = (
        "current_leader_epoch",
        "fetch_offset",
        "high_watermark",
        "last_fetched_epoch",
        "last_stable_offset",
        "log_start_offset",
        "max_bytes",
        "partition",
        "topic",
    )

    def __init__(
        self,
        topic: TopicKey,
        partition: int,
        fetch_offset: int,
        max_bytes: int,
        current_leader_epoch: int = -1,
        last_fetched_epoch: int = -1,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.fetch_offset = fetch_offset
        self.max_bytes = max_bytes
        self.current_leader_epoch = current_leader_epoch
        self.last_fetched_epoch = last_fetched_epoch
        self.high_watermark = -1
        self.last_stable_offset = -1
        self.log_start_offset = -1

    @property
    def key(self) -> tuple[TopicKey, int]:
        return self.topic, self.partition

    def ask_again(self, asked: "FetchRow") -> None:
        self.fetch_offset = asked.fetch_offset
        self.max_bytes = asked.max_bytes
        self.current_leader_epoch = asked.current_leader_epoch
        self.last_fetched_epoch = asked.last_fetched_epoch


class FetchSession:
    """`epoch` is what the next request must carry. Partitions are fetched in order; those with data go to the end."""

    __slots__ = ("created", "epoch", "id", "is_privileged", "last_used", "rows", "uses_topic_ids")

    def __init__(
        self, session_id: int, rows: Iterable[FetchRow], uses_topic_ids: bool, is_privileged: bool, now: float
    ) -> None:
        self.id = session_id
        self.epoch = 1
        self.rows = {row.key: row for row in rows}
        self.uses_topic_ids = uses_topic_ids
        self.is_privileged = is_privileged
        self.created = now
        self.last_used = now

    def update(self, asked: Iterable[FetchRow], forgotten: Iterable[tuple[TopicKey, int]]) -> None:
        for row in asked:
            known = self.rows.get(row.key)
            if known is not None:
                known.ask_again(row)
            else:
                self.rows[row.key] = row
        for key in forgotten:
            self.rows.pop(key, None)

    def advance(self) -> None:
        """After 2³¹-1 comes 1: 0 and -1 mean something else."""
        self.epoch = 1 if self.epoch == _INT32_MAX else self.epoch + 1

    def move_to_end(self, row: FetchRow) -> None:
        """A partition that gave data comes last the next time, so that none starves behind max.bytes."""
        self.rows[row.key] = self.rows.pop(row.key)


class FetchSessionCache:
    """At most `max_sessions`; a client that gets none is answered in full each time."""

    def __init__(self, max_sessions: int, clock: Clock, seed: int | None = None) -> None:
        self.max_sessions = max_sessions
        self._clock = clock
        self._random = Random(seed)
        self._sessions: dict[int, FetchSession] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def create(self, rows: list[FetchRow], uses_topic_ids: bool, is_follower: bool) -> int:
        """The id of a new session over `rows`, 0 when there is no room or nothing to keep."""
        now = self._clock.monotonic()
        if not rows or not self._make_room(len(rows), is_follower, now):
            return NO_SESSION
        session_id = self._random.randint(1, _INT32_MAX)
        while session_id in self._sessions:
            session_id = self._random.randint(1, _INT32_MAX)
        self._sessions[session_id] = FetchSession(session_id, rows, uses_topic_ids, is_follower, now)
        return session_id

    def _make_room(self, size: int, is_privileged: bool, now: float) -> bool:
        if len(self._sessions) < self.max_sessions:
            return True
        idle = min(self._sessions.values(), key=lambda session: session.last_used, default=None)
        if idle is not None and now - idle.last_used > MIN_EVICTION_SECONDS:
            self.remove(idle.id)
            return True
        evictable = [
            session
            for session in self._sessions.values()
            if (is_privileged and not session.is_privileged)
            or (
                session.is_privileged <= is_privileged
                and len(session.rows) < size
                and now - session.created > MIN_EVICTION_SECONDS
            )
        ]
        if not evictable:
            return False
        self.remove(min(evictable, key=lambda session: (session.is_privileged, len(session.rows))).id)
        return True

    def remove(self, session_id: int) -> None:
        self._sessions.pop(session_id, None)

    def resume(self, session_id: int, epoch: int, uses_topic_ids: bool) -> FetchSession:
        """The session that a request continues. Raises KafkaError FETCH_SESSION_ID_NOT_FOUND,
        INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR."""
        session = self._sessions.get(session_id)
        if session is None:
            raise KafkaError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.epoch != epoch:
            raise KafkaError(ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        if session.uses_topic_ids != uses_topic_ids:
            raise KafkaError(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        session.last_used = self._clock.monotonic()
        return session
