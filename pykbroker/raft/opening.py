"""Opens the metadata log of a log directory, formatting it where it is new (KafkaMetadataLog.createLog, Formatter)."""

import os
from typing import TYPE_CHECKING

from pykbroker.config.topic_config import TopicConfig
from pykbroker.ids import METADATA_TOPIC_ID, TopicPartition
from pykbroker.log.partition_metadata import write_partition_metadata
from pykbroker.log.recovery import load_log
from pykbroker.metadata.features import INITIAL_FEATURES
from pykbroker.raft import snapshot
from pykbroker.raft.formatting import write_bootstrap
from pykbroker.raft.metadata_log import MetadataLog
from pykbroker.raft.snapshot import BOOTSTRAP_FILE

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.log.files import Files
    from pykbroker.log.unified_log import UnifiedLog
    from pykbroker.raft.observer_log import ObserverLog

METADATA_PARTITION = TopicPartition("__cluster_metadata", 0)


def is_fresh(folder: str) -> bool:
    """Whether nobody has formatted `folder` for a metadata log."""
    return not any(os.path.exists(os.path.join(folder, name)) for name in (str(METADATA_PARTITION), BOOTSTRAP_FILE))


def open_metadata_log(folder: str, *, files: "Files", clock: "Clock", config: "BrokerConfig") -> MetadataLog:
    """__cluster_metadata-0 in `folder`: metadata.log.dir, else the first of log.dirs; locked and with meta.properties.

    A torn tail is cut off: it was never acknowledged. Raises OSError, CorruptCheckpoint, CorruptPartitionMetadata.
    """
    directory = os.path.join(folder, str(METADATA_PARTITION))
    if not os.path.isdir(directory):
        os.makedirs(folder, exist_ok=True)
        if not os.path.exists(os.path.join(folder, snapshot.BOOTSTRAP_FILE)):
            write_bootstrap(folder, INITIAL_FEATURES, clock.wall_ms(), files)
        files.make_directory(directory)
        files.fsync_directory(folder)
    return MetadataLog(_load(directory, files, clock, config), clock)


def open_observer_log(folder: str, *, files: "Files", clock: "Clock", config: "BrokerConfig") -> "ObserverLog":
    """As open_metadata_log, for a node without a controller: its log is a copy and begins empty.

    Raises MetadataLost, OSError, CorruptCheckpoint, CorruptPartitionMetadata.
    """
    from pykbroker.raft.observer_log import ObserverLog

    directory = os.path.join(folder, str(METADATA_PARTITION))
    if not os.path.isdir(directory):
        files.make_directory(directory)
        files.fsync_directory(folder)
    return ObserverLog(_load(directory, files, clock, config), clock)


def _load(directory: str, files: "Files", clock: "Clock", config: "BrokerConfig") -> "UnifiedLog":
    found = snapshot.find_snapshots(directory)
    log = load_log(
        directory=directory,
        topic_partition=METADATA_PARTITION,
        config=metadata_log_config(config),
        files=files,
        clock=clock,
        # As in Kafka the last stop never counts as clean; but what a snapshot holds was synced before.
        was_clean=False,
        recovery_point=found[-1].end_offset if found else 0,
        log_start_offset=0,
        producer_id_expiration_ms=config.producer_id_expiration_ms,
    )
    if log.topic_id is None:
        write_partition_metadata(files, directory, METADATA_TOPIC_ID)
        log.topic_id = METADATA_TOPIC_ID
    return log


def metadata_log_config(config: "BrokerConfig") -> TopicConfig:
    """Segments roll as metadata.log.segment.* say; what is old goes by snapshots, see MetadataLog.trim."""
    topic = TopicConfig({"retention.ms": "-1", "retention.bytes": "-1"})
    # Set, not parsed: the internal override may be smaller than what segment.bytes allows.
    topic.segment_bytes = config.internal_metadata_log_segment_bytes or config.metadata_log_segment_bytes
    topic.segment_ms = config.metadata_log_segment_ms
    topic.max_message_bytes = config.internal_metadata_max_batch_size_in_bytes
    return topic
