"""Record batches as they are read for a share fetch: their offsets, and the bytes to send. (ShareFetchUtils)

A share fetch may find megabytes and give out a few hundred records, so only what may be given out is read. As in Kafka
nobody looks into batches of magic 2, damaged or not: whoever gets them does. What has to be looked into and cannot be
read ends the answer; Kafka's ends with the error even when there are good batches before it.
"""

from collections.abc import Iterable
from os import pread
from typing import NamedTuple, Protocol

from pykbroker.errors import KafkaError
from pykbroker.log.segment import Region
from pykbroker.protocol.messages.share_fetch import AcquiredRecords
from pykbroker.record.batch import (
    CURRENT_MAGIC,
    HEADER_SIZE,
    MAGIC_OFFSET,
    BatchHeader,
    batch_length_at,
    unpack_header,
)
from pykbroker.record.control import ControlType, control_type_of
from pykbroker.record.damage import CorruptBatch
from pykbroker.record.reader import iterate_records

CHUNK = 256 * 1024  # bytes


class Batch(NamedTuple):
    """One of any magic, `size` bytes from `position` on. `header` None for magic 0 and 1; `is_abort`: the marker of an
    aborted transaction, told only where such transactions are left out."""

    base_offset: int
    last_offset: int
    position: int
    size: int
    header: BatchHeader | None
    is_abort: bool = False


class Aborted(Protocol):
    @property
    def producer_id(self) -> int: ...
    @property
    def first_offset(self) -> int: ...


class FetchedRecords:
    """`aborted`: transactions that touch them, for read_committed alone."""

    __slots__ = ("_data", "aborted", "batches")

    def __init__(self, data: bytes | bytearray, batches: list[Batch], aborted: Iterable[Aborted] = ()) -> None:
        self._data = data
        self.batches = batches
        self.aborted = list(aborted)

    def slice(self, acquired: list[AcquiredRecords]) -> memoryview:
        """The whole batches that hold what was acquired, and those between them (maybeSliceFetchRecords)."""
        first, last = acquired[0].first_offset, acquired[-1].last_offset
        start, end = 0, self.batches[0].size
        for batch in self.batches[1:]:
            if batch.base_offset <= first:
                start = batch.position
            elif batch.base_offset > last:
                break
            end = batch.position + batch.size
        return memoryview(self._data)[start:end]


def read_records(
    regions: Iterable[Region], in_flight_until: int, max_records: int, aborted: Iterable[Aborted] = ()
) -> FetchedRecords:
    """What of `regions` may be given out: up to `max_records` behind `in_flight_until`, the last offset that was given
    out before, rounded up to a batch. Raises OSError; KafkaError when the first batch cannot be read."""
    data = bytearray()
    batches: list[Batch] = []
    aborted = list(aborted)
    for region in regions:
        position, end = region.position, region.position + region.length
        while position < end:
            piece = pread(region.file.fileno(), min(CHUNK, end - position), position)
            if not piece:
                break
            position += len(piece)
            data += piece
            goes_on = _find_batches(data, batches, with_markers=bool(aborted))
            if not goes_on or _is_enough(batches, in_flight_until, max_records):
                return FetchedRecords(data, batches, aborted)
    return FetchedRecords(data, batches, aborted)


def _is_enough(batches: list[Batch], in_flight_until: int, max_records: int) -> bool:
    return bool(batches) and batches[-1].base_offset > max(in_flight_until, batches[0].base_offset) + max_records


def _find_batches(data: bytearray, batches: list[Batch], *, with_markers: bool) -> bool:
    """Adds those that are whole by now. False: the next one cannot be read. Raises KafkaError when there is none
    before it."""
    position = batches[-1].position + batches[-1].size if batches else 0
    try:
        while (size := batch_length_at(data, position)) is not None and position + size <= len(data):
            batch = _batch(data, position, size, with_markers=with_markers)
            _check_offsets(batch, batches)
            batches.append(batch)
            position += size
    except KafkaError:
        if not batches:
            raise
        return False
    return True


def _batch(data: bytearray, position: int, size: int, *, with_markers: bool) -> Batch:
    """Raises KafkaError."""
    if data[position + MAGIC_OFFSET] == CURRENT_MAGIC and size >= HEADER_SIZE:
        header = unpack_header(data, position)
        is_abort = with_markers and header.is_control and _is_abort_marker(data, position)
        return Batch(header.base_offset, header.last_offset, position, size, header, is_abort)
    offsets = [record.offset for record in iterate_records(bytes(data[position : position + size]))]
    return Batch(offsets[0], offsets[-1], position, size, None)


def _is_abort_marker(data: bytearray, position: int) -> bool:
    first = next(iterate_records(data, position), None)
    return first is not None and control_type_of(first.key) == ControlType.ABORT


def _check_offsets(batch: Batch, before: list[Batch]) -> None:
    """Raises CorruptBatch when they go back: no record would be where it is looked for."""
    least = before[-1].last_offset + 1 if before else 0
    if not least <= batch.base_offset <= batch.last_offset:
        raise CorruptBatch(
            f"A batch has the offsets {batch.base_offset} to {batch.last_offset} where {least} is the least possible"
        )
