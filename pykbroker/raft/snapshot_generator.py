"""When an observer snapshots its image, and the work of it for a thread (SnapshotGenerator, KIP-630)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pykbroker.metadata.image import MetadataImage
from pykbroker.raft.image_snapshot import snapshot_job
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
        self._changed_at = None
        return self._log.durable_snapshot_job(snapshot_job(self._image(), self._log, self._clock.wall_ms()))

    def done(self, snapshot_id: SnapshotId) -> None:
        """Drops what the retention settings no longer keep. Raises OSError, KafkaError."""
        self._end_offset = snapshot_id.end_offset
        self._log.snapshot_written(snapshot_id)
        self._log.trim(
            max_bytes=self._config.metadata_max_retention_bytes,
            max_ms=self._config.metadata_max_retention_ms,
            now_ms=self._clock.wall_ms(),
        )
