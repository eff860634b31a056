"""A metadata image as a snapshot of the metadata log, by leader and observer alike (SnapshotGenerator, KIP-630)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pykbroker.metadata.features import record_version
from pykbroker.metadata.snapshot_records import image_to_records
from pykbroker.protocol.metadata_records import frame_record
from pykbroker.raft import snapshot
from pykbroker.raft.snapshot import SnapshotId

if TYPE_CHECKING:
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.raft.metadata_log import MetadataLog


def snapshot_job(image: "MetadataImage", log: "MetadataLog", now_ms: int) -> Callable[[], SnapshotId]:
    """A function for a thread: writes the snapshot. Raises OSError then."""
    snapshot_id = SnapshotId(image.offset + 1, image.epoch)
    timestamp, quorum = log.last_timestamp, log.quorum

    def job() -> SnapshotId:
        level = image.features.metadata_version
        values = (frame_record(record, record_version(record, level)) for record in image_to_records(image))
        path = log.snapshot_path(snapshot_id)
        snapshot.write(
            path, values, epoch=image.epoch, timestamp=timestamp, now_ms=now_ms, quorum=quorum, files=log.files
        )
        return snapshot_id

    return job
