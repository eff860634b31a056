"""The metadata log as an observer keeps it: the leader's batches as they came, of which those below the high watermark
are committed. Nothing here waits for the disk, as nobody waits for an observer: what a crash takes is fetched again.

Kafka: KafkaMetadataLog, RecordsSnapshotWriter.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.log.files import write_all
from pykbroker.raft import snapshot
from pykbroker.raft.metadata_log import LoadedBatch, MetadataLog
from pykbroker.raft.snapshot import SnapshotId

if TYPE_CHECKING:
    from collections.abc import Callable

    from pykbroker.clock import Clock
    from pykbroker.log.unified_log import UnifiedLog
    from pykbroker.record.batch import WritableBuffer


# As long as no leader has said how far is committed: nobody has it all.
UNKNOWN_END = 2**63 - 1


class MetadataLost(Exception):
    """The leader does not have what was committed before. The text says what to do."""


class ObserverLog(MetadataLog):
    """`high_watermark` rises with what the leader says, as far as the log has it; `committed_end` is what it said last,
    UNKNOWN_END before.

    `applied`: the offset behind what committed() gave out."""

    def __init__(self, log: "UnifiedLog", clock: "Clock") -> None:
        """Raises MalformedFrame, MetadataLost, OSError."""
        super().__init__(log, clock)
        self.applied = 0
        self.committed_end = UNKNOWN_END
        self._snapshot_epoch = 0
        snapshot.remove_leftovers(self.directory, self.files)
        newest = self.latest_snapshot()
        if newest is not None:
            self._snapshot_epoch = newest.epoch
            if newest.end_offset > self.end_offset:
                self._log.truncate_fully_and_start_at(newest.end_offset)
        self.high_watermark = newest.end_offset if newest is not None else 0
        if self.start_offset > self.high_watermark:
            raise MetadataLost(
                f"{self.directory} starts at offset {self.start_offset}, but no snapshot in it reaches there. Delete "
                "it: it is but a copy of what the controllers have."
            )

    @property
    def last_epoch(self) -> int:
        """Of the last batch, or of the snapshot that stands before the log; 0 when there is nothing."""
        latest = self._log.leader_epochs.latest_epoch()
        return self._snapshot_epoch if latest is None else latest

    # What the leader sends

    def append_as_follower(self, records: "WritableBuffer", epoch: int) -> None:
        """Whole batches, up to those of `epoch`. Raises CorruptBatch, KafkaError."""
        self._log.append_as_follower(records, self._clock.wall_ms(), epoch)

    def commit(self, offset: int) -> None:
        """The leader's high watermark; negative: one that was elected just now does not know it yet."""
        if offset >= 0:
            self.committed_end = offset
            self._raise_high_watermark(offset)

    def _raise_high_watermark(self, offset: int) -> None:
        self.high_watermark = max(self.high_watermark, min(offset, self.end_offset))
        self._log.update_high_watermark(self.high_watermark)

    def truncate(self, epoch: int, end_offset: int) -> int:
        """The leader's `epoch` ends at `end_offset`, ours differs: cuts to where both agree, which is returned.

        Raises MetadataLost when that is committed already, OSError (ReplicatedLog.truncateToEndOffset).
        """
        own_epoch, own_end = self._log.end_offset_for_epoch(epoch)
        if own_epoch < 0:
            own_epoch, own_end = self.last_epoch, self.end_offset
        offset = min(own_end, end_offset) if own_epoch == epoch else own_end
        if epoch == 0:
            offset = min(end_offset, self.end_offset)
        if offset < max(self.high_watermark, self.applied):
            raise MetadataLost(
                f"The controller's metadata ends at offset {offset}, this node has committed metadata up to "
                f"{self.high_watermark}: {self._how_to_follow()}"
            )
        self._log.truncate_to(offset)
        return offset

    def start_download(self, snapshot_id: SnapshotId) -> "SnapshotDownload":
        """Raises MalformedFrame when it is none, MetadataLost when it ends before what was committed, OSError."""
        if min(snapshot_id) < 0:
            raise MalformedFrame(f"the leader names a snapshot {tuple(snapshot_id)}")
        committed = max(self.high_watermark, self.applied)
        if snapshot_id.end_offset < committed:
            raise MetadataLost(
                f"The controller's snapshot ends at offset {snapshot_id.end_offset}, this node has committed metadata "
                f"up to {committed}: {self._how_to_follow()}"
            )
        return SnapshotDownload(self, snapshot_id)

    def _how_to_follow(self) -> str:
        return (
            "the controllers have lost some, or belong to another cluster. To follow them nevertheless, stop this "
            f"node and delete {self.directory}, which is but a copy."
        )

    def install(self, snapshot_id: SnapshotId) -> None:
        """The log begins anew behind a snapshot that is on disk. How much more is committed, the leader has yet to
        say. Raises OSError."""
        self._snapshot_epoch = snapshot_id.epoch
        self.snapshot_written(snapshot_id)
        self._log.truncate_fully_and_start_at(snapshot_id.end_offset)
        self._raise_high_watermark(snapshot_id.end_offset)

    # What counts

    def committed(self) -> Iterator[LoadedBatch]:
        """What became committed since the last call; a snapshot where the log begins behind what was given out.

        Raises MalformedFrame, KafkaError, OSError.
        """
        newest = self.latest_snapshot() if self.applied < self.start_offset or not self.applied else None
        if newest is not None and newest.end_offset > self.applied:
            loaded = self._load_snapshot(newest)
            self.applied = newest.end_offset
            yield loaded
        for batch in self._load_batches(self.applied, self.high_watermark):
            self.applied = batch.last_offset + 1
            yield batch

    def durable_snapshot_job(self, write: "Callable[[], SnapshotId]") -> "Callable[[], SnapshotId]":
        """`write` for a thread, with the log made durable before: a restart does not look below a snapshot."""
        sync = self.sync_job()

        def job() -> SnapshotId:
            sync()
            return write()

        return job


class SnapshotDownload:
    """A snapshot on its way from the leader, in pieces that may cut batches."""

    def __init__(self, log: ObserverLog, snapshot_id: SnapshotId) -> None:
        self.snapshot_id = snapshot_id
        self.position = 0
        self._log = log
        self._path = log.snapshot_path(snapshot_id)
        self._partial = self._path.removesuffix(snapshot.SUFFIX) + snapshot.PARTIAL_SUFFIX
        self._fd = log.files.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def add(self, data: bytes | bytearray | memoryview) -> None:
        """Raises OSError."""
        write_all(self._log.files, self._fd, data, self.position)
        self.position += len(data)

    def finish(self) -> None:
        """Checks it and lets the log begin behind it. Raises MalformedFrame, KafkaError, OSError."""
        files = self._log.files
        try:
            snapshot.read(self._partial)
        except (MalformedFrame, KafkaError):
            self.drop()
            raise
        os.fchmod(self._fd, 0o400)
        files.fsync(self._fd)
        files.close(self._fd)
        files.rename(self._partial, self._path)
        files.fsync_directory(self._log.directory)
        self._log.install(self.snapshot_id)

    def drop(self) -> None:
        """Raises OSError."""
        self._log.files.close(self._fd)
        self._log.files.unlink(self._partial)
