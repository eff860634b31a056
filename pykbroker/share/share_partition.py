"""One share partition: what a share group does with one partition. Its life, its offsets, what is to be written.
(SharePartition, KIP-932)

From `start_offset` to `end_offset` records are in flight: acquired, released, or done behind ones that are not done.
All before is done; all behind was never given out. Only results are written, never acquisitions: after a restart
whatever was acquired is available again. Nothing here waits: a change starts, its StateUpdate is written elsewhere, and
complete() is told how that went.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import NamedTuple, Protocol

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicIdPartition
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.share.cached_state import CachedState
from pykbroker.share.in_flight import InFlightBatch, InFlightState, RecordState
from pykbroker.share.locks import AcquisitionLocks
from pykbroker.share.start_offset import advance_start_offset, archive_deleted


class SharePartitionKey(NamedTuple):
    group_id: str
    partition: TopicIdPartition

    def __str__(self) -> str:
        return f"{self.group_id}-{self.partition}"


class Status(Enum):
    EMPTY = "empty"
    INITIALIZING = "initializing"
    ACTIVE = "active"
    FAILED = "failed"
    FENCED = "fenced"


class Limits(NamedTuple):
    """What a group's configs allow. `lock_duration` in seconds."""

    lock_duration: float
    delivery_count: int
    record_locks: int
    allows_renewal: bool


class GapWindow:
    """Offsets that were never given out though later ones were: the persister's state has holes there.

    It counts until something is given out behind `end_offset`. Gaps begin at `start_offset` or later.
    """

    __slots__ = ("end_offset", "start_offset")

    def __init__(self, start_offset: int, end_offset: int) -> None:
        self.start_offset = start_offset
        self.end_offset = end_offset


class StateRow:
    """The new state of some offsets."""

    __slots__ = ("delivery_count", "delivery_state", "first_offset", "last_offset")

    def __init__(self, first_offset: int, last_offset: int, delivery_state: RecordState, delivery_count: int) -> None:
        self.first_offset = first_offset
        self.last_offset = last_offset
        self.delivery_state = delivery_state
        self.delivery_count = delivery_count


class StateUpdate:
    """What the persister has to be told. `states` are in transition until it was."""

    __slots__ = ("rows", "states")

    def __init__(self) -> None:
        self.rows: list[StateRow] = []
        self.states: list[tuple[InFlightState, int, int]] = []

    def __bool__(self) -> bool:
        return bool(self.rows)

    def add(self, first: int, last: int, state: InFlightState) -> None:
        """Neighbours in the same state are one row."""
        previous = self.rows[-1] if self.rows else None
        if (
            previous is not None
            and previous.last_offset + 1 == first
            and (previous.delivery_state, previous.delivery_count) == (state.state, state.delivery_count)
        ):
            previous.last_offset = last
            return
        self.rows.append(StateRow(first, last, state.state, state.delivery_count))

    def add_transition(self, first: int, last: int, state: InFlightState) -> None:
        self.add(first, last, state)
        self.states.append((state, first, last))

    def transitions(self) -> Iterator[tuple[InFlightState, int, int]]:
        """Those states and their offsets, as they are by now."""
        for state, first, last in self.states:
            yield from state.pieces(first, last)


class Waiter(Protocol):
    """A share fetch that waits for records of this share partition."""

    def wake(self) -> None: ...


class StoredBatch(Protocol):
    first_offset: int
    last_offset: int
    delivery_state: int
    delivery_count: int


def _is_sound(stored: StoredBatch, start_offset: int) -> bool:
    return start_offset <= stored.first_offset <= stored.last_offset and 0 <= stored.delivery_state <= max(RecordState)


class SharePartition:
    """`limits` is asked anew for each operation: group configs change."""

    __slots__ = (
        "cached",
        "delivery_complete_count",
        "end_offset",
        "gap",
        "key",
        "leader_epoch",
        "limits",
        "locks",
        "looks_for_next_offset",
        "start_offset",
        "state_epoch",
        "status",
        "waiters",
    )

    def __init__(self, key: SharePartitionKey, leader_epoch: int, limits: Callable[[], Limits]) -> None:
        self.key = key
        self.leader_epoch = leader_epoch
        self.limits = limits
        self.status = Status.EMPTY
        self.cached = CachedState()
        self.locks = AcquisitionLocks()
        self.start_offset = 0
        self.end_offset = 0
        self.state_epoch = 0
        self.gap: GapWindow | None = None
        # Whether records may be available before `end_offset`.
        self.looks_for_next_offset = False
        # Records from `start_offset` on that are done: with them the group's lag is known (KIP-1226).
        self.delivery_complete_count = 0
        self.waiters: set[Waiter] = set()

    def wake(self) -> None:
        for waiter in list(self.waiters):
            waiter.wake()

    # -- life

    @property
    def is_active(self) -> bool:
        return self.status is Status.ACTIVE

    def initialize(self, start_offset: int, state_epoch: int, batches: Iterable[StoredBatch]) -> None:
        """Takes over the state that was read. Raises KafkaError when it cannot be."""
        self.start_offset = start_offset
        self.state_epoch = state_epoch
        gap_start, expected = -1, start_offset
        for stored in batches:
            if not _is_sound(stored, start_offset):
                raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"Failed to initialize the share partition {self.key}")
            if gap_start == -1 and stored.first_offset > expected:
                gap_start = expected
            expected = stored.last_offset + 1
            state = InFlightState(RecordState(stored.delivery_state), stored.delivery_count)
            self.cached.put(InFlightBatch(stored.first_offset, stored.last_offset, state))
            if state.state.is_terminal:
                self.delivery_complete_count += stored.last_offset - stored.first_offset + 1
        self.end_offset = start_offset
        if self.cached:
            self.looks_for_next_offset = True
            self.end_offset = self.cached.last.last_offset
            if gap_start != -1:
                self.gap = GapWindow(gap_start, self.end_offset)
            advance_start_offset(self)
        self.status = Status.ACTIVE

    def fence(self) -> None:
        """Somebody else knows the truth about it from now on."""
        self.status = Status.FENCED
        self.locks.clear()
        self.wake()

    # -- offsets

    @property
    def has_gap(self) -> bool:
        return self.gap is not None and self.gap.end_offset == self.end_offset

    def gap_given_out_before(self, offset: int) -> None:
        """It never grows again, as Kafka's does when something before it is given out once more."""
        if self.gap is None:
            return
        if self.has_gap and offset <= self.gap.end_offset:
            self.gap.start_offset = max(self.gap.start_offset, offset)
        else:
            self.gap = None

    @property
    def is_behind_cache(self) -> bool:
        return not self.cached or self.start_offset > self.cached.last.last_offset

    def next_fetch_offset(self) -> int:
        """Where the next records to give out are, or will be."""
        if self.is_behind_cache:
            self.looks_for_next_offset = False
            return self.end_offset
        if self.looks_for_next_offset:
            found = self._first_available()
            if found is not None:
                return found
            self.looks_for_next_offset = False
        return self.end_offset + 1

    def _first_available(self) -> int | None:
        gap_start = max(self.gap.start_offset, self.start_offset) if self.gap is not None and self.has_gap else None
        for batch in self.cached:
            if gap_start is not None:
                if batch.first_offset > gap_start:
                    return gap_start
                gap_start = max(batch.last_offset + 1, gap_start)
            if batch.state is not None:
                if batch.state.is_acquirable:
                    return batch.first_offset
                continue
            for offset, state in batch.items(batch.first_offset, batch.last_offset):
                if state.is_acquirable:
                    return offset
        return None

    @property
    def in_flight_count(self) -> int:
        return self.end_offset - self.start_offset + 1 if self.cached else 0

    def can_acquire(self) -> bool:
        """Whether reading makes sense: something was released, or there may be more in flight."""
        return self.next_fetch_offset() != self.end_offset + 1 or self.in_flight_count < self.limits().record_locks

    def count_from_start(self, first: int, last: int) -> int:
        return max(0, last - max(self.start_offset, first) + 1)

    # -- what is written

    def roll_back(self, update: StateUpdate) -> None:
        """It was not written, or will not be."""
        for state, first, last in update.transitions():
            was_terminal = state.state.is_terminal
            state.complete_transition(commit=False)
            if state.state == RecordState.AVAILABLE:
                self.looks_for_next_offset = True
                if first < self.start_offset:
                    archive_deleted(self)
            if was_terminal and not state.state.is_terminal:
                self.delivery_complete_count -= self.count_from_start(first, last)

    def complete(self, update: StateUpdate, *, is_written: bool) -> None:
        """A lock that ran out is released at once, whatever becomes of its update: then only the offset moves."""
        if is_written:
            for state, _, _ in update.transitions():
                state.complete_transition(commit=True)
                if state.state == RecordState.AVAILABLE:
                    self.looks_for_next_offset = True
        else:
            self.roll_back(update)
        advance_start_offset(self)
        self.wake()
