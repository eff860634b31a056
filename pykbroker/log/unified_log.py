"""UnifiedLog: the segments of one partition as one log: append, read, roll, truncate, delete. (UnifiedLog, LocalLog)

Offsets: log start ≤ last stable ≤ high watermark ≤ log end. Everything here runs on the event loop and never blocks on
more than the page cache; fsyncs and unlinks are returned as work for a thread.
"""

import math
import os
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pykbroker.clock import Clock
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition, Uuid
from pykbroker.log import time_search
from pykbroker.log.cleaning_state import CleaningState
from pykbroker.log.files import Files, sync_path
from pykbroker.log.flushing import flush_job, sync_directory
from pykbroker.log.leader_epochs import LeaderEpochFileCache
from pykbroker.log.log_config import LogConfig
from pykbroker.log.partition_metadata import FILE_NAME as PARTITION_METADATA
from pykbroker.log.plain_batch import stamp_plain
from pykbroker.log.producer_rebuild import catch_up
from pykbroker.log.producer_state import ProducerStateManager
from pykbroker.log.retention import deletable_segments
from pykbroker.log.segment import LogSegment, Region
from pykbroker.log.time_search import TimestampOffset
from pykbroker.log.transaction_index import AbortedTransaction
from pykbroker.log.validator import validate_and_stamp
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import (
    LOG_OVERHEAD,
    BatchHeader,
    Buffer,
    WritableBuffer,
    parse_header,
    stamp,
    unpack_header,
)
from pykbroker.record.control import end_transaction_coordinator_epoch
from pykbroker.record.reader import iterate_records

if TYPE_CHECKING:
    from pykbroker.log.flush_loop import RunningFlush
    from pykbroker.log.follower_append import FollowerAppendInfo

CLIENT = "client"
COORDINATOR = "coordinator"
RAFT_LEADER = "raft_leader"
NO_TIMESTAMP = -1
ANY_EPOCH = 0x7FFFFFFF


class LogAppendInfo(NamedTuple):
    """What an append did. `log_append_time` in milliseconds, -1 for CreateTime; `duplicate`: nothing was written;
    `flush_due`: not to be answered, nor to be below the high watermark, before flush_loop.flush_appended."""

    first_offset: int
    last_offset: int
    log_append_time: int
    log_start_offset: int
    max_timestamp: int
    num_bytes: int
    duplicate: bool = False
    flush_due: bool = False


class LogRead(NamedTuple):
    """Whole batches from the one that holds the asked offset, as regions of files. `position` says where they begin."""

    offset: int
    segments: list[Region]
    size: int


class UnifiedLog:
    def __init__(
        self,
        *,
        directory: str,
        topic_partition: TopicPartition,
        topic_id: Uuid | None,
        config: LogConfig,
        files: Files,
        clock: Clock,
        segments: list[LogSegment],
        log_start_offset: int,
        log_end_offset: int,
        recovery_point: int,
        leader_epochs: LeaderEpochFileCache,
        producer_state: ProducerStateManager,
    ) -> None:
        """Built by recovery.py, which gives it at least one segment."""
        self.directory = directory
        self.topic_partition = topic_partition
        self.topic_id = topic_id
        self.config = config
        self.files = files
        self.clock = clock
        self.segments = segments
        self.active = segments[-1]
        self.log_start_offset = log_start_offset
        self.log_end_offset = log_end_offset
        self.high_watermark = log_start_offset
        self.last_stable_offset = log_start_offset
        self.recovery_point = recovery_point
        self.last_flushed_ms = clock.wall_ms()
        # Files of removed segments, renamed to .deleted: (monotonic seconds when to unlink, path).
        self.doomed: list[tuple[float, str]] = []
        self.leader_epochs = leader_epochs
        self.producer_state = producer_state
        # Called with the path and the error when a write fails; makes the directory offline.
        self.on_io_error: Callable[[OSError], None] = _ignore
        self.cleaning = CleaningState()
        self._bases = [segment.base_offset for segment in segments]
        self._sealed_open: LogSegment | None = None
        # Its directory and whose it is are known to be on disk.
        self.is_placed = False
        # How often it was cut: a flush that began before says nothing of what came anew since.
        self.truncations = 0
        # The flush that a thread does at the moment (flush_loop).
        self.running_flush: RunningFlush | None = None

    # Appending

    def append_as_leader(
        self, records: WritableBuffer, leader_epoch: int, now_ms: int, *, origin: str = CLIENT
    ) -> LogAppendInfo:
        """Checks, stamps and appends one produce's batch; a duplicate of an idempotent producer is answered with its
        original offsets.

        `records` is changed in place. A coordinator's or the raft leader's own batches are trusted, only stamped.
        Raises RecordValidationError, KafkaError (KAFKA_STORAGE_ERROR when the disk fails).
        """
        next_offset = self.log_end_offset
        if origin != CLIENT:
            return self._append_trusted(records, leader_epoch, now_ms)
        plain = stamp_plain(records, self.config, next_offset, leader_epoch, now_ms)
        if plain is not None:
            last_offset, max_timestamp, producer_id = plain
            log_append_time = NO_TIMESTAMP
            header = unpack_header(records) if producer_id >= 0 else None
        else:
            result = validate_and_stamp(
                records,
                topic_partition=self.topic_partition,
                config=self.config,
                next_offset=next_offset,
                leader_epoch=leader_epoch,
                now_ms=now_ms,
            )
            records, last_offset, max_timestamp = result.records, result.last_offset, result.max_timestamp
            log_append_time = result.log_append_time
            header = result.header if result.header.producer_id >= 0 else None
        if header is not None:
            duplicate = self.producer_state.check(header, next_offset, is_client=True)
            if duplicate is not None:
                first, last, timestamp = duplicate.first_offset, duplicate.last_offset, duplicate.timestamp
                # The original may still be on its way to the disk.
                flush_due = next_offset - self.recovery_point >= self.config.flush_messages
                return LogAppendInfo(first, last, timestamp, self.log_start_offset, timestamp, 0, True, flush_due)
        self.write(records, last_offset, max_timestamp, leader_epoch, now_ms)
        if header is not None:
            self.producer_state.append_data(header, next_offset)
        flush_due = self._appended(last_offset)
        return LogAppendInfo(
            next_offset,
            last_offset,
            log_append_time,
            self.log_start_offset,
            max_timestamp,
            len(records),
            False,
            flush_due,
        )

    def _append_trusted(self, records: WritableBuffer, leader_epoch: int, now_ms: int) -> LogAppendInfo:
        first_offset = next_offset = self.log_end_offset
        stamp(records, 0, first_offset, leader_epoch)
        header = parse_header(records)
        if header.producer_id < 0 and header.batch_length + LOG_OVERHEAD == len(records):
            # A single batch that no producer's state depends on: nearly all that coordinators write.
            last_offset, max_timestamp = first_offset + header.last_offset_delta, header.max_timestamp
            self.write(records, last_offset, max_timestamp, leader_epoch, now_ms)
            if self._appended(last_offset):
                self._flush_trusted()
            size = len(records)
            return LogAppendInfo(first_offset, last_offset, NO_TIMESTAMP, self.log_start_offset, max_timestamp, size)
        max_timestamp = NO_TIMESTAMP
        headers = []
        position, end = 0, len(records)
        while position < end:
            stamp(records, position, next_offset, leader_epoch)
            header = parse_header(records, position)
            if header.producer_id >= 0:
                self._check_trusted(header, records, position, next_offset)
            headers.append(header)
            next_offset += header.last_offset_delta + 1
            max_timestamp = max(max_timestamp, header.max_timestamp)
            position += header.batch_length + LOG_OVERHEAD
        self.write(records, next_offset - 1, max_timestamp, leader_epoch, now_ms, headers)
        self.written(records, headers)
        return LogAppendInfo(
            first_offset, next_offset - 1, NO_TIMESTAMP, self.log_start_offset, max_timestamp, len(records)
        )

    def _check_trusted(self, header: BatchHeader, records: WritableBuffer, position: int, offset: int) -> None:
        if not header.is_control:
            self.producer_state.check(header, offset, is_client=False)
            return
        record = next(iterate_records(records, position))
        self.producer_state.check_marker(header, end_transaction_coordinator_epoch(record.value), offset)

    def append_as_follower(self, records: Buffer, now_ms: int, leader_epoch: int = ANY_EPOCH) -> "FollowerAppendInfo":
        """Stores what a leader sent, up to `leader_epoch`, as it is. Raises KafkaError, see follower_append."""
        from pykbroker.log.follower_append import append_as_follower

        return append_as_follower(self, records, now_ms, leader_epoch)

    def write(
        self,
        records: Buffer,
        last_offset: int,
        max_timestamp: int,
        leader_epoch: int,
        now_ms: int,
        headers: Sequence[BatchHeader] = (),
    ) -> None:
        """Onto the active segment, or a new one. `headers`, with their final offsets, where it may be more than one
        batch. Raises KafkaError RECORD_LIST_TOO_LARGE, KAFKA_STORAGE_ERROR."""
        size = len(records)
        if size > self.config.segment_bytes:
            raise KafkaError(
                ErrorCode.RECORD_LIST_TOO_LARGE,
                f"Message batch size is {size} bytes in append to partition {self.topic_partition}, which exceeds the "
                f"maximum configured segment size of {self.config.segment_bytes}.",
            )
        try:
            if leader_epoch >= 0 and self.leader_epochs.latest_epoch() != leader_epoch:
                self.leader_epochs.assign(leader_epoch, self.log_end_offset)
            if self.active.should_roll(size, max_timestamp, last_offset, now_ms):
                # A follower may skip offsets, and a segment's must lie within 2³¹ of its base.
                self.roll(now_ms, headers[0].base_offset if headers else 0)
            if len(headers) > 1:
                self.active.append_batches(records, headers)
            else:
                self.active.append(records, last_offset, max_timestamp)
        except OSError as error:
            raise self.storage_error(error) from error

    def written(self, records: Buffer, headers: Sequence[BatchHeader]) -> None:
        """Takes batches that write() stored into the state. Raises KafkaError KAFKA_STORAGE_ERROR."""
        position = 0
        for header in headers:
            end = position + header.size_in_bytes
            if header.has_producer_id:
                aborted = self.producer_state.replay(header, memoryview(records)[position:end])
                if aborted is not None:
                    self._add_aborted(aborted)
            position = end
        if self._appended(headers[-1].last_offset):
            self._flush_trusted()

    def _flush_trusted(self) -> None:
        """flush.messages, which Kafka's own topics have by default not, makes the loop wait here: coordinators, markers
        and followers append by plain calls. A client's append leaves it to a thread (`flush_due`)."""
        try:
            self.flush()
        except OSError as error:
            raise self.storage_error(error) from error

    def _add_aborted(self, aborted: AbortedTransaction) -> None:
        try:
            self.active.transaction_index.append(aborted)
        except OSError as error:
            raise self.storage_error(error) from error

    def _appended(self, last_offset: int) -> bool:
        """Whether flush.messages wants a flush now."""
        self.log_end_offset = last_offset + 1
        self.producer_state.map_end_offset = last_offset + 1
        return last_offset + 1 - self.recovery_point >= self.config.flush_messages

    def storage_error(self, error: OSError) -> KafkaError:
        """Tells the owner that the directory failed; the error to answer."""
        self.on_io_error(error)
        return KafkaError(
            ErrorCode.KAFKA_STORAGE_ERROR,
            f"Error while accessing {self.topic_partition} in {os.path.dirname(self.directory)}: {error}",
        )

    # Segments

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in self.segments)

    def roll(self, now_ms: int, first_offset: int = 0) -> LogSegment:
        """Starts a new segment at the log end, or at `first_offset` behind it; the producers' state is snapshotted for
        it. Raises OSError."""
        base_offset = max(self.log_end_offset, first_offset)
        if self.active.base_offset == base_offset:
            # Only a full index on an empty segment leads here: start it over.
            self.active.offset_index.reset()
            self.active.time_index.reset()
            return self.active
        self.active.become_inactive()
        self.producer_state.map_end_offset = base_offset
        self.producer_state.take_snapshot()
        segment = LogSegment(self.files, self.directory, base_offset, self.config, now_ms, 0)
        segment.create()
        self._set_segments([*self.segments, segment])
        return segment

    def _set_segments(self, segments: list[LogSegment]) -> None:
        self.segments = segments
        self._bases = [segment.base_offset for segment in segments]
        self.active = segments[-1]

    def replace_segments(self, new: Sequence[LogSegment], old: Sequence[LogSegment]) -> None:
        """Goes on with `new` in place of `old`, sealed ones all: their files are swapped already (swap.swap_in)."""
        kept = [segment for segment in self.segments if segment not in old]
        self._set_segments(sorted([*kept, *new], key=lambda segment: segment.base_offset))
        self.producer_state.delete_snapshots_at({segment.base_offset for segment in old}.difference(self._bases))

    def doom(self, paths: Sequence[str]) -> None:
        """Files of removed segments that go after file.delete.delay.ms."""
        due = self.clock.monotonic() + self.config.file_delete_delay_ms / 1000
        self.doomed += [(due, path) for path in paths]

    def segment_for(self, offset: int) -> int:
        """The index of the segment that holds `offset`; 0 when it is before all."""
        return max(bisect_right(self._bases, offset) - 1, 0)

    def update_config(self, config: LogConfig) -> None:
        self.config = config
        for segment in self.segments:
            segment.config = config

    def delete_old_segments(self, now_ms: int) -> int:
        """Applies retention; the number of segments that went. Raises OSError."""
        return self.remove_segments(deletable_segments(self, now_ms), now_ms)

    def remove_segments(self, segments: Sequence[LogSegment], now_ms: int) -> int:
        """Drops whole segments; their files join `doomed`. Raises OSError.

        The active one can go too: a new one then starts at the log end.
        """
        if not segments:
            return 0
        if self.active in segments:
            self.roll(now_ms)
        kept = [segment for segment in self.segments if segment not in segments]
        self._set_segments(kept)
        gone = [segment for segment in segments if segment not in kept]
        for segment in gone:
            self.doom(segment.mark_deleted())
        first = self.segments[0].base_offset
        if first > self.log_start_offset:
            self._set_log_start_offset(first)
        self.producer_state.delete_snapshots_before(first)
        return len(gone)

    def take_doomed(self, now: float) -> list[str]:
        """The files of deleted segments that are due at `now` (monotonic seconds): the caller unlinks them."""
        due = [path for when, path in self.doomed if when <= now]
        self.doomed = [(when, path) for when, path in self.doomed if when > now]
        return due

    def unlink_doomed(self) -> None:
        """Removes the files of all deleted segments now. Raises OSError."""
        for path in self.take_doomed(math.inf):
            self.files.unlink(path)

    # Reading

    def read(self, offset: int, max_bytes: int, *, upper_bound: int, min_one: bool = False) -> LogRead:
        """Whole batches from the one that holds `offset`, below `upper_bound`, as regions.

        At most `max_bytes`, but with `min_one` always the first batch. Raises KafkaError OFFSET_OUT_OF_RANGE outside
        [log start, log end].
        """
        if not self.log_start_offset <= offset <= self.log_end_offset:
            raise KafkaError(
                ErrorCode.OFFSET_OUT_OF_RANGE,
                f"Received request for offset {offset} for partition {self.topic_partition}, but we only have log "
                f"segments in the range {self.log_start_offset} to {self.log_end_offset}.",
            )
        if offset >= upper_bound:
            return LogRead(offset, [], 0)
        try:
            return self._read(offset, max_bytes, upper_bound, min_one)
        except OSError as error:
            raise self.storage_error(error) from error

    def _read(self, offset: int, max_bytes: int, upper_bound: int, min_one: bool) -> LogRead:
        for index in range(self.segment_for(offset), len(self.segments)):
            segment = self.segments[index]
            found = segment.locate(offset)
            if found is None:
                continue
            position, size = found
            wanted = max(max_bytes, size) if min_one else max_bytes
            length = min(wanted, self._end_position(segment, upper_bound, index) - position)
            if length < size:
                break  # not even the first batch fits: nothing, rather than a piece of it
            region = Region(segment.file, position, length)
            self._keep_open(segment)
            return LogRead(offset, [region], length)
        return LogRead(offset, [], 0)

    def _keep_open(self, segment: LogSegment) -> None:
        """Of the sealed segments only the one read last stays open; regions hold their own files."""
        before = self._sealed_open
        if segment is self.active or segment is before:
            return
        if before is not None and before is not self.active:
            before.release()
        self._sealed_open = segment

    def _end_position(self, segment: LogSegment, upper_bound: int, index: int) -> int:
        """Where in the segment the batches below `upper_bound` end."""
        is_older = index + 1 < len(self.segments) and self._bases[index + 1] <= upper_bound
        if is_older or upper_bound >= self.log_end_offset:
            return segment.size
        found = segment.locate(upper_bound)
        return segment.size if found is None else found[0]

    def aborted_transactions(self, start_offset: int, end_offset: int) -> list[AbortedTransaction]:
        """Those that a read_committed reader of [start, end) must leave out."""
        found: list[AbortedTransaction] = []
        for segment in self.segments[self.segment_for(start_offset) :]:
            collected, is_complete = segment.transaction_index.collect(start_offset, end_offset)
            found += collected
            if is_complete:
                break
        return found

    def offset_for_timestamp(self, timestamp: int) -> TimestampOffset | None:
        """The first record at or behind the log start with a timestamp of at least `timestamp` (milliseconds)."""
        segments = self.segments[self.segment_for(self.log_start_offset) :]
        return time_search.first_at_or_after(segments, timestamp, self.log_start_offset)

    def offset_of_max_timestamp(self) -> TimestampOffset | None:
        """The first record with the largest timestamp. As in Kafka it may lie before the log start, as long as its
        segment is there."""
        return time_search.largest(self.segments)

    # Offsets

    def update_high_watermark(self, offset: int) -> None:
        """Moves it within [log start, log end]; transactions that ended below it become stable."""
        if offset > self.log_end_offset:
            offset = self.log_end_offset
        self.high_watermark = offset = max(self.log_start_offset, offset)
        if not self.producer_state.has_transactions:
            self.last_stable_offset = offset
            return
        self.producer_state.on_high_watermark(self.high_watermark)
        unstable = self.producer_state.first_unstable_offset()
        self.last_stable_offset = (
            self.high_watermark if unstable is None else max(self.log_start_offset, min(unstable, self.high_watermark))
        )

    def increment_log_start_offset(self, offset: int) -> bool:
        """True when it moved. Raises KafkaError OFFSET_OUT_OF_RANGE above the high watermark, KAFKA_STORAGE_ERROR."""
        if offset > self.high_watermark:
            raise KafkaError(
                ErrorCode.OFFSET_OUT_OF_RANGE,
                f"Cannot increment the log start offset to {offset} of partition {self.topic_partition} since it is "
                f"larger than the high watermark {self.high_watermark}",
            )
        if offset <= self.log_start_offset:
            return False
        try:
            self._set_log_start_offset(offset)
        except OSError as error:
            raise self.storage_error(error) from error
        return True

    def _set_log_start_offset(self, offset: int) -> None:
        self.log_start_offset = offset
        self.log_end_offset = max(self.log_end_offset, offset)
        self.recovery_point = max(self.recovery_point, offset)
        self.leader_epochs.truncate_from_start(offset)
        self.producer_state.on_log_start_offset(offset)
        self.update_high_watermark(max(self.high_watermark, offset))

    def end_offset_for_epoch(self, epoch: int) -> tuple[int, int]:
        """(epoch, end offset); (-1, -1) when undefined."""
        return self.leader_epochs.end_offset_for(epoch, self.log_end_offset)

    # Truncating

    def truncate_to(self, offset: int) -> bool:
        """Drops everything from `offset` on, and the whole batch that holds it; True when something was dropped.

        Raises OSError.
        """
        if offset >= self.log_end_offset:
            # This broker may have begun an epoch here as leader, in which it then appended nothing.
            self.leader_epochs.truncate_from_end(self.log_end_offset)
            return False
        if self.segments[0].base_offset > offset:
            self.truncate_fully_and_start_at(offset)
            return True
        going = [segment for segment in self.segments if segment.base_offset > offset]
        for segment in reversed(going):  # so that an interruption leaves no hole
            self._unlink(segment)
        if going:
            sync_directory(self.files, self.directory)
        self._set_segments([segment for segment in self.segments if segment.base_offset <= offset])
        cut = self.active.find(offset)
        if cut is not None and cut.base_offset < offset:
            offset = cut.base_offset  # Kafka's log ends at the offset asked for, with a hole before it
        self.active.truncate_to(offset)
        self.leader_epochs.truncate_from_end(offset)
        self._end_at(offset)
        return True

    def truncate_fully_and_start_at(self, offset: int) -> None:
        """Drops everything; the log begins anew at `offset`. Raises OSError."""
        for segment in reversed(self.segments):
            self._unlink(segment)
        segment = LogSegment(self.files, self.directory, offset, self.config, self.clock.wall_ms(), 0)
        segment.create()
        self._set_segments([segment])
        self.leader_epochs.clear()
        self.log_start_offset = offset
        self._end_at(offset)

    def _unlink(self, segment: LogSegment) -> None:
        for path in segment.mark_deleted():
            self.files.unlink(path)

    def _end_at(self, offset: int) -> None:
        self.cleaning.truncated(self.active.base_offset)
        self.truncations += 1
        self.log_end_offset = offset
        self.recovery_point = min(self.recovery_point, offset)
        self.log_start_offset = min(self.log_start_offset, offset)
        self.producer_state.delete_snapshots_from(offset + 1)
        self.rebuild_producer_state(offset)
        self.update_high_watermark(min(self.high_watermark, offset))

    def rebuild_producer_state(self, end_offset: int) -> None:
        """From the latest snapshot and the batches behind it."""
        self.producer_state.load(self.log_start_offset, end_offset, self.clock.wall_ms())
        first = self.segment_for(max(self.producer_state.map_end_offset, self.log_start_offset))
        catch_up(self.producer_state, self.segments[first:], end_offset)

    # Flushing and closing

    def segments_to_flush(self, offset: int) -> list[LogSegment]:
        """Those with batches between the recovery point and `offset`, exclusive."""
        if offset <= self.recovery_point:
            return []
        first = self.segment_for(self.recovery_point)
        return [segment for segment in self.segments[first:] if segment.base_offset < offset]

    def flush_job(self, offset: int) -> Callable[[], None]:
        """fsync of everything below `offset`, as work for a thread that raises OSError; flushed() tells its end."""
        return flush_job(self, offset)

    def flushed(self, offset: int) -> None:
        """What is below `offset` is on disk."""
        if offset > self.recovery_point:
            self.recovery_point = offset
        self.last_flushed_ms = self.clock.wall_ms()

    def flush(self) -> None:
        """fsync of everything up to the log end, here and now. Raises OSError."""
        offset = self.log_end_offset
        self.flush_job(offset)()
        self.flushed(offset)

    def close(self) -> None:
        """Trims the indexes and snapshots the producers: what a clean stop leaves. Raises OSError."""
        self.producer_state.take_snapshot()
        if not self.is_placed:
            sync_path(self.files, f"{self.directory}/{PARTITION_METADATA}")
        for segment in self.segments[:-1]:
            segment.release()
        self.active.close()


def _ignore(_: OSError) -> None:
    return
