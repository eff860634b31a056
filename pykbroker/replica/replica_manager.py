"""All partitions of this broker, as the metadata image says; handlers find them here. (ReplicaManager)"""

from collections.abc import Callable, Iterator
from logging import getLogger
from os import pread
from typing import TYPE_CHECKING

from pykbroker import verify
from pykbroker.clock import Clock
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicIdPartition, TopicPartition, Uuid
from pykbroker.log.log_config import LogConfig
from pykbroker.log.log_manager import LogManager
from pykbroker.log.unified_log import COORDINATOR
from pykbroker.metadata.image import TOPIC_RESOURCE
from pykbroker.metadata.local_changes import LocalChanges, local_changes
from pykbroker.metadata.topics import EMPTY_TOPICS, TopicsImage
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import ATTRIBUTES_OFFSET, TRANSACTIONAL_BIT, iterate_frames, parse_header
from pykbroker.replica.directory_move import ReplicaDirectories
from pykbroker.replica.partition import ACKS_ALL, HighWatermarkListener, Partition
from pykbroker.replica.transaction_markers import append_marker, committed
from pykbroker.replica.verifications import check_verified, forget_verification

if TYPE_CHECKING:
    from pykbroker.coordinator.shard import Marker
    from pykbroker.metadata.delta import MetadataDelta
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.metadata.topics import PartitionImage
    from pykbroker.replica.replication import Replication, ReplicationSettings

logger = getLogger(__name__)
_LAST_ATTRIBUTES_BYTE = ATTRIBUTES_OFFSET + 1


class ReplicaManager:
    """`config_for(topic)` gives a topic's effective configs. Implements the coordinators' PartitionWriter."""

    def __init__(self, *, node_id: int, logs: LogManager, clock: Clock, config_for: Callable[[str], LogConfig]) -> None:
        self.node_id = node_id
        self.logs = logs
        self.clock = clock
        self._config_for = config_for
        # Partitions that fetches wait for at the moment, counted once per fetch.
        self.waiting_rows = 0
        self._partitions: dict[TopicPartition, Partition] = {}
        # The hot path finds a partition without building a TopicPartition.
        self._by_name: dict[str, dict[int, Partition]] = {}
        self._offline: set[TopicPartition] = set()
        self._is_loaded = False
        self._topics: TopicsImage = EMPTY_TOPICS
        # Made with the first partition that has other replicas; on_replication starts its loops.
        self.replication: Replication | None = None
        self.replication_settings: Callable[[], ReplicationSettings] | None = None
        self.on_replication: Callable[[Replication], None] = _ignore
        self._is_shutting_down = False
        self.directories = ReplicaDirectories(self)
        logs.on_directory_failure = self.on_directory_failure

    # Following the image

    def apply(self, changes: LocalChanges, image: "MetadataImage") -> Iterator[None]:
        """Makes the partitions what `image` says; `changes` names those that differ. One partition a step."""
        self._topics = image.topics
        if self.replication is not None:
            self.replication.see(image)
        for deleted in changes.deleted:
            self._delete(deleted)
            yield
        for partitions in (changes.leaders, changes.followers):
            for key, partition_image in partitions.items():
                self._apply(key, partition_image, image)
                yield
        if self.replication is not None:
            self.replication.fetchers.close_idle()

    def on_metadata_update(self, delta: "MetadataDelta", image: "MetadataImage") -> Iterator[None]:
        """As a subscriber of the metadata publisher; the first image must be up to date, see load()."""
        if not self._is_loaded:
            yield from self.load(image)
            return
        yield from self.apply(local_changes(delta, delta.base, image, self.node_id), image)
        for resource_type, name in delta.changed_configs:
            if resource_type == TOPIC_RESOURCE and name in self._by_name:
                self.update_topic_config(name)

    def load(self, image: "MetadataImage") -> Iterator[None]:
        """Every partition of this broker, and no log beside them: one that `image` does not know is a stray
        (LogManager.isStrayReplica)."""
        self._is_loaded = True
        self._topics = image.topics
        wanted: dict[TopicIdPartition, PartitionImage] = {
            TopicIdPartition(topic.id, topic.name, index): partition
            for topic in image.topics
            for index, partition in topic.partitions.items()
            if self.node_id in partition.replicas
        }
        ids = {key.topic_partition: key.topic_id for key in wanted}
        for log in self.logs.all():
            tp = log.topic_partition
            if tp not in ids or log.topic_id not in (None, ids[tp]):
                self.logs.mark_stray(tp)
                yield
        for key, partition in wanted.items():
            self._apply(key, partition, image)
            yield

    def _apply(self, key: TopicIdPartition, image: "PartitionImage", cluster: "MetadataImage") -> None:
        """Whatever is wrong with one partition, the others are served."""
        tp = key.topic_partition
        try:
            self._become(key, image, cluster)
        except KafkaError as error:
            logger.error("The log of %s cannot be opened: %s", tp, error)
            self._offline.add(tp)
        except OSError as error:
            logger.error("%s", self._partitions[tp].log.storage_error(error))
        except Exception:  # our bug: it is not served until the controller decides something new of it
            self._set_offline(tp)
            verify.report_unforeseen(logger, "%s cannot become what the metadata say, %r", tp, image)

    def _become(self, key: TopicIdPartition, image: "PartitionImage", cluster: "MetadataImage") -> None:
        """Leader or follower. Raises KafkaError, OSError."""
        partition = self._partitions.get(key.topic_partition) or self._open(key, image)
        if self.replication is None and len(image.replicas) > 1:
            self._make_replication(cluster)
        self.directories.unsure.add(key.topic_partition)
        begins_to_follow = partition.apply(image, self.replication)
        if self.replication is not None:
            self._settle_fetcher(partition, self.replication, begins_to_follow)

    def _make_replication(self, cluster: "MetadataImage") -> None:
        from pykbroker.replica.replication import Replication, ReplicationSettings

        settings = ReplicationSettings() if self.replication_settings is None else self.replication_settings()
        self.replication = Replication(self.node_id, self.clock, self.logs, settings)
        self.replication.see(cluster)
        self.on_replication(self.replication)

    def _settle_fetcher(self, partition: Partition, replication: "Replication", begins_to_follow: bool) -> None:
        """Who leads follows nobody. In a controlled shutdown a replica that is out of its ISR rests: it would only join
        again (applyLocalFollowersDelta)."""
        image = partition.image
        is_out = self._is_shutting_down and (image.leader < 0 or self.node_id not in image.isr)
        if partition.is_leader or is_out:
            replication.fetchers.remove([partition])
        elif begins_to_follow:
            replication.fetchers.add(partition)

    def _open(self, key: TopicIdPartition, image: "PartitionImage") -> Partition:
        """Raises KafkaError."""
        tp = key.topic_partition
        log = self.logs.create(tp, key.topic_id, self._config_for(tp.topic), image.directory(self.node_id))
        partition = self._partitions[tp] = Partition(tp, key.topic_id, self.node_id, log, image)
        self._offline.discard(tp)
        self._by_name.setdefault(tp.topic, {})[tp.partition] = partition
        return partition

    def _delete(self, key: TopicIdPartition) -> None:
        tp = key.topic_partition
        self._offline.discard(tp)
        partition = self._forget(tp)
        self.logs.delete(tp)
        if partition is not None:
            partition.retire()

    def _forget(self, tp: TopicPartition) -> Partition | None:
        partition = self._partitions.pop(tp, None)
        if partition is not None:
            siblings = self._by_name[tp.topic]
            del siblings[tp.partition]
            if not siblings:
                del self._by_name[tp.topic]
            if self.replication is not None:
                self.replication.fetchers.remove([partition])
        return partition

    def on_directory_failure(self, _: str) -> None:
        """Nobody is served any more what lay there."""
        for tp in [tp for tp in self._partitions if self.logs.get(tp) is None]:
            self._set_offline(tp)

    def _set_offline(self, tp: TopicPartition) -> None:
        """It is not served any more; clients are told of a storage error (markPartitionOffline)."""
        partition = self._forget(tp)
        self._offline.add(tp)
        if partition is not None:
            partition.retire()

    def begin_controlled_shutdown(self) -> None:
        """Partitions are about to be led by others."""
        self._is_shutting_down = True

    def reconfigure_replication(self) -> None:
        """The broker's configs have changed."""
        if self.replication is not None and self.replication_settings is not None:
            self.replication.reconfigure(self.replication_settings())

    def shut_down(self) -> None:
        """No partition is served here any more; whoever waits for one is answered (ReplicaManager.shutdown)."""
        if self.replication is not None:
            self.replication.fetchers.shut_down()
        for tp in list(self._partitions):
            partition = self._forget(tp)
            if partition is not None:
                partition.retire()

    def update_topic_config(self, topic: str) -> None:
        """The topic's configs changed."""
        self.logs.update_config(topic, self._config_for(topic))

    def update_all_configs(self) -> None:
        """The broker's defaults for topic configs changed."""
        for topic in self._by_name:
            self.update_topic_config(topic)

    # Finding partitions

    def find(self, topic: str, index: int) -> Partition | None:
        """A partition with an online log here, as fast as it gets."""
        partitions = self._by_name.get(topic)
        return partitions.get(index) if partitions is not None else None

    def name_of(self, topic_id: Uuid) -> str | None:
        """The name of any topic of the cluster, None for an id that it does not have."""
        topic = self._topics.by_id(topic_id)
        return None if topic is None else topic.name

    def partition(self, tp: TopicPartition) -> Partition:
        """Raises KafkaError UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR."""
        partition = self._partitions.get(tp)
        if partition is None:
            raise self.missing(*tp)
        return partition

    def knows(self, topic: str, index: int) -> bool:
        """Whether the cluster has this partition, here or elsewhere."""
        return self._topics.partition(topic, index) is not None

    def missing(self, topic: str, index: int) -> KafkaError:
        """Why there is no such partition here (getPartitionOrException)."""
        if (topic, index) in self._offline:
            return KafkaError(
                ErrorCode.KAFKA_STORAGE_ERROR, f"Partition {topic}-{index} is in an offline log directory"
            )
        if self.knows(topic, index):
            return KafkaError(
                ErrorCode.NOT_LEADER_OR_FOLLOWER, f"Broker {self.node_id} has no replica of partition {topic}-{index}"
            )
        return KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"This server does not host partition {topic}-{index}")

    def leader_of(self, topic: str, index: int) -> tuple[int, int]:
        """(node id, leader epoch) as far as this broker knows; -1 for none (KIP-951)."""
        image = self._topics.partition(topic, index)
        return (-1, -1) if image is None else (image.leader, image.leader_epoch)

    def __iter__(self) -> Iterator[Partition]:
        return iter(list(self._partitions.values()))

    # PartitionWriter

    def append_batch(self, tp: TopicPartition, batch: bytearray, leader_epoch: int, guard: object | None = None) -> int:
        """A coordinator's batch; the offset behind it. Raises KafkaError."""
        partition = self._partitions.get(tp)
        if partition is None or partition.leader_epoch != leader_epoch or not partition.is_leader:
            partition = self._led(tp, leader_epoch)
        is_transactional = batch[_LAST_ATTRIBUTES_BYTE] & TRANSACTIONAL_BIT
        if is_transactional:
            check_verified(partition, parse_header(batch), guard)
        if len(batch) > partition.log.config.max_message_bytes:
            raise KafkaError(ErrorCode.MESSAGE_TOO_LARGE, f"A batch of {len(batch)} bytes is too large for {tp}")
        end = partition.append(batch, ACKS_ALL, self.clock.wall_ms(), COORDINATOR).last_offset + 1
        if is_transactional:
            forget_verification(partition, parse_header(batch).producer_id)
        return end

    def append_marker(self, tp: TopicPartition, marker: "Marker", leader_epoch: int) -> int:
        """The end of a transaction; the offset behind it. Raises KafkaError."""
        return append_marker(self._led(tp, leader_epoch), marker, self.clock.wall_ms())

    def write_marker(self, tp: TopicPartition, marker: "Marker") -> Pending[None] | None:
        """The same, under whatever leader epoch; None: committed, else who waits for that. Raises KafkaError."""
        partition = self.partition(tp)
        end = append_marker(partition, marker, self.clock.wall_ms())
        return None if partition.log.high_watermark >= end else committed(partition, end)

    def _led(self, tp: TopicPartition, leader_epoch: int) -> Partition:
        """Raises KafkaError."""
        partition = self.partition(tp)
        if leader_epoch != partition.leader_epoch or not partition.is_leader:
            raise KafkaError(
                ErrorCode.NOT_LEADER_OR_FOLLOWER,
                f"Partition {tp} has leader epoch {partition.leader_epoch}, the writer expected {leader_epoch}",
            )
        return partition

    def read_for_load(self, tp: TopicPartition, offset: int, max_bytes: int) -> bytes:
        """Whole batches up to the log end, at least one; b"" at the end. Raises KafkaError."""
        partition = self.partition(tp)
        partition.check_leader()
        log = partition.log
        read = log.read(offset, max_bytes, upper_bound=log.log_end_offset, min_one=True)
        try:
            data = b"".join(pread(region.file.fileno(), region.length, region.position) for region in read.segments)
        except OSError as error:
            raise log.storage_error(error) from error
        end = 0
        for position, size in iterate_frames(data):
            end = position + size
        return data[:end]

    def log_bounds(self, tp: TopicPartition) -> tuple[int, int]:
        """(log start offset, high watermark). Raises KafkaError."""
        partition = self.partition(tp)
        partition.check_leader()
        return partition.log.log_start_offset, partition.log.high_watermark

    def delete_records(self, tp: TopicPartition, offset: int) -> None:
        """Of any topic, also of Kafka's own. Raises KafkaError."""
        self.partition(tp).delete_records_before(offset)

    def add_high_watermark_listener(self, tp: TopicPartition, callback: HighWatermarkListener) -> None:
        """Raises KafkaError when the partition is not here."""
        self.partition(tp).listeners.append(callback)

    def remove_high_watermark_listener(self, tp: TopicPartition, callback: HighWatermarkListener) -> None:
        partition = self._partitions.get(tp)
        if partition is not None and callback in partition.listeners:
            partition.listeners.remove(callback)


def _ignore(_: object) -> None:
    return
