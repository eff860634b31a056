"""All partitions of this broker, as the metadata image says; handlers find them here. (ReplicaManager)"""

from collections.abc import Callable, Iterator, Mapping
from logging import getLogger
from os import pread
from typing import TYPE_CHECKING

from pykbroker.clock import Clock
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicIdPartition, TopicPartition, Uuid
from pykbroker.log.log_config import LogConfig
from pykbroker.log.log_manager import LogManager
from pykbroker.log.unified_log import COORDINATOR
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.replica.partition import ACKS_ALL, HighWatermarkListener, Partition

if TYPE_CHECKING:
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.metadata.local_changes import LocalChanges
    from pykbroker.metadata.topics import PartitionImage

logger = getLogger(__name__)


class ReplicaManager:
    """`config_for(topic)` gives a topic's effective configs. Implements the coordinators' PartitionWriter."""

    def __init__(self, *, node_id: int, logs: LogManager, clock: Clock, config_for: Callable[[str], LogConfig]) -> None:
        self.node_id = node_id
        self.logs = logs
        self.clock = clock
        self._config_for = config_for
        self._partitions: dict[TopicPartition, Partition] = {}
        # The hot path finds a partition without building a TopicPartition.
        self._by_name: dict[str, dict[int, Partition]] = {}
        self._names: dict[Uuid, str] = {}
        self._offline: set[TopicPartition] = set()
        logs.on_directory_failure = self._on_directory_failure

    # Following the image

    def apply(self, changes: "LocalChanges", image: "MetadataImage") -> None:
        """Makes the partitions what `image` says; `changes` names those that differ."""
        for deleted in changes.deleted:
            self._delete(deleted)
        for partitions in (changes.leaders, changes.followers):
            for key, partition_image in partitions.items():
                self._apply(key, partition_image)

    def load(self, image: "MetadataImage") -> None:
        """The first image after the logs were loaded: every partition of this broker; stray logs go."""
        wanted: dict[TopicIdPartition, PartitionImage] = {
            TopicIdPartition(topic.id, topic.name, index): partition
            for topic in image.topics
            for index, partition in topic.partitions.items()
            if self.node_id in partition.replicas
        }
        self._remove_strays(wanted)
        for key, partition in wanted.items():
            self._apply(key, partition)

    def _remove_strays(self, wanted: Mapping[TopicIdPartition, "PartitionImage"]) -> None:
        """Logs that the metadata does not know: deleted while this broker was away (LogManager.isStrayKraftReplica)."""
        ids = {key.topic_partition: key.topic_id for key in wanted}
        for log in self.logs.all():
            tp = log.topic_partition
            if tp not in ids or log.topic_id not in (None, ids[tp]):
                logger.warning("Removing the log of %s: topic %s is not known any more", tp, log.topic_id)
                self.logs.delete(tp)

    def _apply(self, key: TopicIdPartition, image: "PartitionImage") -> None:
        tp = key.topic_partition
        partition = self._partitions.get(tp)
        if partition is None:
            try:
                log = self.logs.create(tp, key.topic_id, self._config_for(tp.topic))
            except KafkaError as error:
                logger.error("The log of %s cannot be opened: %s", tp, error)
                self._offline.add(tp)
                return
            partition = Partition(tp, key.topic_id, self.node_id, log)
            self._partitions[tp] = partition
            self._by_name.setdefault(tp.topic, {})[tp.partition] = partition
            self._names[key.topic_id] = tp.topic
        partition.apply(image)

    def _delete(self, key: TopicIdPartition) -> None:
        tp = key.topic_partition
        partition = self._forget(tp)
        self._offline.discard(tp)
        self.logs.delete(tp)
        if partition is not None:
            partition.is_leader = False
            partition.wake_all()

    def _forget(self, tp: TopicPartition) -> Partition | None:
        partition = self._partitions.pop(tp, None)
        if partition is None:
            return None
        siblings = self._by_name[tp.topic]
        del siblings[tp.partition]
        if not siblings:
            del self._by_name[tp.topic]
            self._names.pop(partition.topic_id, None)
        return partition

    def _on_directory_failure(self, _: str) -> None:
        for tp in [tp for tp in self._partitions if self.logs.get(tp) is None]:
            partition = self._forget(tp)
            self._offline.add(tp)
            if partition is not None:
                partition.is_leader = False
                partition.wake_all()

    def update_topic_config(self, topic: str) -> None:
        """The topic's configs, or the broker's defaults for them, changed."""
        self.logs.update_config(topic, self._config_for(topic))

    # Finding partitions

    def find(self, topic: str, index: int) -> Partition | None:
        """A partition with an online log here, as fast as it gets."""
        partitions = self._by_name.get(topic)
        return partitions.get(index) if partitions is not None else None

    def name_of(self, topic_id: Uuid) -> str | None:
        """The name of a topic with a partition here."""
        return self._names.get(topic_id)

    def partition(self, tp: TopicPartition) -> Partition:
        """Raises KafkaError UNKNOWN_TOPIC_OR_PARTITION, KAFKA_STORAGE_ERROR."""
        partition = self._partitions.get(tp)
        if partition is None:
            raise self.missing(tp)
        return partition

    def missing(self, tp: TopicPartition) -> KafkaError:
        """Why there is no such partition here."""
        if tp in self._offline:
            return KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"Partition {tp} is in an offline log directory")
        return KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Broker {self.node_id} has no partition {tp}")

    def __iter__(self) -> Iterator[Partition]:
        return iter(list(self._partitions.values()))

    # PartitionWriter

    def append_batch(self, tp: TopicPartition, batch: bytearray, leader_epoch: int) -> int:
        """A coordinator's batch; the offset behind it. Raises KafkaError."""
        partition = self.partition(tp)
        if leader_epoch != partition.leader_epoch:
            raise KafkaError(
                ErrorCode.NOT_LEADER_OR_FOLLOWER,
                f"Partition {tp} has leader epoch {partition.leader_epoch}, the writer expected {leader_epoch}",
            )
        if len(batch) > partition.log.config.max_message_bytes:
            raise KafkaError(ErrorCode.MESSAGE_TOO_LARGE, f"A batch of {len(batch)} bytes is too large for {tp}")
        return partition.append(batch, ACKS_ALL, self.clock.wall_ms(), COORDINATOR).last_offset + 1

    def read_for_load(self, tp: TopicPartition, offset: int, max_bytes: int) -> bytes:
        """Whole batches up to the log end, at least one; b"" at the end. Raises KafkaError."""
        partition = self.partition(tp)
        partition.check_leader()
        log = partition.log
        read = log.read(offset, max_bytes, upper_bound=log.log_end_offset, min_one=True)
        return b"".join(pread(region.file.fileno(), region.length, region.position) for region in read.segments)

    def log_bounds(self, tp: TopicPartition) -> tuple[int, int]:
        """(log start offset, high watermark). Raises KafkaError."""
        partition = self.partition(tp)
        partition.check_leader()
        return partition.log.log_start_offset, partition.log.high_watermark

    def add_high_watermark_listener(self, tp: TopicPartition, callback: HighWatermarkListener) -> None:
        """Raises KafkaError when the partition is not here."""
        self.partition(tp).listeners.append(callback)

    def remove_high_watermark_listener(self, tp: TopicPartition, callback: HighWatermarkListener) -> None:
        partition = self._partitions.get(tp)
        if partition is not None and callback in partition.listeners:
            partition.listeners.remove(callback)
