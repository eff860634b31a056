"""NNN.snapshot files: all producers at an offset, with a CRC-32C. (ProducerStateManager.writeSnapshot)"""

import os
from collections.abc import Iterable
from struct import Struct

from pykbroker.log.files import Files, write_all
from pykbroker.log.producer_entry import BatchMetadata, ProducerEntry
from pykbroker.record.crc32c import crc32c

# version, crc, number of entries; the checksum covers what follows it.
_HEADER = Struct(">hIi")
_CHECKED_FROM = 6
# producer id, epoch, last sequence, last offset, offset delta, timestamp, coordinator epoch, transaction's first offset
_ENTRY = Struct(">qhiqiqiq")
_VERSION = 1
_DIGITS = 20


class CorruptSnapshot(Exception):
    """The file is torn, of an unknown version, or its checksum is wrong: the state is rebuilt from the segments."""


def write_snapshot(files: Files, path: str, producers: Iterable[ProducerEntry], *, sync: bool) -> None:
    """Raises OSError."""
    body = bytearray(_HEADER.size)
    count = 0
    for entry in producers:
        last = entry.batches[-1] if entry.batches else BatchMetadata(-1, -1, 0, entry.last_timestamp)
        body += _ENTRY.pack(
            entry.producer_id,
            entry.epoch,
            last.last_sequence,
            last.last_offset,
            last.offset_delta,
            entry.last_timestamp,
            entry.coordinator_epoch,
            entry.first_offset,
        )
        count += 1
    _HEADER.pack_into(body, 0, _VERSION, 0, count)
    _HEADER.pack_into(body, 0, _VERSION, crc32c(memoryview(body)[_CHECKED_FROM:]), count)
    fd = files.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        write_all(files, fd, body, 0)
        if sync:
            files.fsync(fd)
    finally:
        files.close(fd)


def read_snapshot(files: Files, path: str) -> list[ProducerEntry]:
    """Raises CorruptSnapshot, OSError."""
    data = files.read_bytes(path)
    if len(data) < _HEADER.size:
        raise CorruptSnapshot(f"{path}: {len(data)} bytes are too few")
    version, checksum, count = _HEADER.unpack_from(data)
    if version != _VERSION:
        raise CorruptSnapshot(f"{path}: unknown version {version}")
    if len(data) != _HEADER.size + count * _ENTRY.size:
        raise CorruptSnapshot(f"{path}: {count} entries do not fit {len(data)} bytes")
    if crc32c(memoryview(data)[_CHECKED_FROM:]) != checksum:
        raise CorruptSnapshot(f"{path}: wrong checksum")
    return [_entry(fields) for fields in _ENTRY.iter_unpack(memoryview(data)[_HEADER.size :])]


def _entry(fields: tuple[int, ...]) -> ProducerEntry:
    producer_id, epoch, last_sequence, last_offset, delta, timestamp, coordinator_epoch, first_offset = fields
    entry = ProducerEntry(producer_id, epoch, coordinator_epoch, timestamp, first_offset)
    if last_offset >= 0:
        entry.batches.append(BatchMetadata(last_sequence, last_offset, delta, timestamp))
    return entry


def snapshot_offsets(directory: str) -> list[int]:
    """The offsets of all snapshots, ascending."""
    names = (name for name in os.listdir(directory) if name.endswith(".snapshot"))
    return sorted(int(name[:_DIGITS]) for name in names if len(name) == _DIGITS + 9 and name[:_DIGITS].isdigit())
