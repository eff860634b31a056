"""One segment: the .log file and its indexes. (LogSegment)"""

import os
from collections.abc import Iterable, Iterator
from itertools import chain
from logging import getLogger
from random import randrange
from struct import Struct
from typing import NamedTuple

from pykbroker.errors import KafkaError
from pykbroker.log.files import Files, LogFile, sync_path, write_all
from pykbroker.log.log_config import LogConfig
from pykbroker.log.offset_index import OffsetIndex
from pykbroker.log.tail_positions import TailPositions
from pykbroker.log.time_index import TimeIndex
from pykbroker.log.transaction_index import TransactionIndex
from pykbroker.record import legacy
from pykbroker.record.batch import (
    CURRENT_MAGIC,
    HEADER_SIZE,
    MAGIC_OFFSET,
    BatchHeader,
    Buffer,
    batch_length_at,
    unpack_header,
)
from pykbroker.record.damage import CorruptBatch

logger = getLogger(__name__)
INT32_MAX = 0x7FFFFFFF
DELETED_SUFFIX = ".deleted"
# How much of a segment is read at once when batches are walked.
SCAN_CHUNK = 1 << 20
# Finding one batch behind an index entry reads little: entries lie index.interval.bytes apart.
FIND_CHUNK = 8192

LEGACY_TIMESTAMP_OFFSET = 18
_LEGACY_TIMESTAMP = Struct(">q")


class Region(NamedTuple):
    """A slice of a segment file. Holding it keeps the file open."""

    file: LogFile
    position: int
    length: int


class BatchAt(NamedTuple):
    """A batch found in a segment, of any magic: what is needed to index and to skip it. Timestamps in milliseconds."""

    position: int
    size: int
    magic: int
    base_offset: int
    last_offset: int
    max_timestamp: int
    header: BatchHeader | None  # None for magic 0 and 1


def segment_path(directory: str, base_offset: int, suffix: str) -> str:
    """Kafka's file name: the base offset in 20 digits."""
    return f"{directory}/{base_offset:020d}{suffix}"


class LogSegment:
    """Appends are sequential and come from one task; reads are regions of the file, no bytes touched."""

    __slots__ = (
        "_file",
        "_files",
        "_tail",
        "base_offset",
        "bytes_since_last_index_entry",
        "config",
        "created_ms",
        "directory",
        "first_timestamp",
        "jitter_ms",
        "max_timestamp",
        "offset_index",
        "offset_of_max_timestamp",
        "size",
        "time_index",
        "transaction_index",
    )

    def __init__(
        self, files: Files, directory: str, base_offset: int, config: LogConfig, now_ms: int, size: int
    ) -> None:
        """`size` in bytes of the .log file as it stands; `now_ms` counts as creation until the first append."""
        self._files = files
        self._file: LogFile | None = None
        self.directory = directory
        self.base_offset = base_offset
        self.config = config
        self.created_ms = now_ms
        self.jitter_ms = randrange(min(config.segment_jitter_ms, config.segment_ms) or 1)
        self.size = size
        self.offset_index = OffsetIndex(files, self.path(".index"), base_offset, config.segment_index_bytes)
        self.time_index = TimeIndex(files, self.path(".timeindex"), base_offset, config.segment_index_bytes)
        self.transaction_index = TransactionIndex(files, self.path(".txnindex"), base_offset)
        self.bytes_since_last_index_entry = 0
        # None: ask the time index (of a segment that was loaded, not written).
        self.max_timestamp: int | None = None if size else -1
        self.offset_of_max_timestamp = base_offset
        self.first_timestamp: int | None = None
        self._tail = TailPositions()

    def path(self, suffix: str) -> str:
        return segment_path(self.directory, self.base_offset, suffix)

    @property
    def file(self) -> LogFile:
        if self._file is None:
            self._file = LogFile(self._files, self.path(".log"))
        return self._file

    def use_file(self, file: LogFile) -> None:
        """Reads from `file`, which goes by another name: a segment in the middle of being swapped in."""
        self._file = file

    def forget_indexes(self) -> None:
        """Empties all indexes: they are about to be rebuilt from the batches. Raises OSError."""
        self.offset_index.reset()
        self.time_index.reset()
        self.transaction_index.reset()
        self.max_timestamp = -1
        self.offset_of_max_timestamp = self.base_offset
        self.bytes_since_last_index_entry = 0

    def index_batch(self, batch: BatchAt) -> None:
        """Indexes a batch that is in the file already, as append() would have (LogSegment.recover)."""
        if self.max_timestamp is None or batch.max_timestamp > self.max_timestamp:
            self.max_timestamp = batch.max_timestamp
            self.offset_of_max_timestamp = batch.last_offset
        if self.bytes_since_last_index_entry > self.config.index_interval_bytes:
            self.add_index_entry(batch.last_offset, batch.position)
        self.bytes_since_last_index_entry += batch.size

    def seal_indexes(self) -> None:
        """The time index gets its last entry; both files end behind theirs. Raises OSError."""
        self.time_index.maybe_append(self.largest_timestamp(), self.offset_of_max_timestamp, even_if_full=True)
        self.offset_index.trim()
        self.time_index.trim()
        self.bytes_since_last_index_entry = 0

    def create(self) -> None:
        """Makes the files of a new segment. Raises OSError."""
        self._file = LogFile(self._files, self.path(".log"), create=True)
        if self.config.preallocate:
            self._files.truncate(self._file.fileno(), self.config.segment_bytes)
        self.offset_index.reset()
        self.time_index.reset()

    def append(self, data: Buffer, last_offset: int, max_timestamp: int) -> None:
        """Writes one batch behind the rest and indexes it. Raises OSError."""
        position = self._write(data)
        self._note(position, len(data), last_offset, max_timestamp)

    def append_batches(self, data: Buffer, headers: Iterable[BatchHeader]) -> None:
        """Writes several batches with one pwrite and indexes each. Raises OSError."""
        position = self._write(data)
        for header in headers:
            self._note(position, header.size_in_bytes, header.last_offset, header.max_timestamp)
            position += header.size_in_bytes

    def _write(self, data: Buffer) -> int:
        if self.max_timestamp is None:
            self.largest_timestamp()  # while the time index still tells of all that is here
        position = self.size
        file = self._file if self._file is not None else self.file
        length = len(data)
        written = self._files.pwrite(file.fileno(), data, position)
        if written != length:
            write_all(self._files, file.fileno(), memoryview(data)[written:], position + written)
        self.size = position + length
        return position

    def _note(self, position: int, size: int, last_offset: int, max_timestamp: int) -> None:
        """Remembers and indexes a batch that was just written."""
        if position == 0:
            self.first_timestamp = max_timestamp
        largest = self.max_timestamp
        if max_timestamp > (self.largest_timestamp() if largest is None else largest):
            self.max_timestamp = max_timestamp
            self.offset_of_max_timestamp = last_offset
        if self.bytes_since_last_index_entry > self.config.index_interval_bytes:
            self.add_index_entry(last_offset, position)
        self.bytes_since_last_index_entry += size
        self._tail.add(last_offset, position)

    def add_index_entry(self, last_offset: int, position: int) -> None:
        self.offset_index.append(last_offset, position)
        self.time_index.maybe_append(self.largest_timestamp(), self.offset_of_max_timestamp)
        self.bytes_since_last_index_entry = 0

    def largest_timestamp(self) -> int:
        """The largest timestamp in milliseconds, -1 when there is none."""
        if self.max_timestamp is None:
            self.max_timestamp, self.offset_of_max_timestamp = self._largest_of_time_index()
        return self.max_timestamp

    def _largest_of_time_index(self) -> tuple[int, int]:
        """Its last entry, held against the batch that it tells and those that end the segment: on it depends which
        segments retention deletes and searches skip. Where they contradict it all batches are asked."""
        timestamp, offset = self.time_index.last_entry()
        try:
            told = self.find(offset) if timestamp >= 0 else None
            is_told = timestamp < 0 or (told is not None and _is_at(told, timestamp, offset))
            last = self.offset_index.last()
            tail = self.batches_from(self.base_offset + last[0] if last else 0, chunk_size=FIND_CHUNK)
            if is_told and all(batch.max_timestamp <= timestamp for batch in tail):
                return timestamp, offset
            logger.warning("%s contradicts its segment: reading all batches", self.time_index.path)
            return self._largest_of_batches()
        except KafkaError as error:  # broken framing: what there is of the index is the best that is known
            logger.warning("%s cannot be held against its segment: %s", self.time_index.path, error)
            return timestamp, offset

    def _largest_of_batches(self) -> tuple[int, int]:
        timestamp, offset = -1, self.base_offset
        for batch in self.batches(0):
            if batch.max_timestamp > timestamp:
                timestamp, offset = batch.max_timestamp, batch.last_offset
        return timestamp, offset

    def last_modified_ms(self) -> int:
        return os.stat(self.path(".log")).st_mtime_ns // 1_000_000

    def should_roll(self, size: int, max_timestamp: int, max_offset: int, now_ms: int) -> bool:
        """Whether `size` bytes up to `max_offset` need a new segment (LogSegment.shouldRoll)."""
        config = self.config
        if self.size > config.segment_bytes - size:
            return self.size > 0
        if max_offset - self.base_offset > INT32_MAX:
            return True
        if self.size == 0:
            return False
        first = self.first_timestamp if self.first_timestamp is not None else self.first_batch_timestamp()
        waited = max_timestamp - first if first >= 0 else now_ms - self.created_ms
        return waited > config.segment_ms - self.jitter_ms or self.offset_index.is_full or self.time_index.is_full

    def first_batch_timestamp(self) -> int:
        """The first batch's largest timestamp, -1 when there is none."""
        if self.first_timestamp is None:
            batch = next(self.batches(0), None)
            self.first_timestamp = batch.max_timestamp if batch is not None else -1
        return self.first_timestamp

    def batches(self, position: int, *, chunk_size: int = SCAN_CHUNK) -> Iterator[BatchAt]:
        """Every whole batch from `position`, a batch's start. Raises CorruptBatch where the bytes are none."""
        end = self.size
        fd = self.file.fileno()
        chunk = b""
        start = position
        while position < end:
            at = position - start
            if len(chunk) - at < min(HEADER_SIZE, end - position):
                chunk, start, at = self._files.pread(fd, min(chunk_size, end - position), position), position, 0
            size = batch_length_at(chunk, at)
            if size is None or position + size > end:
                return
            yield self._batch_at(chunk, at, position, size)
            position += size

    def _batch_at(self, chunk: bytes, at: int, position: int, size: int) -> BatchAt:
        magic = chunk[at + MAGIC_OFFSET]
        if magic == CURRENT_MAGIC:
            if size < HEADER_SIZE:
                raise CorruptBatch(f"A batch of {size} bytes at {position} is smaller than its header")
            header = unpack_header(chunk, at)
            return BatchAt(position, size, magic, header.base_offset, header.last_offset, header.max_timestamp, header)
        # A compressed set of magic 0 or 1 tells its first offset only when decompressed; nobody here needs it.
        last_offset = legacy.last_offset_at(chunk, at)
        timestamp = -1 if magic == 0 else _LEGACY_TIMESTAMP.unpack_from(chunk, at + LEGACY_TIMESTAMP_OFFSET)[0]
        return BatchAt(position, size, magic, last_offset, last_offset, timestamp, None)

    def read(self, position: int, length: int) -> bytes:
        """Bytes of the file. Raises CorruptBatch when it ends before."""
        data = self._files.pread(self.file.fileno(), length, position)
        while len(data) < length:
            more = self._files.pread(self.file.fileno(), length - len(data), position + len(data))
            if not more:
                raise CorruptBatch(f"{self.path('.log')} ends at {position + len(data)}, before {position + length}")
            data += more
        return data

    def locate(self, offset: int) -> tuple[int, int] | None:
        """(position, size) of the first batch whose last offset is not below `offset`; the tail needs no reading."""
        found = self._tail.find(offset, self.size)
        if found is not None:
            return found
        batch = self.find(offset)
        return None if batch is None else (batch.position, batch.size)

    def find(self, offset: int) -> BatchAt | None:
        """The first batch whose last offset is `offset` or behind it."""
        for batch in self.batches_from(offset, chunk_size=FIND_CHUNK):
            if batch.last_offset >= offset:
                return batch
        return None

    def batches_from(self, offset: int, *, chunk_size: int = SCAN_CHUNK) -> Iterator[BatchAt]:
        """Every whole batch from one at or before `offset` that the index tells. An entry that is contradicted by the
        batch it tells does not count, for records would be skipped: the one before it is asked."""
        for last_offset, position in self.offset_index.entries_down_from(offset):
            batches = self.batches(position, chunk_size=chunk_size)
            try:
                first = next(batches, None) if position >= 0 else None
            except KafkaError:
                continue
            if first is not None and first.base_offset <= last_offset:
                return chain((first,), batches)
            logger.warning("%s is wrong about offset %d", self.offset_index.path, last_offset)
        return self.batches(0, chunk_size=chunk_size)

    def batches_for_timestamp(self, timestamp: int, start_offset: int) -> Iterator[BatchAt]:
        """The batches that may hold the first record at or behind both."""
        offset = max(self._offset_before(timestamp), start_offset)
        for batch in self.batches_from(offset):
            if batch.max_timestamp >= timestamp and batch.last_offset >= start_offset:
                yield batch

    def _offset_before(self, timestamp: int) -> int:
        """Where the time index says to begin: only an entry that is true of the batch it tells counts."""
        for told, offset in self.time_index.entries_down_from(timestamp):
            batch = self.find(offset)
            if batch is not None and _is_at(batch, told, offset):
                return offset
            logger.warning("%s is wrong about timestamp %d", self.time_index.path, told)
        return self.base_offset

    def truncate_to(self, offset: int) -> int:
        """Drops the batches from the one that holds `offset`; returns the bytes dropped. Raises OSError."""
        batch = self.find(offset)
        self.offset_index.truncate_to(offset)
        self.time_index.truncate_to(offset)
        self.transaction_index.truncate_to(offset)
        if batch is None:
            return 0
        dropped = self.size - batch.position
        self.truncate_bytes(batch.position)
        self.bytes_since_last_index_entry = 0
        if self.size == 0:
            self.first_timestamp = None
        self._find_largest_timestamp()
        return dropped

    def _find_largest_timestamp(self) -> None:
        """The time index, and the batches behind its last entry (LogSegment.readLargestTimestamp)."""
        self.max_timestamp, self.offset_of_max_timestamp = self.time_index.last_entry()
        for batch in self.batches_from(self.offset_of_max_timestamp, chunk_size=FIND_CHUNK):
            if batch.max_timestamp > self.max_timestamp:
                self.max_timestamp = batch.max_timestamp
                self.offset_of_max_timestamp = batch.last_offset

    def truncate_bytes(self, size: int) -> None:
        """For good, also when nothing is written and flushed behind it before the broker stops. Raises OSError."""
        self._files.truncate(self.file.fileno(), size)
        self._files.fsync(self.file.fileno())
        self.size = size
        self._tail.clear()

    def become_inactive(self) -> None:
        """A newer segment takes the appends: the indexes are complete and trimmed, and forgotten until needed."""
        self._end_file()
        self.seal_indexes()
        self._tail.clear()
        self.release()

    def _end_file(self) -> None:
        """Cuts what was preallocated behind the batches."""
        if self.config.preallocate:
            self._files.truncate(self.file.fileno(), self.size)

    def flush(self) -> None:
        """fsync of the segment and its indexes. Safe in a thread: it reads no broker state that changes."""
        file = self._file
        if file is not None:
            self._files.fsync(file.fileno())
        else:
            sync_path(self._files, self.path(".log"))
        self.offset_index.flush()
        self.time_index.flush()
        self.transaction_index.flush()

    def close(self) -> None:
        """Trims and closes all files (LogSegment.close)."""
        self._end_file()
        self.seal_indexes()
        self.release()

    def release(self) -> None:
        """Closes the files; they open again when needed."""
        self._file = None
        self.offset_index.release()
        self.time_index.release()
        self.transaction_index.release()

    def mark_deleted(self) -> list[str]:
        """Renames all files to .deleted and returns them: they are unlinked after file.delete.delay.ms."""
        self.release()
        renamed = []
        for suffix in (".log", ".index", ".timeindex", ".txnindex"):
            path = self.path(suffix)
            if os.path.exists(path):
                self._files.rename(path, path + DELETED_SUFFIX)
                renamed.append(path + DELETED_SUFFIX)
        return renamed

    def sanity_check(self) -> None:
        """Raises CorruptIndex when an index is missing or cannot be this segment's (LogSegment.sanityCheck)."""
        self.offset_index.sanity_check(self.size)
        self.time_index.sanity_check()
        _ = self.transaction_index.entries


def _is_at(batch: BatchAt, timestamp: int, offset: int) -> bool:
    """Whether a time index's entry of the two is this batch's."""
    return (batch.max_timestamp, batch.last_offset) == (timestamp, offset)
