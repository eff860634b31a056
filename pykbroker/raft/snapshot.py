"""Snapshots of the metadata log: <end offset>-<epoch>.checkpoint files (KIP-630)."""

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Self

from pykbroker.errors import MalformedFrame
from pykbroker.log.files import Files, write_all
from pykbroker.raft import control
from pykbroker.record.batch import crc_is_valid, iterate_batches
from pykbroker.record.builder import SimpleRecord, build_batch
from pykbroker.record.reader import iterate_records

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message

SUFFIX = ".checkpoint"
PARTIAL_SUFFIX = ".checkpoint.part"
DELETED_SUFFIX = ".checkpoint.deleted"
BOOTSTRAP_FILE = "bootstrap.checkpoint"
# Records per batch (RaftSnapshotWriter).
BATCH_RECORDS = 1024
# The first batch is no larger, unless there are hundreds of voters.
HEADER_BYTES = 16 * 1024


class SnapshotId(NamedTuple):
    """`end_offset`: the first offset that is not in the snapshot; `epoch`: of the last that is."""

    end_offset: int
    epoch: int

    @property
    def file_name(self) -> str:
        return f"{self.end_offset:020}-{self.epoch:010}{SUFFIX}"

    @classmethod
    def parse(cls, file_name: str) -> Self | None:
        """None for other files."""
        stem, dash, epoch = file_name.removesuffix(SUFFIX).partition("-")
        if not file_name.endswith(SUFFIX) or len(stem) != 20 or dash != "-" or len(epoch) != 10:
            return None
        return cls(int(stem), int(epoch)) if stem.isdigit() and epoch.isdigit() else None


# What kafka-storage format writes for offset 0: the first voters.
BOOTSTRAP_ID = SnapshotId(0, 0)


class Snapshot(NamedTuple):
    """`values`: the data records' values, framed; `timestamp`: of the last record contained, ms."""

    timestamp: int
    quorum: control.Quorum
    values: list[bytes]


def find_snapshots(directory: str) -> list[SnapshotId]:
    """All complete snapshots, oldest first."""
    return sorted(found for name in os.listdir(directory) if (found := SnapshotId.parse(name)) is not None)


def remove_leftovers(directory: str, files: Files) -> None:
    """Partly written and half deleted snapshots of an earlier run."""
    for name in os.listdir(directory):
        if name.endswith((PARTIAL_SUFFIX, DELETED_SUFFIX)):
            files.unlink(os.path.join(directory, name))


def write(
    path: str,
    values: Iterable[bytes],
    *,
    epoch: int,
    timestamp: int,
    now_ms: int,
    quorum: control.Quorum | None = None,
    mode: int = 0o400,
    files: Files | None = None,
) -> int:
    """Writes a snapshot durably and atomically; returns its size. `timestamp`: see Snapshot. Raises OSError."""
    temporary = f"{path.removesuffix(SUFFIX)}{PARTIAL_SUFFIX}"
    files = files or Files()
    size = 0
    fd = files.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        for batch in render(values, epoch=epoch, timestamp=timestamp, now_ms=now_ms, quorum=quorum):
            write_all(files, fd, batch, size)
            size += len(batch)
        os.fchmod(fd, mode)
        files.fsync(fd)
    finally:
        files.close(fd)
    files.rename(temporary, path)
    files.fsync_directory(os.path.dirname(path))
    return size


def render(
    values: Iterable[bytes], *, epoch: int, timestamp: int, now_ms: int, quorum: control.Quorum | None = None
) -> Iterator[bytearray]:
    """The snapshot's batches: header, data, footer; offsets count from 0."""
    from pykbroker.protocol.embedded.kraft_version import KRaftVersionRecord
    from pykbroker.protocol.embedded.snapshot_footer import SnapshotFooterRecord
    from pykbroker.protocol.embedded.snapshot_header import SnapshotHeaderRecord

    header = [(control.SNAPSHOT_HEADER, SnapshotHeaderRecord(last_contained_log_timestamp=timestamp))]
    records: list[tuple[int, Message]] = list(header)
    if quorum is not None and quorum.voters is not None:
        records.append((control.KRAFT_VERSION, KRaftVersionRecord(kraft_version=quorum.kraft_version)))
        records.append((control.KRAFT_VOTERS, quorum.voters))
    yield control.control_batch(records, base_offset=0, epoch=epoch, timestamp=now_ms)
    offset = len(records)
    for chunk in _chunks(values):
        entries = [SimpleRecord(None, value, (), now_ms) for value in chunk]
        yield build_batch(entries, base_offset=offset, leader_epoch=epoch)
        offset += len(chunk)
    footer = [(control.SNAPSHOT_FOOTER, SnapshotFooterRecord())]
    yield control.control_batch(footer, base_offset=offset, epoch=epoch, timestamp=now_ms)


def read(path: str) -> Snapshot:
    """Raises MalformedFrame when the file is not a complete snapshot, KafkaError when a batch is corrupt, OSError."""
    with open(path, "rb") as file:
        data = file.read()
    timestamp = 0
    quorum = control.Quorum()
    values: list[bytes] = []
    complete = False
    for header, position in iterate_batches(data):
        if not crc_is_valid(data, position):
            raise MalformedFrame(f"{path}: corrupt batch", position)
        for record in iterate_records(data, position):
            if not header.is_control:
                values.append(record.value or b"")
                continue
            kind = control.control_type(record.key)
            complete = kind == control.SNAPSHOT_FOOTER
            if kind == control.SNAPSHOT_HEADER:
                timestamp = _header_timestamp(record.value or b"")
            quorum = control.quorum_after(quorum, kind, record.value or b"")
    if not complete:
        raise MalformedFrame(f"{path} has no snapshot footer", len(data))
    return Snapshot(timestamp, quorum, values)


def read_timestamp(path: str) -> int:
    """Snapshot.timestamp, without reading the rest. Raises MalformedFrame, KafkaError, OSError."""
    with open(path, "rb") as file:
        data = file.read(HEADER_BYTES)
    for header, position in iterate_batches(data):
        record = next(iterate_records(data, position))
        if header.is_control and control.control_type(record.key) == control.SNAPSHOT_HEADER:
            return _header_timestamp(record.value or b"")
        break
    raise MalformedFrame(f"{path} has no snapshot header", 0)


def _header_timestamp(value: bytes) -> int:
    from pykbroker.protocol.embedded.snapshot_header import SnapshotHeaderRecord

    return SnapshotHeaderRecord.decode(value, 0)[0].last_contained_log_timestamp


def _chunks(values: Iterable[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    for value in values:
        chunk.append(value)
        if len(chunk) == BATCH_RECORDS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
