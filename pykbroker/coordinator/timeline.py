"""A dict with two views: what was written, and what is committed (below the high watermark). TimelineHashMap."""

from collections import deque
from collections.abc import ItemsView, Iterator
from typing import Any, Final, Generic, TypeVar, cast

K = TypeVar("K")
V = TypeVar("V")

_ABSENT: Final = object()


class Timeline:
    """The clock of one shard's tables: the offset being written and the committed one (SnapshotRegistry).

    A change made while `offset` is o is committed as soon as `committed` > o.
    """

    __slots__ = ("_journal", "committed", "offset")

    def __init__(self) -> None:
        self.offset = 0
        self.committed = 0
        self._journal: deque[tuple[int, TimelineDict[Any, Any], Any]] = deque()

    def note(self, table: "TimelineDict[Any, Any]", key: object) -> None:
        self._journal.append((self.offset, table, key))

    def commit(self, offset: int) -> None:
        """Everything written below `offset` is committed now."""
        if offset <= self.committed:
            return
        self.committed = offset
        journal = self._journal
        while journal and journal[0][0] < offset:
            _, table, key = journal.popleft()
            table.forget(key)

    def revert(self, offset: int) -> None:
        """Undoes what was written at `offset` and later; must not be committed."""
        journal = self._journal
        while journal and journal[-1][0] >= offset:
            _, table, key = journal.pop()
            table.restore(key)

    @property
    def uncommitted(self) -> int:
        """How many changes wait for their commit."""
        return len(self._journal)


class TimelineDict(Generic[K, V]):
    """`[]`, `get`, iteration: as written. `committed_*`: as committed. Keeps insertion order."""

    __slots__ = ("_now", "_older", "_timeline")

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._now: dict[K, V] = {}
        # key → values it had before each change that is not committed yet, oldest first
        self._older: dict[K, list[object]] = {}

    def __setitem__(self, key: K, value: V) -> None:
        if self._timeline.offset >= self._timeline.committed:
            self._note(key)
        self._now[key] = value

    def pop(self, key: K) -> V | None:
        """Removes a key; returns its value, None when it is not there."""
        if key not in self._now:
            return None
        if self._timeline.offset >= self._timeline.committed:
            self._note(key)
        return self._now.pop(key)

    def _note(self, key: K) -> None:
        """Of a change that is not committed already, as most are when they are loaded or just appended."""
        self._older.setdefault(key, []).append(self._now.get(key, _ABSENT))
        self._timeline.note(self, key)

    def forget(self, key: K) -> None:
        older = self._older[key]
        del older[0]
        if not older:
            del self._older[key]

    def restore(self, key: K) -> None:
        older = self._older[key]
        value = older.pop()
        if not older:
            del self._older[key]
        if value is _ABSENT:
            self._now.pop(key, None)
        else:
            self._now[key] = cast(V, value)

    def __getitem__(self, key: K) -> V:
        return self._now[key]

    def get(self, key: K) -> V | None:
        return self._now.get(key)

    def __contains__(self, key: object) -> bool:
        return key in self._now

    def __iter__(self) -> Iterator[K]:
        return iter(self._now)

    def __len__(self) -> int:
        return len(self._now)

    def items(self) -> ItemsView[K, V]:
        return self._now.items()

    def committed_get(self, key: K) -> V | None:
        older = self._older.get(key)
        if older is None:
            return self._now.get(key)
        return None if older[0] is _ABSENT else cast(V, older[0])

    def committed_items(self) -> list[tuple[K, V]]:
        if not self._older:
            return list(self._now.items())
        keys = dict.fromkeys((*self._now, *self._older))
        return [(key, value) for key in keys if (value := self.committed_get(key)) is not None]
