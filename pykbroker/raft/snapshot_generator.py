"""When an observer snapshots its image, and the work of it for a thread (SnapshotGenerator, KIP-630)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pykbroker.metadata.features import record_version
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.snapshot_records import image_to_records
from pykbroker.protocol.metadata_records import frame_record
from pykbroker.raft import snapshot
from pykbroker.raft.observer_log import ObserverLog
from pykbroker.raft.snapshot import SnapshotId

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.config.broker_config import BrokerConfig


class SnapshotGenerator:
    """After so many bytes of log, or so long after the first change that no snapshot holds."""

    def __init__(
        self, log: ObserverLog, image: Callable[[], MetadataImage], config: "BrokerConfig", clock: "Clock"
    ) -> None:
        self._log = log
        self._image = image
        self._config = config
        self._clock = clock
        newest = log.latest_snapshot()
        self._end_offset = newest.end_offset if newest is not None else 0
        self._changed_at: float | None = None

    def published(self) -> None:
        """There is a new image."""
        if self._changed_at is None:
            self._changed_at = self._clock.monotonic()

    def is_due(self) -> bool:
        if self._image().offset < self._end_offset or self._changed_at is None:
            return False
        limit = self._config.metadata_log_max_record_bytes_between_snapshots
        interval = self._config.metadata_log_max_snapshot_interval_ms
        if self._log.bytes_since_snapshot >= limit:
            return True
        return bool(interval) and self._clock.monotonic() - self._changed_at >= interval / 1000

    def job(self) -> Callable[[], SnapshotId]:
        """A function for a thread: snapshots the image of now. Then call done()."""
        image, log = self._image(), self._log
        snapshot_id = SnapshotId(image.offset + 1, image.epoch)
        timestamp, now_ms, quorum = log.last_timestamp, self._clock.wall_ms(), log.quorum
        self._changed_at = None

        def write() -> SnapshotId:
            level = image.features.metadata_version
            values = (frame_record(record, record_version(record, level)) for record in image_to_records(image))
            path = log.snapshot_path(snapshot_id)
            snapshot.write(
                path, values, epoch=image.epoch, timestamp=timestamp, now_ms=now_ms, quorum=quorum, files=log.files
            )
            return snapshot_id

        return log.durable_snapshot_job(write)

    def done(self, snapshot_id: SnapshotId) -> None:
        """Drops what the retention settings no longer keep. Raises OSError, KafkaError."""
        self._end_offset = snapshot_id.end_offset
        self._log.snapshot_written(snapshot_id)
        self._log.trim(
            max_bytes=self._config.metadata_max_retention_bytes,
            max_ms=self._config.metadata_max_retention_ms,
            now_ms=self._clock.wall_ms(),
        )
