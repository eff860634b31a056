"""Walks the batches of a segment or of a metadata snapshot, checksums included, and goes on behind damage."""

import os
import zlib
from collections.abc import Iterator
from struct import Struct
from types import TracebackType
from typing import NamedTuple, Self

from pykbroker.errors import KafkaError
from pykbroker.log.segment import INT32_MAX, LEGACY_TIMESTAMP_OFFSET
from pykbroker.record import legacy
from pykbroker.record.batch import (
    ATTRIBUTES_OFFSET,
    CURRENT_MAGIC,
    HEADER_SIZE,
    LOG_OVERHEAD,
    MAGIC_OFFSET,
    BatchHeader,
    batch_length_at,
    unpack_header,
)
from pykbroker.record.crc32c import crc32c

CHUNK = 1 << 20
_LEGACY_CRC_END = 16
_LEGACY_CRC = Struct(">I")
_INT64 = Struct(">q")
_MEANT_BITS = 0x7F


class ByteFile:
    """A file opened for reading, with the piece that was read last at hand."""

    def __init__(self, path: str) -> None:
        """Raises OSError."""
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self._fd).st_size
        self._chunk = b""
        self._start = 0

    def read(self, position: int, length: int) -> bytes:
        """Fewer bytes only where the file ends."""
        at = position - self._start
        if at < 0 or at + length > len(self._chunk):
            if length > CHUNK:
                return self._pread(position, length)
            self._chunk, self._start, at = self._pread(position, CHUNK), position, 0
        return self._chunk[at : at + length]

    def _pread(self, position: int, length: int) -> bytes:
        try:
            data = os.pread(self._fd, length, position)
            while len(data) < length and (more := os.pread(self._fd, length - len(data), position + len(data))):
                data += more
        except OSError as error:
            error.filename = self.path  # a descriptor does not tell
            raise
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)


class FoundBatch(NamedTuple):
    """A whole batch with the right checksum, of any magic. `header` is None for magic 0 and 1."""

    file: ByteFile
    position: int
    size: int
    magic: int
    base_offset: int
    last_offset: int
    max_timestamp: int
    header: BatchHeader | None

    def data(self) -> bytes:
        return self.file.read(self.position, self.size)


class BadBytes(NamedTuple):
    """Bytes that are no good batch; `offset` is what they claim to begin with, -1 where they claim nothing."""

    position: int
    length: int
    kind: str
    offset: int
    message: str


class _Bad(Exception):
    """`size`: where the batch says it ends, if that can be true."""

    def __init__(self, kind: str, message: str, *, size: int = 0, offset: int = -1) -> None:
        super().__init__(message)
        self.kind = kind
        self.size = size
        self.offset = offset


def scan(file: ByteFile, base_offset: int, *, start: int = 0) -> Iterator[FoundBatch | BadBytes]:
    """Everything from `start`, a batch's beginning. Offsets must ascend from `base_offset`."""
    position, last_offset = start, base_offset - 1
    while position < file.size:
        try:
            batch = _batch_at(file, position, base_offset, last_offset)
        except _Bad as bad:
            end = _next_good(file, position, bad.size, base_offset, last_offset)
            yield BadBytes(position, end - position, bad.kind, bad.offset, str(bad))
            position = end
            continue
        yield batch
        position += batch.size
        last_offset = batch.last_offset


def _batch_at(file: ByteFile, position: int, base_offset: int, last_offset: int) -> FoundBatch:
    """Raises _Bad."""
    head = file.read(position, HEADER_SIZE)
    left = file.size - position
    if left >= HEADER_SIZE and not any(head):
        raise _Bad("zeros", f"{left} bytes are left that begin with zeros, no batch")
    try:
        size = batch_length_at(head, 0)
    except KafkaError as error:
        raise _Bad("framing", error.message or str(error)) from None
    if size is None:
        raise _Bad("torn", f"the file ends within a batch's header: {left} bytes are left")
    offset: int = _INT64.unpack_from(head)[0]
    if size > left:
        raise _Bad("torn", f"a batch of {size} bytes, but only {left} are left in the file", offset=offset)
    batch = _parse(file, head, position, size)
    _check_sum(batch, head)
    if not last_offset < batch.base_offset <= batch.last_offset <= base_offset + INT32_MAX:
        raise _Bad(
            "offsets",
            f"a batch of offsets {batch.base_offset} to {batch.last_offset} behind offset {last_offset}",
            size=size,
            offset=offset,
        )
    return batch


def _parse(file: ByteFile, head: bytes, position: int, size: int) -> FoundBatch:
    magic = head[MAGIC_OFFSET]
    if magic == CURRENT_MAGIC:
        if size < HEADER_SIZE:
            raise _Bad("framing", f"a batch of {size} bytes is smaller than its header")
        header = unpack_header(head)
        return FoundBatch(
            file, position, size, magic, header.base_offset, header.last_offset, header.max_timestamp, header
        )
    last = legacy.last_offset_at(head, 0)
    has_timestamp = magic == 1 and len(head) >= LEGACY_TIMESTAMP_OFFSET + 8
    timestamp = _INT64.unpack_from(head, LEGACY_TIMESTAMP_OFFSET)[0] if has_timestamp else -1
    # A compressed set tells its first offset only when decompressed.
    return FoundBatch(file, position, size, magic, last, last, timestamp, None)


def _check_sum(batch: FoundBatch, head: bytes) -> None:
    if batch.header is not None:
        stored, begin = batch.header.crc, ATTRIBUTES_OFFSET
    else:
        stored, begin = _LEGACY_CRC.unpack_from(head, LOG_OVERHEAD)[0], _LEGACY_CRC_END
    computed = 0
    end = batch.position + batch.size
    at = batch.position + begin
    while at < end:  # in pieces: a damaged length may claim the rest of the file
        piece = batch.file.read(at, min(CHUNK, end - at))
        computed = crc32c(piece, computed) if batch.header is not None else zlib.crc32(piece, computed)
        at += len(piece) or end
    if computed != stored:
        message = f"checksum of {batch.size} bytes is {computed:#010x}, the batch says {stored:#010x}"
        raise _Bad("checksum", message, size=batch.size, offset=batch.base_offset)


def _next_good(file: ByteFile, position: int, size: int, base_offset: int, last_offset: int) -> int:
    """Where a good batch follows; the end of the file when there is none."""
    behind = position + size
    if size and (behind >= file.size or _is_good(file, behind, base_offset, last_offset)):
        return behind
    start = position + 1
    while start + HEADER_SIZE <= file.size:
        chunk = file.read(start, CHUNK)
        for at in _candidates(chunk, base_offset, last_offset, file.size - start):
            if _is_good(file, start + at, base_offset, last_offset):
                return start + at
        start += max(len(chunk) - HEADER_SIZE + 1, 1)
    return file.size


def _candidates(chunk: bytes, base_offset: int, last_offset: int, left: int) -> Iterator[int]:
    """Where a header might begin: all cheap checks hold."""
    found = chunk.find(CURRENT_MAGIC, MAGIC_OFFSET)
    while found >= 0:
        at = found - MAGIC_OFFSET
        if at + HEADER_SIZE > len(chunk):
            return
        header = unpack_header(chunk, at)
        if (
            last_offset < header.base_offset <= base_offset + INT32_MAX
            and HEADER_SIZE - LOG_OVERHEAD <= header.batch_length <= left - at - LOG_OVERHEAD
            and 0 <= header.attributes <= _MEANT_BITS
            and 0 <= header.record_count <= header.last_offset_delta + 1
            and header.partition_leader_epoch >= -1
        ):
            yield at
        found = chunk.find(CURRENT_MAGIC, found + 1)


def _is_good(file: ByteFile, position: int, base_offset: int, last_offset: int) -> bool:
    try:
        _batch_at(file, position, base_offset, last_offset)
    except _Bad:
        return False
    return True
