"""How the start offset of a share partition moves: behind what is done, and with the start of the log.
(SharePartition.maybeUpdateCachedStateAndOffsets, updateCacheAndOffsets)
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pykbroker.share.in_flight import InFlightBatch, RecordState

if TYPE_CHECKING:
    from pykbroker.share.share_partition import SharePartition


def advance_start_offset(partition: "SharePartition") -> bool:
    """Behind the last record of those at the start that are done and written. False: it stays."""
    if not _is_first_done(partition):
        return False
    last_done, count = _last_done(partition)
    if last_done == -1:
        return False
    cached = partition.cached
    if last_done == cached.last.last_offset:
        partition.start_offset = partition.end_offset = max(partition.start_offset, last_done + 1)
        partition.delivery_complete_count = 0
        cached.clear()
        return True
    batch = cached.floor(last_done)
    assert batch is not None
    if last_done == batch.last_offset:
        partition.start_offset = max(partition.start_offset, cached.higher_key(last_done))
        if partition.gap is not None and partition.has_gap:
            partition.start_offset = min(partition.start_offset, max(partition.gap.start_offset, last_done + 1))
        cached.remove_before(last_done + 1)
    else:
        partition.start_offset = max(partition.start_offset, last_done + 1)
        cached.remove_before(batch.first_offset)
    partition.delivery_complete_count -= count
    return True


def _is_first_done(partition: "SharePartition") -> bool:
    batch = partition.cached.floor(partition.start_offset)
    if batch is None:
        return False  # nothing in flight, or a gap comes first
    return batch.state_at(min(partition.start_offset, batch.last_offset)).is_done


def _last_done(partition: "SharePartition") -> tuple[int, int]:
    """(the last offset before the first that is not done, how many of those are counted); -1: none is done."""
    last, count = -1, 0
    gap_start = partition.gap.start_offset if partition.gap is not None and partition.has_gap else None
    for batch in partition.cached:
        if gap_start is not None:
            if batch.first_offset > gap_start:
                return last, count
            gap_start = max(gap_start, batch.last_offset + 1)
        if batch.state is not None:
            if not batch.state.is_done:
                return last, count
            last = batch.last_offset
            count += partition.count_from_start(batch.first_offset, batch.last_offset)
            continue
        for offset, state in batch.items(batch.first_offset, batch.last_offset):
            if not state.is_done:
                return last, count
            last = offset
            count += offset >= partition.start_offset
    return last, count


def move_to_log_start(partition: "SharePartition", log_start_offset: int) -> None:
    """Records before it are gone. Those acquired may still be acknowledged by whoever has them."""
    if log_start_offset <= partition.start_offset:
        return
    if not partition.cached:
        partition.start_offset = partition.end_offset = log_start_offset
        partition.delivery_complete_count = 0
        return
    done = _count_done(partition, log_start_offset)
    if archive_records(
        partition, partition.start_offset, log_start_offset - 1, partition.cached, RecordState.AVAILABLE, counts=False
    ):
        partition.looks_for_next_offset = True
    partition.start_offset = log_start_offset
    partition.delivery_complete_count -= done
    if partition.gap is not None:
        # Kafka keeps its start, reads there for ever, and never gets on.
        partition.gap.start_offset = max(partition.gap.start_offset, log_start_offset)
    partition.end_offset = max(partition.end_offset, log_start_offset)
    advance_start_offset(partition)


def _count_done(partition: "SharePartition", end: int) -> int:
    """Records from the start offset up to `end`, exclusive, that are counted as done."""
    count = 0
    for batch in partition.cached:
        if batch.first_offset >= end:
            break
        if batch.state is not None:
            if batch.state.state.is_terminal:
                count += partition.count_from_start(batch.first_offset, min(batch.last_offset, end - 1))
            continue
        for _, state in batch.items(partition.start_offset, end - 1):
            count += state.state.is_terminal
    return count


def archive_deleted(partition: "SharePartition") -> None:
    """Of what became available again, those before the start offset: they are not in the log any more."""
    cached, last = partition.cached, partition.start_offset - 1
    archive_records(partition, 0, last, cached.between(0, last), RecordState.AVAILABLE, counts=False)


def archive_stale(partition: "SharePartition", fetch_offset: int, base_offset: int) -> None:
    """Reading at `fetch_offset` gave nothing before `base_offset`: those records were compacted away."""
    if not partition.cached or fetch_offset >= base_offset:
        return
    floor = partition.cached.floor(fetch_offset)
    first = floor.first_offset if floor is not None and floor.last_offset >= fetch_offset else fetch_offset
    batches = partition.cached.between(first, base_offset - 1)
    if archive_records(partition, fetch_offset, base_offset - 1, batches, RecordState.AVAILABLE, counts=True):
        partition.looks_for_next_offset = True


def archive_records(
    partition: "SharePartition",
    first: int,
    last: int,
    batches: Iterable[InFlightBatch],
    initial: RecordState,
    *,
    counts: bool,
) -> bool:
    """Those from `first` to `last` that are in state `initial`; False when there are none. `counts`: as done."""
    archived = 0
    for batch in batches:
        if batch.first_offset > last:
            break
        if batch.state is not None:
            if batch.state.state != initial:
                continue
            if batch.is_within(first, last):
                batch.state.archive()
                archived += len(batch)
                continue
            batch.split(partition.locks)
        for _, state in batch.items(first, last):
            if state.state == initial:
                state.archive()
                archived += 1
    if counts:
        partition.delivery_complete_count += archived
    return archived > 0
