"""Share sessions: which partitions a member of a share group fetches; each request carries the next epoch.
(ShareSession, ShareSessionCache, ShareSessionContext; KIP-932)
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode

INITIAL_EPOCH = 0
FINAL_EPOCH = -1
_INT32_MAX = 0x7FFFFFFF
# Over all sessions, some 250 bytes each: Kafka has no such bound, a client could fill its memory.
MAX_PARTITIONS = 200_000

RowKey = tuple[Uuid, int]


class SessionKey(NamedTuple):
    group_id: str
    member_id: str


class SessionRow:
    """A partition of a session. `must_tell`: the next answer names it, with records or without."""

    __slots__ = ("key", "must_tell", "name")

    def __init__(self, key: RowKey, name: str | None, *, must_tell: bool) -> None:
        """A topic whose name was unknown when it was asked for stays unknown for the session."""
        self.key = key
        self.name = name
        self.must_tell = must_tell

    def tell(self, *, has_records: bool, is_error: bool) -> bool:
        """True when the answer has to name it (CachedSharePartition.maybeUpdateResponseData)."""
        is_news = self.must_tell or has_records or is_error
        self.must_tell = is_error
        return is_news


class ShareSession:
    """`epoch` is what the next request must carry. Partitions that gave records go to the end."""

    __slots__ = ("connection", "epoch", "key", "rows")

    def __init__(self, key: SessionKey, rows: dict[RowKey, SessionRow], connection: object) -> None:
        self.key = key
        self.rows = rows
        self.connection = connection
        self.epoch = next_epoch(INITIAL_EPOCH)

    def move_to_end(self, key: RowKey) -> None:
        self.rows[key] = self.rows.pop(key)


def next_epoch(epoch: int) -> int:
    """After 2³¹-1 comes 1: 0 and -1 mean something else."""
    if epoch < 0:
        return FINAL_EPOCH
    return 1 if epoch == _INT32_MAX else epoch + 1


class _Connected:
    """The session that a connection opened last; stale once that is gone, or another has taken its place."""

    __slots__ = ("is_stale", "key")

    def __init__(self, key: SessionKey) -> None:
        self.key = key
        self.is_stale = False


class ShareSessionCache:
    """At most `max_sessions`. `on_member_leave` and `on_group_empty` are told when a connection went."""

    def __init__(self, max_sessions: int) -> None:
        self.max_sessions = max_sessions
        self.on_member_leave: Callable[[SessionKey], None] = lambda _: None
        self.on_group_empty: Callable[[str], None] = lambda _: None
        self._sessions: dict[SessionKey, ShareSession] = {}
        self._members: dict[str, int] = {}
        self._connected: dict[object, _Connected] = {}
        self._partitions = 0

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def partition_count(self) -> int:
        return self._partitions

    def get(self, key: SessionKey) -> ShareSession | None:
        return self._sessions.get(key)

    def require(self, key: SessionKey, epoch: int = FINAL_EPOCH) -> ShareSession:
        """The final epoch fits any. Raises KafkaError SHARE_SESSION_NOT_FOUND, INVALID_SHARE_SESSION_EPOCH."""
        session = self._sessions.get(key)
        if session is None:
            raise KafkaError(ErrorCode.SHARE_SESSION_NOT_FOUND)
        if epoch not in (FINAL_EPOCH, session.epoch):
            raise KafkaError(ErrorCode.INVALID_SHARE_SESSION_EPOCH)
        return session

    def create(self, key: SessionKey, rows: dict[RowKey, SessionRow], connection: object) -> ShareSession:
        """In place of an older one of this member. Raises KafkaError SHARE_SESSION_LIMIT_REACHED."""
        self.remove(key)
        if len(self._sessions) >= self.max_sessions or self._partitions + len(rows) > MAX_PARTITIONS:
            raise KafkaError(ErrorCode.SHARE_SESSION_LIMIT_REACHED)
        session = self._sessions[key] = ShareSession(key, rows, connection)
        self._partitions += len(rows)
        self._members[key.group_id] = self._members.get(key.group_id, 0) + 1
        self._connected[connection] = _Connected(key)
        return session

    def update(self, session: ShareSession, asked: Iterable[SessionRow], forgotten: Iterable[RowKey]) -> None:
        """Raises KafkaError SHARE_SESSION_LIMIT_REACHED, nothing changed."""
        added = {row.key: row for row in asked if row.key not in session.rows}
        if self._partitions + len(added) > MAX_PARTITIONS:
            raise KafkaError(ErrorCode.SHARE_SESSION_LIMIT_REACHED)
        before = len(session.rows)
        session.rows.update(added)
        for key in forgotten:
            session.rows.pop(key, None)
        self._partitions += len(session.rows) - before

    def advance(self, session: ShareSession) -> None:
        session.epoch = next_epoch(session.epoch)

    def remove(self, key: SessionKey) -> ShareSession | None:
        session = self._sessions.pop(key, None)
        if session is None:
            return None
        self._partitions -= len(session.rows)
        self._members[key.group_id] -= 1
        connected = self._connected.get(session.connection)
        if connected is not None:
            connected.is_stale = True
        return session

    def clear(self) -> None:
        """share.version went to 0. Connections stay: they are forgotten as they close."""
        self._sessions.clear()
        self._members.clear()
        self._partitions = 0
        for connected in self._connected.values():
            connected.is_stale = True

    def disconnected(self, connection: object) -> None:
        """Its session goes with it; a group whose last session that was needs no share partitions here any more."""
        connected = self._connected.pop(connection, None)
        if connected is None:
            return
        if not connected.is_stale:
            self.on_member_leave(connected.key)
            self.remove(connected.key)
        group_id = connected.key.group_id
        if not self._members.get(group_id):
            self._members.pop(group_id, None)
            self.on_group_empty(group_id)
