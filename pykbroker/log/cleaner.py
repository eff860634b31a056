"""Cleans the segments of one log: keeps of each key the latest record. (Cleaner)

Work for a thread, on values that do not change: it opens the files itself and touches nothing of the broker's. First
build_offset_map() of the dirty part, then clean_group() for each group of segments from the log's beginning on.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import compress
from typing import NamedTuple

from pykbroker.log.batch_filter import (
    Filtered,
    Retention,
    as_it_is,
    filter_batch,
    has_tombstone,
    records_of,
    with_records,
    without_records,
)
from pykbroker.log.cleaned_segment import CleanedSegment
from pykbroker.log.cleaned_transactions import CleanedTransactions
from pykbroker.log.files import Files
from pykbroker.log.key_walk import walk_keys
from pykbroker.log.latest_offsets import LatestOffsets
from pykbroker.log.legacy_filter import filter_legacy, legacy_records
from pykbroker.log.log_config import LogConfig
from pykbroker.log.offset_map import OffsetMap
from pykbroker.log.record_spans import HAS_VALUE, KEY, OFFSET_DELTA, Span, record_spans
from pykbroker.log.segment import segment_path
from pykbroker.record.batch import (
    CURRENT_MAGIC,
    HEADER_SIZE,
    MAGIC_OFFSET,
    BatchHeader,
    batch_length_at,
    crc_is_valid,
    parse_header,
)
from pykbroker.record.damage import CorruptBatch
from pykbroker.record.reader import Record


class SourceSegment(NamedTuple):
    """A sealed segment. `position`: from where its batches are of interest; `next_base`: of the segment behind it."""

    directory: str
    base_offset: int
    size: int
    next_base: int
    position: int = 0

    @property
    def path(self) -> str:
        return segment_path(self.directory, self.base_offset, ".log")


class LastRecord(NamedTuple):
    """Of a producer that is remembered: its last data batch's last offset, -1 when only a marker came."""

    last_data_offset: int
    epoch: int


class Round(NamedTuple):
    """One cleaning of a log. Offsets: it reads into the map from `first_dirty` on, up to `first_uncleanable`."""

    directory: str
    config: LogConfig
    first_dirty: int
    first_uncleanable: int
    now_ms: int
    legacy_horizon_ms: int
    producers: Mapping[int, LastRecord]


class CleanerStats:
    """Bytes and records of one round."""

    __slots__ = ("bytes_read", "bytes_written", "invalid", "map_bytes_read", "records_kept", "records_read")

    def __init__(self) -> None:
        self.map_bytes_read = 0
        self.bytes_read = 0
        self.bytes_written = 0
        self.records_read = 0
        self.records_kept = 0
        self.invalid = 0


class Cleaner:
    """`pace(bytes)` is called after each piece of work: it may rest, and raises CleaningAborted when it is enough."""

    def __init__(
        self,
        files: Files,
        offset_map: OffsetMap,
        first_dirty: int,
        *,
        io_buffer_size: int,
        pace: Callable[[int], None],
        largest_segment: int,
    ) -> None:
        self.stats = CleanerStats()
        self._files = files
        self._map = offset_map
        self._latest = LatestOffsets(offset_map, first_dirty)
        # Whether the map is of any record without a value.
        self._has_tombstones = False
        self._chunk_size = io_buffer_size
        self._pace = pace
        self._largest_segment = largest_segment

    # The offset map

    def build_offset_map(
        self, round_: Round, segments: Sequence[SourceSegment], transactions: CleanedTransactions
    ) -> int:
        """Reads the dirty segments until they end or the map is full; the first offset that it does not cover.

        Raises CleaningAborted, KafkaError for damaged batches, OSError.
        """
        for segment in segments:
            if not self._map_segment(segment, round_.first_dirty, transactions):
                break
            # Offsets may have gaps: all of the segment is covered.
            self._map.latest_offset = segment.next_base - 1
        return self._map.latest_offset + 1

    def _map_segment(self, segment: SourceSegment, start: int, transactions: CleanedTransactions) -> bool:
        for data, size in self._batches(segment):
            self.stats.map_bytes_read += size
            is_whole, last_offset = self._map_batch(data, start, transactions)
            if not is_whole:
                return False
            if last_offset >= start:
                self._map.latest_offset = last_offset
        return True

    def _map_batch(self, data: bytes, start: int, transactions: CleanedTransactions) -> tuple[bool, int]:
        """Whether all of it found a place, and its last offset."""
        if data[MAGIC_OFFSET] < CURRENT_MAGIC:
            return self._map_legacy(data, start)
        header = checked_header(data)
        if header.is_control:
            transactions.on_control(header, control_key(data, header))
            return True, header.last_offset
        if transactions.on_data(header):
            return True, header.last_offset
        base = header.base_offset
        payload = records_of(data, header)
        plain = walk_keys(payload, header.record_count)
        if plain is not None and plain.is_consecutive and base >= start:
            self._has_tombstones |= plain.has_tombstone
            return self._map_keys(plain.keys, range(base, base + len(plain.keys))), header.last_offset
        spans = record_spans(payload, header.record_count)
        self._has_tombstones |= has_tombstone(spans)
        found = [(span[KEY], base + span[OFFSET_DELTA]) for span in spans]
        return self._map_found(found, start), header.last_offset

    def _map_legacy(self, data: bytes, start: int) -> tuple[bool, int]:
        records = legacy_records(data)
        return self._map_found([(record.key, record.offset) for record in records], start), records[-1].offset

    def _map_found(self, found: list[tuple[bytes | None, int]], start: int) -> bool:
        dirty = [(key, offset) for key, offset in found if offset >= start]
        keyed = [(key, offset) for key, offset in dirty if key is not None]
        self.stats.invalid += len(dirty) - len(keyed)
        return self._map_keys([key for key, _ in keyed], [offset for _, offset in keyed])

    def _map_keys(self, keys: Sequence[bytes], offsets: Sequence[int]) -> bool:
        """Where the map may become full on the way each key goes in by itself: what lies below the latest offset must
        be in it."""
        offset_map = self._map
        return offset_map.put_all(keys, offsets) or all(map(offset_map.put, keys, offsets))

    # Copying

    def clean_group(
        self, round_: Round, group: Sequence[SourceSegment], transactions: CleanedTransactions
    ) -> list[CleanedSegment]:
        """Writes what stays of the group into one new segment, on disk when it returns; more than one when
        recompressing made it larger than a segment can be.

        Raises CleaningAborted, KafkaError for damaged batches, OSError; then nothing is left of it.
        """
        output = _Output(self._files, round_, group[0].base_offset, transactions, self._largest_segment)
        try:
            modified_ns = 0
            for segment in group:
                modified_ns = os.stat(segment.path).st_mtime_ns
                keeps_deletes = modified_ns // 1_000_000 > round_.legacy_horizon_ms
                for data, size in self._batches(segment):
                    found = self._filter(data, round_, transactions, keeps_deletes)
                    self.stats.bytes_read += size
                    self.stats.records_read += found.read
                    self.stats.records_kept += found.kept
                    if found.data is not None:
                        output.append(found)
            output.finish(modified_ns)
        except BaseException:
            output.discard()
            raise
        self.stats.bytes_written += sum(segment.size for segment in output.segments)
        return output.segments

    def _filter(self, data: bytes, round_: Round, transactions: CleanedTransactions, keeps_deletes: bool) -> Filtered:
        if data[MAGIC_OFFSET] < CURRENT_MAGIC:
            return filter_legacy(data, lambda record: self._stays_legacy(record, keeps_deletes))
        header = checked_header(data)
        now_ms = round_.now_ms
        if header.is_control:
            may_go = transactions.on_control(header, control_key(data, header))
            discards = may_go and header.has_delete_horizon and header.base_timestamp <= now_ms
        else:
            may_go = discards = transactions.on_data(header)
        if _is_last_of_producer(header, round_.producers) or header.next_offset == round_.first_uncleanable:
            retention = Retention.RETAIN_EMPTY
        else:
            retention = Retention.DELETE_EMPTY
        if discards:
            return without_records(header, retention)
        new_horizon_ms = now_ms + round_.config.delete_retention_ms
        if header.is_control:
            return filter_batch(data, header, retention, _all, new_horizon_ms, ends_empty_transaction=may_go)
        deletes_stay = not header.has_delete_horizon or now_ms < header.base_timestamp
        latest = self._latest.among(header.base_offset, header.last_offset) if deletes_stay else None
        if latest is not None:
            return self._filter_mapped(data, header, retention, latest, new_horizon_ms)
        payload = records_of(data, header)
        if deletes_stay and self._is_untouched(payload, header.record_count):
            return as_it_is(data, header)
        select = partial(self._staying, deletes_stay)
        return filter_batch(data, header, retention, select, new_horizon_ms, payload=payload)

    def _filter_mapped(
        self, data: bytes, header: BatchHeader, retention: Retention, latest: bytes, new_horizon_ms: int
    ) -> Filtered:
        """A batch that is in the map as a whole."""
        count = latest.count(1)
        if not count:
            return without_records(header, retention)
        if count == header.record_count and not self._has_tombstones:
            return as_it_is(data, header)
        payload = records_of(data, header)
        kept = _latest_spans(payload, header.record_count, latest)
        return with_records(data, header, retention, payload, kept, new_horizon_ms)

    def _is_untouched(self, payload: bytes, count: int) -> bool:
        """Whether the map knows none of its keys, and nothing in it ever ends."""
        plain = walk_keys(payload, count)
        return plain is not None and count > 0 and not plain.has_tombstone and self._map.has_none_of(plain.keys)

    def _staying(self, deletes_stay: bool, header: BatchHeader, spans: list[Span]) -> Sequence[Span]:
        covered = self._map.latest_offset
        latest_of = self._map.get
        base = header.base_offset
        kept = []
        for span in spans:
            offset = base + span[OFFSET_DELTA]
            if offset <= covered:
                key = span[KEY]
                if key is None or not (span[HAS_VALUE] or deletes_stay) or offset < latest_of(key):
                    continue
            kept.append(span)
        return kept

    def _stays_legacy(self, record: Record, keeps_deletes: bool) -> bool:
        if record.offset > self._map.latest_offset:
            return True
        if record.key is None:
            return False
        return (record.value is not None or keeps_deletes) and record.offset >= self._map.get(record.key)

    # Reading

    def _batches(self, segment: SourceSegment) -> Iterator[tuple[bytes, int]]:
        """(batch, its size) for each batch from the segment's position on; paced chunk by chunk.

        Raises CorruptBatch where the bytes are none, or end within one.
        """
        fd = self._files.open(segment.path, os.O_RDONLY)
        try:
            position = segment.position
            wanted = self._chunk_size
            while position < segment.size:
                chunk = self._files.pread(fd, min(wanted, segment.size - position), position)
                self._pace(len(chunk))
                taken = 0
                while (size := batch_length_at(chunk, taken)) is not None and taken + size <= len(chunk):
                    yield chunk[taken : taken + size], size
                    taken += size
                if not taken:
                    # Not one whole batch: read just that, which costs no more than the batch itself.
                    wanted = self._larger(segment, chunk, position, wanted)
                    continue
                position += taken
                wanted = self._chunk_size
        finally:
            self._files.close(fd)

    def _larger(self, segment: SourceSegment, chunk: bytes, position: int, wanted: int) -> int:
        size = batch_length_at(chunk, 0)
        left = segment.size - position
        if size is None or size > left or size <= wanted:
            raise CorruptBatch(f"{segment.path} at {position}: {left} bytes are left, too few for a batch")
        return size


class _Output:
    """The cleaned segments of one group."""

    def __init__(
        self, files: Files, round_: Round, base_offset: int, transactions: CleanedTransactions, largest: int
    ) -> None:
        self._files = files
        self._round = round_
        self._transactions = transactions
        self._largest = largest
        self.segments: list[CleanedSegment] = []
        self._begin(base_offset)

    def _begin(self, base_offset: int) -> None:
        segment = CleanedSegment(self._files, self._round.directory, base_offset, self._round.config)
        self.segments.append(segment)
        self._transactions.keep_aborted = segment.add_aborted

    def append(self, found: Filtered) -> None:
        assert found.data is not None
        header = found.header
        if self.segments[-1].size + len(found.data) > self._largest:
            self._begin(header.base_offset)
        self.segments[-1].append(found.data, header.last_offset, header.max_timestamp)

    def finish(self, modified_ns: int) -> None:
        for segment in self.segments:
            segment.finish(modified_ns)
        self._files.fsync_directory(self._round.directory)

    def discard(self) -> None:
        for segment in self.segments:
            segment.discard()


def checked_header(data: bytes) -> BatchHeader:
    """Damage must not be copied under a new checksum. Raises CorruptBatch."""
    header = parse_header(data)
    if not crc_is_valid(data, 0, header):
        raise CorruptBatch(f"The batch at offset {header.base_offset} has a wrong checksum")
    return header


def control_key(data: bytes, header: BatchHeader) -> bytes | None:
    """The key of a control batch's record, None when it has none. Raises InvalidRecord."""
    spans = record_spans(data[HEADER_SIZE:], header.record_count)
    return spans[0][KEY] if spans else None


def _latest_spans(payload: bytes, count: int, latest: bytes) -> list[Span]:
    """Of the records whose offset deltas have a 1 in `latest`. Raises InvalidRecord."""
    if len(latest) == count:
        spans = record_spans(payload, count, latest)
        if [span[OFFSET_DELTA] for span in spans] == list(compress(range(count), latest)):
            return spans
    return [span for span in record_spans(payload, count) if latest[span[OFFSET_DELTA]]]


def _all(_: BatchHeader, spans: list[Span]) -> Sequence[Span]:
    return spans


def _is_last_of_producer(header: BatchHeader, producers: Mapping[int, LastRecord]) -> bool:
    """A producer's last batch keeps its sequence, a last marker its epoch."""
    last = producers.get(header.producer_id) if header.has_producer_id else None
    if last is None:
        return False
    if last.last_data_offset >= 0:
        return header.last_offset == last.last_data_offset
    return header.is_control and header.producer_epoch == last.epoch
