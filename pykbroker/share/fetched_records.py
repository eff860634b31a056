"""Record batches as they are read for a share fetch: their offsets, and the bytes to send. (ShareFetchUtils)

A share fetch may find megabytes and give out a few hundred records, so only what may be given out is read.
"""

from collections.abc import Iterable
from os import pread
from typing import NamedTuple, Protocol

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
from pykbroker.record.reader import iterate_records

CHUNK = 256 * 1024  # bytes


class Batch(NamedTuple):
    """One of any magic, `size` bytes from `position` on. `header` None for magic 0 and 1."""

    base_offset: int
    last_offset: int
    position: int
    size: int
    header: BatchHeader | None


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

    def is_abort_marker(self, batch: Batch) -> bool:
        if batch.header is None or not batch.header.is_control:
            return False
        first = next(iterate_records(self._data, batch.position), None)
        return first is not None and control_type_of(first.key) == ControlType.ABORT


def read_records(
    regions: Iterable[Region], in_flight_until: int, max_records: int, aborted: Iterable[Aborted] = ()
) -> FetchedRecords:
    """What of `regions` may be given out: up to `max_records` behind `in_flight_until`, the last offset that was given
    out before, rounded up to a batch. Raises OSError."""
    data = bytearray()
    batches: list[Batch] = []
    for region in regions:
        position, end = region.position, region.position + region.length
        while position < end:
            piece = pread(region.file.fileno(), min(CHUNK, end - position), position)
            if not piece:
                break
            position += len(piece)
            data += piece
            _find_batches(data, batches)
            if batches and batches[-1].base_offset > max(in_flight_until, batches[0].base_offset) + max_records:
                return FetchedRecords(data, batches, aborted)
    return FetchedRecords(data, batches, aborted)


def _find_batches(data: bytearray, batches: list[Batch]) -> None:
    """Adds those that are whole by now."""
    position = batches[-1].position + batches[-1].size if batches else 0
    while (size := batch_length_at(data, position)) is not None and position + size <= len(data):
        batches.append(_batch(data, position, size))
        position += size


def _batch(data: bytearray, position: int, size: int) -> Batch:
    if data[position + MAGIC_OFFSET] == CURRENT_MAGIC and size >= HEADER_SIZE:
        header = unpack_header(data, position)
        return Batch(header.base_offset, header.last_offset, position, size, header)
    offsets = [record.offset for record in iterate_records(bytes(data[position : position + size]))]
    return Batch(offsets[0], offsets[-1], position, size, None)
