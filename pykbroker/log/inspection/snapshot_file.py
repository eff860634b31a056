"""A producer snapshot's entries with their byte positions. (ProducerStateManager.readSnapshot)"""

from struct import Struct
from typing import NamedTuple

from pykbroker.log.inspection.text_files import FlawedFile
from pykbroker.record.crc32c import crc32c

_HEADER = Struct(">hIi")
_CHECKED_FROM = 6
_ENTRY = Struct(">qhiqiqiq")
_VERSION = 1


class SnapshotEntry(NamedTuple):
    """-1 where there is no sequence, offset, coordinator epoch or open transaction. Timestamp in milliseconds."""

    position: int
    producer_id: int
    producer_epoch: int
    last_sequence: int
    last_offset: int
    offset_delta: int
    timestamp: int
    coordinator_epoch: int
    transaction_first_offset: int


def read_entries(data: bytes) -> list[SnapshotEntry]:
    """Raises FlawedFile."""
    if len(data) < _HEADER.size:
        raise FlawedFile(len(data), f"{len(data)} bytes are too few for a header of {_HEADER.size}")
    version, stored, count = _HEADER.unpack_from(data)
    if version != _VERSION:
        raise FlawedFile(0, f"version {version}; {_VERSION} is known")
    computed = crc32c(memoryview(data)[_CHECKED_FROM:])
    if len(data) != _HEADER.size + count * _ENTRY.size:
        raise FlawedFile(_CHECKED_FROM, f"{count} entries do not fit the file of {len(data)} bytes")
    if computed != stored:
        raise FlawedFile(2, f"checksum is {computed:#010x}, the file says {stored:#010x}")
    positions = range(_HEADER.size, len(data), _ENTRY.size)
    return [SnapshotEntry(position, *_ENTRY.unpack_from(data, position)) for position in positions]
