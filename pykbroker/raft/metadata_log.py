"""The metadata log: append atomic batches of records, load them, keep it short by snapshots (KafkaMetadataLog)."""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from logging import getLogger
from typing import TYPE_CHECKING, NamedTuple

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.metadata_records import frame_record, parse_record
from pykbroker.raft import control, snapshot
from pykbroker.raft.snapshot import SnapshotId
from pykbroker.record.batch import crc_is_valid, iterate_batches
from pykbroker.record.builder import SimpleRecord, build_batch
from pykbroker.record.reader import iterate_records

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.log.unified_log import UnifiedLog
    from pykbroker.protocol.embedded.voters import VotersRecord
    from pykbroker.protocol.message import Message

logger = getLogger(__name__)
READ_BYTES = 1024 * 1024
# A batch may not be larger (KafkaRaftClient.MAX_BATCH_SIZE_BYTES).
MAX_BATCH_BYTES = 8 * 1024 * 1024


class LoadedBatch(NamedTuple):
    """Records that were written together, or a whole snapshot. `last_offset` and `epoch` are the image's after them."""

    last_offset: int
    epoch: int
    timestamp: int
    records: "list[Message]"
    is_snapshot: bool = False


class MetadataLog:
    """__cluster_metadata-0, as the leader of a quorum of one sees it.

    Offsets below `high_watermark` are durable. `epoch` is -1 until lead().
    """

    def __init__(self, log: "UnifiedLog", clock: "Clock") -> None:
        """Of an open log: see opening.open_metadata_log."""
        self.directory = log.directory
        self.files = log.files
        self.epoch = -1
        self.high_watermark = log.log_end_offset
        self.bytes_since_snapshot = 0
        self.quorum = control.Quorum()
        # Not where they stand in the bootstrap snapshot alone, which nobody else is given.
        self.voters_are_in_log = False
        self._log = log
        self._clock = clock
        self._last_timestamp = 0
        # The newest segment whose name is known to be on disk.
        self._durable_segment = -1
        self._is_closed = False
        self._snapshots: list[SnapshotId] | None = None

    @property
    def start_offset(self) -> int:
        return self._log.log_start_offset

    @property
    def end_offset(self) -> int:
        """The offset that the next record gets."""
        return self._log.log_end_offset

    @property
    def last_timestamp(self) -> int:
        """When the last batch was written, ms; what a snapshot of the whole log says in its header."""
        return self._last_timestamp

    # Load

    def load(self) -> Iterator[LoadedBatch]:
        """The newest snapshot, then the batches behind it. Raises MalformedFrame, KafkaError, OSError."""
        snapshot.remove_leftovers(self.directory, self.files)
        position = self.start_offset
        newest = self.latest_snapshot()
        if newest is not None:
            position = newest.end_offset
            yield self._load_snapshot(newest)
            if newest.end_offset < self.start_offset:
                raise MalformedFrame(f"{self.directory} starts at {self.start_offset}, behind {newest.file_name}")
            if newest.end_offset > self.end_offset:
                # The log ends before the snapshot, which holds committed records only: it is right.
                self._log.truncate_fully_and_start_at(newest.end_offset)
                self.high_watermark = self.end_offset
        elif position > 0:
            raise MalformedFrame(f"{self.directory} starts at offset {position} but has no snapshot")
        yield from self._load_batches(position, self.end_offset)

    def _load_snapshot(self, newest: SnapshotId) -> LoadedBatch:
        loaded = snapshot.read(os.path.join(self.directory, newest.file_name))
        self.quorum = loaded.quorum
        self.voters_are_in_log = newest != snapshot.BOOTSTRAP_ID and loaded.quorum.voters is not None
        self._last_timestamp = loaded.timestamp
        records = [parse_record(value)[0] for value in loaded.values]
        return LoadedBatch(newest.end_offset - 1, newest.epoch, loaded.timestamp, records, True)

    def _load_batches(self, position: int, end: int) -> Iterator[LoadedBatch]:
        while position < end:
            data = self._bytes(position, READ_BYTES, end)
            if not data:
                return self._cut_behind(position)
            for header, at in iterate_batches(data):
                if header.next_offset <= position:
                    continue  # the read begins with the batch that holds the offset
                if header.base_offset > position:
                    return self._cut_behind(position)
                if not crc_is_valid(data, at):
                    raise MalformedFrame(f"{self.directory}: corrupt batch at offset {header.base_offset}", at)
                self.bytes_since_snapshot += header.size_in_bytes
                self._last_timestamp = header.max_timestamp
                yield LoadedBatch(
                    header.last_offset,
                    header.partition_leader_epoch,
                    header.max_timestamp,
                    self._records(data, at, control_batch=header.is_control),
                )
                position = header.next_offset

    def _cut_behind(self, position: int) -> None:
        """Offsets are missing there: a power cut took the end of a segment and left the next one. All that was
        committed was synced in order, so that nothing behind the gap was; and metadata must have none."""
        logger.warning("%s has a gap at offset %d: cutting what is behind it", self.directory, position)
        self._log.truncate_to(position)
        self.high_watermark = min(self.high_watermark, self.end_offset)

    def _records(self, data: bytes, at: int, *, control_batch: bool) -> "list[Message]":
        if not control_batch:
            return [parse_record(record.value or b"")[0] for record in iterate_records(data, at)]
        for record in iterate_records(data, at):
            kind = control.control_type(record.key)
            self.quorum = control.quorum_after(self.quorum, kind, record.value or b"")
            self.voters_are_in_log |= kind == control.KRAFT_VOTERS
        return []

    def _bytes(self, position: int, max_bytes: int, upper_bound: int) -> bytes:
        read = self._log.read(position, max_bytes, min_one=True, upper_bound=upper_bound)
        return b"".join(os.pread(region.file.fileno(), region.length, region.position) for region in read.segments)

    # What followers ask

    def read_committed(self, position: int, max_bytes: int) -> bytes:
        """Whole batches below the high watermark, beginning with the one that holds `position`; at least one."""
        return self._bytes(position, max_bytes, self.high_watermark) if position < self.high_watermark else b""

    def end_offset_for_epoch(self, epoch: int) -> tuple[int, int]:
        """(largest epoch not above the asked one, its end offset); of a later epoch than any: those of the log's end
        (KafkaRaftLog.endOffsetForEpoch)."""
        found, end = self._log.end_offset_for_epoch(epoch)
        if found < 0:
            return self.epoch, self.end_offset
        oldest = next(iter(self.snapshots()), None)
        if oldest is not None and found == epoch and end == oldest.end_offset:
            return oldest.epoch, oldest.end_offset  # the log begins with this epoch: what was before is the snapshot's
        return found, end

    # Append

    def lead(self, epoch: int, leader_change: "Message", voters: "VotersRecord | None" = None) -> None:
        """Begins `epoch` with its LeaderChange control batch; with `voters` also when they are to be told anew."""
        self.epoch = epoch
        records: list[tuple[int, Message]] = [(control.LEADER_CHANGE, leader_change)]
        if voters is not None:
            records += self._change_quorum(control.Quorum(self.quorum.kraft_version, voters))
        self._append_control(records)

    def upgrade_quorum(self, kraft_version: int, voters: "VotersRecord") -> None:
        """As append(): it counts once it is durable (LeaderState.maybeAppendUpgradedKRaftVersion)."""
        self._append_control(self._change_quorum(control.Quorum(kraft_version, voters)))

    def _change_quorum(self, quorum: control.Quorum) -> "list[tuple[int, Message]]":
        assert quorum.voters is not None
        self.quorum = quorum
        self.voters_are_in_log = True
        return control.voters_change(quorum.kraft_version, quorum.voters)

    def _append_control(self, records: "Sequence[tuple[int, Message]]") -> None:
        now = self._clock.wall_ms()
        self._append(control.control_batch(records, base_offset=self.end_offset, epoch=self.epoch, timestamp=now))

    def append(self, records: "Sequence[Message]", version_of: "Callable[[Message], int]") -> int:
        """Appends one atomic batch; returns the offset of its last record. It counts once it is durable: see sync().

        Raises KafkaError: KAFKA_STORAGE_ERROR, UNKNOWN_SERVER_ERROR for more than MAX_BATCH_BYTES.
        """
        now = self._clock.wall_ms()
        entries = [SimpleRecord(None, frame_record(record, version_of(record)), (), now) for record in records]
        batch = build_batch(entries, base_offset=self.end_offset, leader_epoch=self.epoch)
        if len(batch) > MAX_BATCH_BYTES:
            raise KafkaError(
                ErrorCode.UNKNOWN_SERVER_ERROR,
                f"a batch of {len(batch)} bytes is too large for the metadata log, which takes {MAX_BATCH_BYTES}",
            )
        self._append(batch)
        return self.end_offset - 1

    def _append(self, batch: bytearray) -> None:
        now = self._clock.wall_ms()
        self._log.append_as_leader(batch, self.epoch, now, origin="raft_leader")
        self._last_timestamp = now
        self.bytes_since_snapshot += len(batch)

    def sync(self) -> int:
        """Makes everything appended so far durable; returns the new high watermark. Slow: an fsync. Raises OSError."""
        end = self.sync_job()()
        self.advance_high_watermark(end)
        return end

    def sync_job(self) -> "Callable[[], int]":
        """sync() in two halves: the returned function is for a thread, its result for advance_high_watermark().

        Only the segments are synced: as Kafka's, our indexes of this log are rebuilt whenever it is opened.
        """
        log, end = self._log, self.end_offset
        open_files = [segment.file for segment in log.segments_to_flush(end)]
        has_new_segment = log.active.base_offset > self._durable_segment
        self._durable_segment = log.active.base_offset

        def job() -> int:
            for file in open_files:
                log.files.fsync(file.fileno())
            if has_new_segment:
                log.files.fsync_directory(log.directory)
            return end

        return job

    def advance_high_watermark(self, offset: int) -> None:
        """Everything below `offset` is durable."""
        self._log.flushed(offset)
        if offset > self.high_watermark:
            self.high_watermark = offset
            self._log.update_high_watermark(offset)

    # Snapshots

    def latest_snapshot(self) -> SnapshotId | None:
        """The newest snapshot. The one that kafka-storage format wrote for offset 0 counts: it names the voters."""
        found = self.snapshots()
        return found[-1] if found else None

    def snapshots(self) -> list[SnapshotId]:
        """All of them, oldest first."""
        if self._snapshots is None:
            self._snapshots = snapshot.find_snapshots(self.directory)
        return self._snapshots

    def snapshot_path(self, snapshot_id: SnapshotId) -> str:
        return os.path.join(self.directory, snapshot_id.file_name)

    def snapshot_written(self, snapshot_id: SnapshotId) -> None:
        """A snapshot is complete on disk: the count of bytes for the next one starts again."""
        self.bytes_since_snapshot = 0
        self._snapshots = None

    def trim(self, *, max_bytes: int, max_ms: int, now_ms: int) -> int:
        """Drops old snapshots and the segments below them, as metadata.max.retention.bytes and .ms say; -1: no limit.

        The newest snapshot stays. Returns the number of snapshots dropped.
        """
        found = snapshot.find_snapshots(self.directory)
        dropped = 0
        for old, following in pairwise(found):
            if not self._is_surplus(old, max_bytes=max_bytes, max_ms=max_ms, now_ms=now_ms):
                break
            self._log.increment_log_start_offset(following.end_offset)
            self._log.delete_old_segments(now_ms)
            self.files.unlink(self.snapshot_path(old))
            dropped += 1
        self._snapshots = None
        # Nobody else reads this log: its files need not linger for file.delete.delay.ms.
        self._log.unlink_doomed()
        return dropped

    def _is_surplus(self, old: SnapshotId, *, max_bytes: int, max_ms: int, now_ms: int) -> bool:
        sizes = [os.stat(self.snapshot_path(each)).st_size for each in snapshot.find_snapshots(self.directory)]
        if max_bytes >= 0 and self._log.size + sum(sizes) > max_bytes:
            return True
        if max_ms < 0:
            return False
        return now_ms - snapshot.read_timestamp(self.snapshot_path(old)) > max_ms

    def close(self) -> None:
        """Once; closing again does nothing. Raises OSError."""
        if self._is_closed:
            return
        self._is_closed = True
        self._log.close()
