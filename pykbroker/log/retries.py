"""What snapshots forget of producers: the batches before the last one, which a client may send again after a crash.

Kafka recovers the last batch alone, and tells a client with several under way that its sequence is out of order,
which many cannot get over. The end of the log knows better.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from pykbroker.log.producer_entry import NUM_BATCHES_TO_RETAIN, BatchMetadata, ProducerEntry
from pykbroker.log.producer_state import ProducerStateManager
from pykbroker.log.segment import BatchAt, LogSegment
from pykbroker.record.batch import increment_sequence

# Five batches as large as they may be by default.
TAIL_BYTES = 5 << 20


def remember_batches(producers: ProducerStateManager, segments: Sequence[LogSegment]) -> None:
    """Completes the batches of all producers from the last segments. Raises OSError, CorruptBatch."""
    wanted = {
        entry.producer_id: entry
        for entry in producers.active()
        if 0 < len(entry.batches) < NUM_BATCHES_TO_RETAIN and entry.batches[0].first_sequence > 0
    }
    if not wanted:
        return
    found: defaultdict[int, list[BatchMetadata]] = defaultdict(list)
    for batch in tail(segments):
        header = batch.header
        if header is None or header.is_control or header.producer_id not in wanted:
            continue
        entry = wanted[header.producer_id]
        if header.producer_epoch == entry.epoch and batch.last_offset < entry.batches[0].first_offset:
            found[header.producer_id].append(
                BatchMetadata(header.last_sequence, batch.last_offset, header.last_offset_delta, header.max_timestamp)
            )
    for producer_id, batches in found.items():
        prepend(wanted[producer_id], batches)


def tail(segments: Sequence[LogSegment]) -> Iterator[BatchAt]:
    """The batches of the last bytes of a log, in order; at least those."""
    places: list[tuple[LogSegment, int]] = []
    left = TAIL_BYTES
    for segment in reversed(segments):
        entry = segment.offset_index.floor(segment.size - left, 1)
        places.append((segment, entry[1] if entry else 0))
        left -= segment.size
        if left <= 0:
            break
    for segment, position in reversed(places):
        yield from segment.batches(position)


def prepend(entry: ProducerEntry, earlier: Sequence[BatchMetadata]) -> None:
    """As far as the sequences go on without a gap."""
    for batch in reversed(earlier):
        following = entry.batches[0].first_sequence
        if len(entry.batches) == NUM_BATCHES_TO_RETAIN or increment_sequence(batch.last_sequence, 1) != following:
            return
        entry.batches.insert(0, batch)
