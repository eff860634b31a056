"""States of records that were given out: of a whole batch, or offset by offset. (InFlightState, InFlightBatch)"""

from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from pykbroker.share.locks import AcquisitionLock, AcquisitionLocks

NOBODY: Final = ""


class RecordState(IntEnum):
    """As stored in `__share_group_state`."""

    AVAILABLE = 0
    ACQUIRED = 1
    ACKNOWLEDGED = 2
    ARCHIVING = 3  # for a dead letter queue (KIP-1191); nothing goes there yet
    ARCHIVED = 4

    @property
    def is_terminal(self) -> bool:
        return self in _TERMINAL

    def may_become(self, other: "RecordState") -> bool:
        """RecordState.validateTransition."""
        if self in _TERMINAL or self == other:
            return False
        return self != RecordState.AVAILABLE or other == RecordState.ACQUIRED


_TERMINAL = (RecordState.ACKNOWLEDGED, RecordState.ARCHIVED)


class _Before(NamedTuple):
    """What a transition goes back to when it is not written."""

    state: RecordState
    member_id: str
    delivery_count_limit: int


class InFlightState:
    """State, owner and delivery count of one offset, or of all offsets of a batch."""

    __slots__ = ("_before", "_is_archived", "_parts", "delivery_count", "lock", "member_id", "state")

    def __init__(
        self, state: RecordState, delivery_count: int, member_id: str = NOBODY, lock: AcquisitionLock | None = None
    ) -> None:
        self.state = state
        self.delivery_count = delivery_count
        self.member_id = member_id
        self.lock = lock
        self._before: _Before | None = None
        self._is_archived = False
        self._parts: list[InFlightState] | None = None

    @property
    def is_in_transition(self) -> bool:
        """Its new state is being written: nobody else may change it."""
        return self._before is not None

    @property
    def is_acquirable(self) -> bool:
        return self.state == RecordState.AVAILABLE and self._before is None

    @property
    def is_done(self) -> bool:
        """For good, and written."""
        return self.state.is_terminal and self._before is None

    def try_update(self, state: RecordState, limit: int, member_id: str = NOBODY) -> bool:
        """False, and no effect, when it must not change. Records delivered `limit` times are archived, not released;
        an acquisition counts as a delivery."""
        if self._before is not None:
            return False
        if state == RecordState.AVAILABLE and self.delivery_count >= limit:
            state = RecordState.ARCHIVED
        if not self.state.may_become(state):
            return False
        self.state = state
        self.member_id = member_id
        if state == RecordState.ACQUIRED:
            self.delivery_count += 1
        return True

    def start_transition(self, state: RecordState, limit: int) -> bool:
        """As try_update, to be completed when the new state is written, or not."""
        before = _Before(self.state, self.member_id, limit)
        if not self.try_update(state, limit):
            return False
        self._before = before
        return True

    def complete_transition(self, *, commit: bool) -> None:
        """Not committed: as before, unless the lock ran out meanwhile."""
        before = self._before
        self._before = None
        if commit or self._is_archived:
            self.unlock()
            return
        assert before is not None
        if self.lock is not None and self.lock.has_expired:
            is_spent = self.delivery_count >= before.delivery_count_limit
            self.state = RecordState.ARCHIVED if is_spent else RecordState.AVAILABLE
            self.member_id = NOBODY
            self.unlock()
        else:
            self.state, self.member_id = before.state, before.member_id

    def archive(self) -> None:
        """Whatever it was: nobody gets it any more."""
        self._is_archived = True
        self.state = RecordState.ARCHIVED
        self.member_id = NOBODY
        self.unlock()

    def split(self, parts: "list[InFlightState]") -> None:
        """They are the state of one offset each from now on, in the midst of a transition too."""
        if self._before is not None:
            for part in parts:
                part._before = self._before
        self._parts = parts
        self.unlock()

    def pieces(self, first: int, last: int) -> "list[tuple[InFlightState, int, int]]":
        """What has become of the state of these offsets: itself, or a state for each."""
        if self._parts is None:
            return [(self, first, last)]
        return [(part, offset, offset) for offset, part in enumerate(self._parts, first)]

    def unlock(self) -> None:
        if self.lock is not None:
            self.lock.cancel()
            self.lock = None


class InFlightBatch:
    """`state` of all its offsets, or `offsets`: a state for each from `first_offset` on; one of the two is None."""

    __slots__ = ("first_offset", "last_offset", "offsets", "state")

    def __init__(self, first_offset: int, last_offset: int, state: InFlightState) -> None:
        self.first_offset = first_offset
        self.last_offset = last_offset
        self.state: InFlightState | None = state
        self.offsets: list[InFlightState] | None = None

    def __len__(self) -> int:
        return self.last_offset - self.first_offset + 1

    def is_within(self, first: int, last: int) -> bool:
        return first <= self.first_offset and self.last_offset <= last

    def state_at(self, offset: int) -> InFlightState:
        return self.state if self.state is not None else self._split()[offset - self.first_offset]

    def items(self, first: int, last: int) -> Iterator[tuple[int, InFlightState]]:
        """Offset by offset, those between `first` and `last`; only once it is split."""
        offsets = self._split()
        start = max(first, self.first_offset)
        for offset in range(start, min(last, self.last_offset) + 1):
            yield offset, offsets[offset - self.first_offset]

    def _split(self) -> list[InFlightState]:
        assert self.offsets is not None
        return self.offsets

    def split(self, locks: AcquisitionLocks) -> None:
        """From now on a state per offset; the locks run out when that of the batch does, or have done so with it."""
        state = self.state
        if state is None:
            return
        lock = state.lock
        self.offsets = [
            InFlightState(
                state.state,
                state.delivery_count,
                state.member_id,
                None if lock is None else locks.add_part(lock, offset),
            )
            for offset in range(self.first_offset, self.last_offset + 1)
        ]
        state.split(self.offsets)
        self.state = None

    def split_at(self, last_acquired: int, locks: AcquisitionLocks, deadline: float) -> None:
        """A fresh batch of which only the offsets up to `last_acquired` are given out (RECORD_LIMIT)."""
        state = self.state
        assert state is not None
        self.offsets = [
            InFlightState(RecordState.ACQUIRED, 1, state.member_id, locks.add(offset, offset, deadline))
            if offset <= last_acquired
            else InFlightState(RecordState.AVAILABLE, 0)
            for offset in range(self.first_offset, self.last_offset + 1)
        ]
        self.state = None
