"""Entries of .index, .timeindex and .txnindex with their byte positions, and what is wrong with the files alone."""

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from pykbroker.log.inspection.report import Flaw
from pykbroker.log.offset_index import OffsetIndex
from pykbroker.log.time_index import TimeIndex
from pykbroker.log.transaction_index import AbortedTransaction

OFFSET_LAYOUT = OffsetIndex.layout
TIME_LAYOUT = TimeIndex.layout
TRANSACTION_LAYOUT = Struct(">hqqqq")


class Entry(NamedTuple):
    """Of .index: (offset, position in the segment); of .timeindex: (timestamp, offset). Offsets are absolute."""

    position: int
    first: int
    second: int


class IndexContent(NamedTuple):
    entries: list[Entry]
    # Bytes of zeros behind the entries: the file of an active segment is as long as it may become.
    preallocated: int
    flaws: list[Flaw]


def read_offset_index(data: bytes, base_offset: int) -> IndexContent:
    content = _read(data, OFFSET_LAYOUT)
    entries = [entry._replace(first=base_offset + entry.first) for entry in content.entries]
    last: Entry | None = None
    for entry in entries:
        if entry.first < base_offset or entry.second < 0:
            content.flaws.append(Flaw(entry.position, f"offset {entry.first} at position {entry.second}"))
        elif last is not None and (entry.first <= last.first or entry.second <= last.second):
            content.flaws.append(
                Flaw(
                    entry.position,
                    f"offset {entry.first} at position {entry.second} does not ascend from offset {last.first} at "
                    f"position {last.second}",
                )
            )
        last = entry
    return content._replace(entries=entries)


def read_time_index(data: bytes, base_offset: int) -> IndexContent:
    content = _read(data, TIME_LAYOUT)
    entries = [entry._replace(second=base_offset + entry.second) for entry in content.entries]
    last: Entry | None = None
    for entry in entries:
        if entry.second < base_offset:
            content.flaws.append(Flaw(entry.position, f"offset {entry.second} lies before base offset {base_offset}"))
        elif last is not None and (entry.first <= last.first or entry.second < last.second):
            content.flaws.append(
                Flaw(
                    entry.position,
                    f"timestamp {entry.first} at offset {entry.second} does not ascend from timestamp {last.first} at "
                    f"offset {last.second}",
                )
            )
        last = entry
    return content._replace(entries=entries)


def _read(data: bytes, layout: Struct) -> IndexContent:
    width = layout.size
    flaws = []
    if len(data) % width:
        flaws.append(Flaw(len(data) - len(data) % width, f"{len(data)} bytes are no multiple of {width}"))
    whole = len(data) // width
    used = (len(data.rstrip(b"\0")) + width - 1) // width
    # A single entry of zeros may be real: timestamp 0 at the base offset.
    count = whole if whole - used == 1 and used == 0 else min(used, whole)
    rows = layout.iter_unpack(memoryview(data)[: count * width])
    entries = [Entry(index * width, first, second) for index, (first, second) in enumerate(rows)]
    return IndexContent(entries, (whole - count) * width, flaws)


def read_transaction_index(data: bytes, base_offset: int) -> tuple[list[tuple[int, AbortedTransaction]], list[Flaw]]:
    """(position, entry) of each, and what is wrong."""
    width = TRANSACTION_LAYOUT.size
    flaws = list(_transaction_flaws(data, base_offset))
    rows = TRANSACTION_LAYOUT.iter_unpack(memoryview(data)[: len(data) // width * width])
    return [(index * width, AbortedTransaction(*row[1:])) for index, row in enumerate(rows)], flaws


def _transaction_flaws(data: bytes, base_offset: int) -> Iterator[Flaw]:
    width = TRANSACTION_LAYOUT.size
    previous = base_offset - 1
    for position in range(0, len(data) - width + 1, width):
        version, producer_id, first, last, stable = TRANSACTION_LAYOUT.unpack_from(data, position)
        if version != 0:
            yield Flaw(position, f"version {version} of an aborted transaction; 0 is known")
        elif last <= previous or not 0 <= first <= last or producer_id < 0 or not 0 <= stable <= last + 1:
            yield Flaw(
                position,
                f"aborted transaction of producer {producer_id} from {first} to {last}, stable {stable}, behind offset "
                f"{previous}",
            )
        previous = last
    if len(data) % width:
        yield Flaw(len(data) - len(data) % width, f"{len(data)} bytes are no multiple of {width}")
