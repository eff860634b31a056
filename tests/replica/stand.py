"""A broker's data side without network and controller: logs in a folder, partitions led here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pykbroker.clock import ManualClock
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.topic_config import TopicConfig
from pykbroker.coordinator.group.service import GroupCoordinatorService
from pykbroker.coordinator.share.service import ShareCoordinatorService
from pykbroker.coordinator.transaction.marker_writer import MarkerWriter
from pykbroker.coordinator.transaction.service import TransactionCoordinatorService
from pykbroker.errors import KafkaError
from pykbroker.ids import DIRECTORY_UNASSIGNED, TopicIdPartition, TopicPartition, Uuid
from pykbroker.log.files import Files
from pykbroker.log.log_manager import LogManager
from pykbroker.metadata.features import LATEST_METADATA_VERSION
from pykbroker.metadata.image import METADATA_VERSION, BrokerRegistration, FeaturesImage
from pykbroker.metadata.local_changes import LocalChanges
from pykbroker.metadata.topic_names import TRANSACTION_STATE_TOPIC
from pykbroker.metadata.topics import EMPTY_TOPICS, PartitionImage, TopicImage, TopicsImage
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.replica.fetch_session import FetchSessionCache
from pykbroker.replica.partition import Partition
from pykbroker.replica.producer_ids import ProducerIdManager
from pykbroker.replica.replica_manager import ReplicaManager
from pykbroker.request import RequestContext

NODE_ID = 1


class Image:
    def __init__(self) -> None:
        self.topics = EMPTY_TOPICS
        self.brokers: dict[int, BrokerRegistration] = {}
        self.features = FeaturesImage({METADATA_VERSION: LATEST_METADATA_VERSION})


class UnsyncedFiles(Files):
    """Nobody pulls the plug here."""

    def fsync(self, fd: int) -> None:
        return

    def fsync_directory(self, path: str) -> None:
        return


class Blocks:
    """A controller that hands out blocks of ten producer ids."""

    def __init__(self) -> None:
        self.given = 0

    async def allocate_producer_ids(self) -> tuple[int, int]:
        self.given += 1
        return (self.given - 1) * 10, 10


class Stand:
    """Implements what the data handlers use of Services."""

    def __init__(self, folder: Path, node_id: int = NODE_ID, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.config = BrokerConfig()
        self.node_id = node_id
        # What of a MetadataImage is asked for here: where it is passed on, its type is not looked at.
        self.image = Image()
        self.overrides: dict[str, Mapping[str, str]] = {}
        # Brokers that lack the listener of all requests.
        self.lacks_listener: set[int] = set()
        self.logs = LogManager([str(folder / "data")], clock=self.clock, files=UnsyncedFiles())
        self.logs.open(node_id=node_id, cluster_id=None, new_cluster_id=lambda: str(Uuid.random()))
        self.logs.load(self.config_for)
        self.replicas = ReplicaManager(node_id=node_id, logs=self.logs, clock=self.clock, config_for=self.config_for)
        self.fetch_sessions = FetchSessionCache(1000, self.clock, seed=1)
        self.producer_ids = ProducerIdManager(Blocks())
        self.groups = GroupCoordinatorService(self.config, self.clock, self.replicas)
        self.share_coordinator = ShareCoordinatorService(
            self.config, self.clock, self.replicas, partitions=lambda: 1, image=lambda: self.image
        )
        self.transactions = TransactionCoordinatorService(
            self.config,
            self.clock,
            self.replicas,
            MarkerWriter(self.replicas, self.groups),
            producer_ids=lambda: self.producer_ids,
            partitions=lambda: self._partitions_of(TRANSACTION_STATE_TOPIC),
            transaction_version=lambda: 2,
        )

    def _partitions_of(self, name: str) -> int | None:
        topic = self.image.topics.get(name)
        return None if topic is None else len(topic.partitions)

    def config_for(self, topic: str) -> TopicConfig:
        return TopicConfig.build(self.config, self.overrides.get(topic, {}))

    def create(self, topic: str, partitions: int = 1, leader: int = NODE_ID, **overrides: str) -> Uuid:
        """A topic whose partitions `leader` leads at epoch 0; config names with underscores."""
        self.overrides[topic] = {name.replace("_", "."): value for name, value in overrides.items()}
        topic_id = Uuid.random()
        self.set_topic(TopicImage(topic, topic_id, {i: partition_image(leader, 0) for i in range(partitions)}))
        return topic_id

    def set_topic(self, topic: TopicImage) -> None:
        by_id = {**self.image.topics.ids, topic.id: topic}
        self.image.topics = TopicsImage(by_id, {**self.image.topics.by_name, topic.name: topic})
        changes = {TopicIdPartition(topic.id, topic.name, i): image for i, image in topic.partitions.items()}
        # As leaders or followers: what is done is in the images.
        for _ in self.replicas.apply(LocalChanges(changes, {}, set(), set()), self.image):  # type: ignore[arg-type]
            pass

    def delete(self, topic: str) -> None:
        image = self.image.topics.get(topic)
        assert image is not None
        by_id = {key: other for key, other in self.image.topics.ids.items() if key != image.id}
        by_name = {name: other for name, other in self.image.topics.by_name.items() if name != topic}
        self.image.topics = TopicsImage(by_id, by_name)
        deleted = {TopicIdPartition(image.id, topic, index) for index in image.partitions}
        for _ in self.replicas.apply(LocalChanges({}, {}, deleted, set()), self.image):  # type: ignore[arg-type]
            pass

    def elect(self, topic: str, leader: int, epoch: int, index: int = 0) -> None:
        """The partition gets another leader or epoch."""
        image = self.image.topics.get(topic)
        assert image is not None
        changed = image.partitions[index]._replace(leader=leader, leader_epoch=epoch)
        self.set_topic(image._replace(partitions={**image.partitions, index: changed}))

    def set_partition(self, topic: str, image: PartitionImage, index: int = 0) -> None:
        """What the controller decided of one partition."""
        known = self.image.topics.get(topic)
        assert known is not None
        self.set_topic(known._replace(partitions={**known.partitions, index: image}))

    def register(self, *broker_ids: int, epoch: int = 100, **fields: Any) -> None:
        """Brokers that are alive, or as `fields` say; the partitions hear of it."""
        for broker_id in broker_ids:
            registered = BrokerRegistration(broker_id, epoch, Uuid.random(), (), {}, None, False, False)
            self.image.brokers = {**self.image.brokers, broker_id: registered._replace(**fields)}
        for _ in self.replicas.apply(LocalChanges({}, {}, set(), set()), self.image):  # type: ignore[arg-type]
            pass

    def partition(self, topic: str, index: int = 0) -> Partition:
        return self.replicas.partition(TopicPartition(topic, index))

    def endpoint_for(self, ctx: RequestContext, node_id: int) -> tuple[str, int]:
        if node_id in self.lacks_listener:
            raise KafkaError(ErrorCode.BROKER_NOT_AVAILABLE)
        return f"broker-{node_id}", 9092

    def close(self) -> None:
        self.logs.release()


def partition_image(leader: int, epoch: int) -> PartitionImage:
    return PartitionImage((NODE_ID,), (DIRECTORY_UNASSIGNED,), (NODE_ID,), (), (), leader, 0, epoch, 0)


def context(api_key: int, version: int, **fields: Any) -> RequestContext:
    return RequestContext(api_key, version, 7, "test", received_at=1000.0, **fields)
