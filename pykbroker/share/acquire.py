"""Records given to a member: in batches as they are stored, or as many as it asked for. (SharePartition.acquire)"""

from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from pykbroker.protocol.messages.share_fetch import AcquiredRecords
from pykbroker.share.aborted import without_aborted
from pykbroker.share.fetched_records import FetchedRecords
from pykbroker.share.in_flight import InFlightBatch, InFlightState, RecordState
from pykbroker.share.start_offset import archive_stale

if TYPE_CHECKING:
    from pykbroker.share.share_partition import Limits, SharePartition

# Below it no record is ever thought to be what makes its members fail.
LEAST_THROTTLED = 2


class Wish(NamedTuple):
    """Who wants how much. `is_record_limit`: never more than `max_records` (ShareAcquireMode, KIP-1206); else whole
    batches as they are stored, grouped until there are `batch_size` records. `fetch_offset`: where the read began."""

    member_id: str
    max_records: int
    batch_size: int
    is_record_limit: bool
    fetch_offset: int


def acquire(
    partition: "SharePartition", wish: Wish, fetched: FetchedRecords, now: float
) -> tuple[list[AcquiredRecords], int]:
    """(what is the member's now, how many records that is); `now`: clock.monotonic seconds."""
    return _Acquisition(partition, wish, fetched, now).run()


class _Acquisition:
    __slots__ = ("acquired", "count", "deadline", "fetched", "limits", "partition", "room", "wish")

    def __init__(self, partition: "SharePartition", wish: Wish, fetched: FetchedRecords, now: float) -> None:
        self.partition = partition
        self.wish = wish
        self.fetched = fetched
        self.limits: Limits = partition.limits()
        self.deadline = now + self.limits.lock_duration
        self.acquired: list[AcquiredRecords] = []
        self.count = 0
        self.room = 0

    def run(self) -> tuple[list[AcquiredRecords], int]:
        partition, batches = self.partition, self.fetched.batches
        if not partition.is_active or self.wish.max_records <= 0 or not batches:
            return [], 0
        if batches[-1].last_offset < partition.start_offset:
            return [], 0
        last = self._make_room(batches[-1].last_offset)
        if self.room <= 0:
            return [], 0
        first = batches[0].base_offset
        archive_stale(partition, self.wish.fetch_offset, first)
        base = self._base_offset(first)
        if base > last:
            return [], 0
        known = partition.cached.between(min(first, base), last)
        if known:
            self._acquire_known(known, base, first, last)
            if self.acquired:
                partition.gap_given_out_before(self.acquired[-1].last_offset + 1)
        else:
            self._acquire_new(base, last, self.room)
        return without_aborted(partition, self.fetched, self.acquired, self.count)

    def _make_room(self, last: int) -> int:
        """How many records at most, and up to which offset: when too many are in flight, only what was released."""
        partition, wanted = self.partition, self.wish.max_records
        self.room = min(wanted, self.limits.record_locks - partition.in_flight_count)
        if self.room <= 0 and self.wish.fetch_offset <= partition.end_offset:
            self.room = min(wanted, partition.end_offset - self.wish.fetch_offset + 1)
            return min(last, partition.end_offset)
        return last

    def _base_offset(self, first: int) -> int:
        """The first stored batch may begin before what is still of interest, or within a batch in flight."""
        floor = self.partition.cached.floor(first)
        if floor is not None and floor.last_offset >= first:
            return floor.first_offset
        return max(first, self.partition.start_offset)

    # -- what was released, and gaps

    def _acquire_known(self, known: list[InFlightBatch], base: int, first: int, last: int) -> None:
        partition = self.partition
        gap_start = start = max(base, partition.start_offset)
        for batch in known:
            if self.count >= self.room:
                break
            if partition.has_gap:
                if gap_start < batch.first_offset:
                    self._acquire_new(gap_start, batch.first_offset - 1, self.room - self.count)
                gap_start = max(gap_start, batch.last_offset + 1)
                if self.count >= self.room:
                    break
            is_throttled = self._is_throttled(batch, first, last)
            if is_throttled and self.count:
                return  # they come alone
            before = self.count
            self._acquire_batch(batch, first, last, is_throttled)
            if is_throttled and self.count > before:
                return
        behind = max(start, known[-1].last_offset + 1)
        if self.count < self.room and behind <= last:
            self._acquire_new(behind, last, self.room - self.count)

    def _acquire_batch(self, batch: InFlightBatch, first: int, last: int, is_throttled: bool) -> None:
        is_whole = batch.is_within(first, last) and not is_throttled
        if self.wish.is_record_limit and len(batch) > self.room - self.count:
            is_whole = False
        if batch.state is not None:
            if not batch.state.is_acquirable:
                return
            if is_whole:
                self._take_batch(batch, batch.state)
                return
            batch.split(self.partition.locks)
        self._take_offsets(batch, first, last)

    def _take_batch(self, batch: InFlightBatch, state: InFlightState) -> None:
        if self._take(state, batch.first_offset, batch.last_offset):
            self.acquired.append(_row(batch.first_offset, batch.last_offset, state.delivery_count))
            self.count += len(batch)

    def _take(self, state: InFlightState, first: int, last: int) -> bool:
        if not state.try_update(RecordState.ACQUIRED, self.limits.delivery_count, self.wish.member_id):
            return False
        state.lock = self.partition.locks.add(first, last, self.deadline)
        return True

    def _take_offsets(self, batch: InFlightBatch, first: int, last: int) -> None:
        """Records delivered often already come in ever smaller parts, the last time one by one: whichever of them
        makes its member fail shall not take the others along."""
        limit, throttled_from = self.limits.delivery_count, self._throttled_from
        most: int | None = self.room - self.count if self.wish.is_record_limit else None
        most_throttled: int | None = None
        taken: list[tuple[int, int]] = []
        for offset, state in batch.items(first, last):
            if not state.is_acquirable:
                continue
            if limit > LEAST_THROTTLED and state.delivery_count == limit - 1 and taken:
                break
            if state.delivery_count >= throttled_from and most_throttled is None:
                most_throttled = max(1, len(batch) >> (state.delivery_count - throttled_from + 1))
            if not self._take(state, offset, offset):
                continue
            taken.append((offset, state.delivery_count))
            if limit > LEAST_THROTTLED and state.delivery_count == limit:
                break
            if len(taken) in (most, most_throttled):
                break
        self.acquired += _rows(taken)
        self.count += len(taken)

    @property
    def _throttled_from(self) -> int:
        return max(LEAST_THROTTLED, ceil(self.limits.delivery_count / 2))

    def _is_throttled(self, batch: InFlightBatch, first: int, last: int) -> bool:
        states = [batch.state] if batch.state is not None else [state for _, state in batch.items(first, last)]
        return any(state.is_acquirable and state.delivery_count >= self._throttled_from for state in states)

    # -- what was never given out

    def _acquire_new(self, first: int, last: int, most: int) -> None:
        partition = self.partition
        if not partition.cached:
            first = max(first, partition.end_offset)
        end = last
        if most < last - first + 1:
            end = self._end_of_batch(first + most - 1)
            if partition.has_gap:
                end = min(end, last)
        rows = self._add_batches(first, end, most)
        if partition.cached.first_key == first:
            partition.start_offset = first
        partition.end_offset = max(partition.end_offset, end)
        if self.wish.is_record_limit:
            end = rows[0].last_offset
        partition.gap_given_out_before(end + 1)
        self.acquired += rows
        self.count += end - first + 1

    def _end_of_batch(self, offset: int) -> int:
        """The last offset of the stored batch that holds `offset`; `offset` when there is none."""
        found = None
        for batch in self.fetched.batches:
            if batch.base_offset > offset:
                break
            found = batch
        return found.last_offset if found is not None and offset <= found.last_offset else offset

    def _add_batches(self, first: int, last: int, most: int) -> list[AcquiredRecords]:
        if self.wish.is_record_limit:
            return [self._add_limited(first, last, most)]
        bounds = [first]
        if last - first + 1 > self.wish.batch_size:
            for stored in self.fetched.batches:
                if stored.base_offset > last:
                    break
                if stored.base_offset - bounds[-1] >= max(1, self.wish.batch_size):
                    bounds.append(stored.base_offset)
        rows = [_row(start, end - 1, 1) for start, end in zip(bounds, [*bounds[1:], last + 1], strict=True)]
        for row in rows:
            self._add(row.first_offset, row.last_offset)
        return rows

    def _add_limited(self, first: int, last: int, most: int) -> AcquiredRecords:
        """One batch; what of it is beyond the limit is available to others."""
        last_acquired = min(last, first + most - 1)
        if last_acquired == last:
            self._add(first, last)
        else:
            batch = InFlightBatch(first, last, InFlightState(RecordState.ACQUIRED, 1, self.wish.member_id))
            batch.split_at(last_acquired, self.partition.locks, self.deadline)
            self.partition.cached.put(batch)
            self.partition.looks_for_next_offset = True
        return _row(first, last_acquired, 1)

    def _add(self, first: int, last: int) -> None:
        lock = self.partition.locks.add(first, last, self.deadline)
        state = InFlightState(RecordState.ACQUIRED, 1, self.wish.member_id, lock)
        self.partition.cached.put(InFlightBatch(first, last, state))


def _row(first: int, last: int, delivery_count: int) -> AcquiredRecords:
    return AcquiredRecords(first_offset=first, last_offset=last, delivery_count=delivery_count)


def _rows(taken: list[tuple[int, int]]) -> list[AcquiredRecords]:
    """Neighbours delivered as often are one row (accumulateAcquiredRecords)."""
    rows: list[AcquiredRecords] = []
    for offset, count in taken:
        if rows and rows[-1].last_offset + 1 == offset and rows[-1].delivery_count == count:
            rows[-1].last_offset = offset
        else:
            rows.append(_row(offset, offset, count))
    return rows
