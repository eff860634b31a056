"""Records of aborted transactions are never given to members of a read_committed group: they are archived.
(SharePartition.filterAbortedTransactionalAcquiredRecords)
"""

from typing import TYPE_CHECKING

from pykbroker.protocol.messages.share_fetch import AcquiredRecords
from pykbroker.share.fetched_records import Batch, FetchedRecords
from pykbroker.share.in_flight import RecordState
from pykbroker.share.start_offset import advance_start_offset, archive_records

if TYPE_CHECKING:
    from pykbroker.share.share_partition import SharePartition


def without_aborted(
    partition: "SharePartition", fetched: FetchedRecords, acquired: list[AcquiredRecords], count: int
) -> tuple[list[AcquiredRecords], int]:
    """What of `acquired` the member gets, and how many records that is.

    The start offset moves at once where that frees it. Kafka waits for the next acknowledgement, which never comes
    when everything in flight is aborted.
    """
    if not fetched.aborted or not acquired:
        return acquired, count
    aborted = aborted_batches(fetched)
    for batch in aborted:
        first, last = batch.base_offset, batch.last_offset
        batches = partition.cached.overlapping(first, last)
        archive_records(partition, first, last, batches, RecordState.ACQUIRED, counts=True)
    if aborted:
        advance_start_offset(partition)
    for batch in aborted:
        acquired = [part for row in acquired for part in _without(row, batch)]
    return acquired, sum(row.last_offset - row.first_offset + 1 for row in acquired)


def aborted_batches(fetched: FetchedRecords) -> list[Batch]:
    """A producer's batches between the start of an aborted transaction and its marker."""
    waiting = sorted(fetched.aborted, key=lambda transaction: transaction.first_offset, reverse=True)
    producers: set[int] = set()
    found = []
    for batch in fetched.batches:
        header = batch.header
        if header is None or not header.has_producer_id:
            continue
        while waiting and waiting[-1].first_offset <= batch.last_offset:
            producers.add(waiting.pop().producer_id)
        if batch.is_abort:
            producers.discard(header.producer_id)
        elif header.is_transactional and header.producer_id in producers:
            found.append(batch)
    return found


def _without(row: AcquiredRecords, batch: Batch) -> list[AcquiredRecords]:
    if row.last_offset < batch.base_offset or row.first_offset > batch.last_offset:
        return [row]
    parts = []
    if row.first_offset < batch.base_offset:
        parts.append(_part(row.first_offset, batch.base_offset - 1, row))
    if row.last_offset > batch.last_offset:
        parts.append(_part(batch.last_offset + 1, row.last_offset, row))
    return parts


def _part(first: int, last: int, row: AcquiredRecords) -> AcquiredRecords:
    return AcquiredRecords(first_offset=first, last_offset=last, delivery_count=row.delivery_count)
