"""Tells a coordinator which partitions of its topic this broker leads (BrokerMetadataPublisher.updateCoordinator)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from pykbroker.ids import Uuid
from pykbroker.metadata.local_changes import local_changes

if TYPE_CHECKING:
    from pykbroker.metadata.delta import MetadataDelta
    from pykbroker.metadata.image import MetadataImage


class Coordinator(Protocol):
    """What follows the elections, e.g. GroupCoordinatorService."""

    def on_elected(self, partition: int, leader_epoch: int) -> None: ...
    def on_resigned(self, partition: int, leader_epoch: int | None) -> None: ...
    def on_topics_deleted(self, topics: Iterable[tuple[str, Uuid]]) -> None: ...


class Elections:
    """A subscriber of the metadata publisher, after the ReplicaManager: whoever is elected can append."""

    def __init__(self, topic: str, coordinator: Coordinator, node_id: int) -> None:
        self._topic = topic
        self._coordinator = coordinator
        self._node_id = node_id

    def on_metadata_update(self, delta: "MetadataDelta", image: "MetadataImage") -> None:
        if delta.deleted_topics:
            self._coordinator.on_topics_deleted((topic.name, topic.id) for topic in delta.deleted_topics.values())
        if not self._concerns(delta, image):
            return
        changes = local_changes(delta, delta.base, image, self._node_id)
        for key in changes.deleted:
            if key.topic == self._topic:
                self._coordinator.on_resigned(key.partition, None)
        for key, partition in changes.followers.items():
            if key.topic == self._topic:
                self._coordinator.on_resigned(key.partition, partition.leader_epoch)
        for key in changes.elected:
            if key.topic == self._topic:
                self._coordinator.on_elected(key.partition, changes.leaders[key].leader_epoch)

    def _concerns(self, delta: "MetadataDelta", image: "MetadataImage") -> bool:
        """Most changes are of other topics."""
        if any(topic.name == self._topic for topic in delta.deleted_topics.values()):
            return True
        topic = image.topics.get(self._topic)
        return topic is not None and topic.id in delta.changed_topics
