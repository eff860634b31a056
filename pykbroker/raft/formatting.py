"""What kafka-storage format leaves for an empty metadata log: bootstrap.checkpoint (Formatter, BootstrapDirectory)."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pykbroker.protocol.metadata_records import frame_record, parse_record
from pykbroker.raft import snapshot

if TYPE_CHECKING:
    from pykbroker.log.files import Files
    from pykbroker.protocol.message import Message


def write_bootstrap(directory: str, features: Mapping[str, int], now_ms: int, files: "Files | None" = None) -> None:
    """Writes bootstrap.checkpoint with the feature levels of a fresh cluster, in the given order. Raises OSError."""
    from pykbroker.protocol.persisted.metadata.feature_level_record import FeatureLevelRecord

    values = [frame_record(FeatureLevelRecord(name=n, feature_level=level), 0) for n, level in features.items()]
    path = os.path.join(directory, snapshot.BOOTSTRAP_FILE)
    snapshot.write(path, values, epoch=0, timestamp=0, now_ms=now_ms, mode=0o644, files=files)


def read_bootstrap(directory: str) -> "list[Message] | None":
    """The records for a controller with an empty log; None without the file. Raises MalformedFrame, OSError."""
    path = os.path.join(directory, snapshot.BOOTSTRAP_FILE)
    if not os.path.exists(path):
        return None
    return [parse_record(value)[0] for value in snapshot.read(path).values]
