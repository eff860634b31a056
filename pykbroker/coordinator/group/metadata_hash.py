"""A number that changes when the topics of a group do: ids, partitions, racks (Utils.computeGroupHash, KIP-1101)."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from pykbroker.coordinator.group.xxh3 import int32, int64, string, xxh3_64

if TYPE_CHECKING:
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.metadata.topics import TopicImage

_MAGIC = b"\0"
# Topics of which the hash is remembered; more than most brokers have.
_REMEMBERED = 10_000


class MetadataHasher:
    """Remembers the hash of each topic as long as the topic stays as it is."""

    __slots__ = ("_image", "_known")

    def __init__(self, image: "Callable[[], MetadataImage]") -> None:
        self._image = image
        self._known: dict[str, tuple[TopicImage, int]] = {}

    def group_hash(self, topics: Iterable[str]) -> int:
        """Of the topics that exist."""
        image = self._image()
        existing = sorted(topic for topic in topics if topic in image.topics)
        if not existing:
            return 0
        return xxh3_64(b"".join(int64(self._topic_hash(image, name)) for name in existing))

    def _topic_hash(self, image: "MetadataImage", name: str) -> int:
        topic = image.topics.by_name[name]
        known = self._known.get(name)
        if known is not None and known[0] is topic:
            return known[1]
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        value = topic_hash(image, topic)
        self._known[name] = topic, value
        return value


def topic_hash(image: "MetadataImage", topic: "TopicImage") -> int:
    """One topic's, as Kafka feeds it to XXH3."""
    data = bytearray(_MAGIC)
    data += int64(int.from_bytes(topic.id[:8], "big", signed=True))
    data += int64(int.from_bytes(topic.id[8:], "big", signed=True))
    data += string(topic.name) + int32(len(topic.partitions))
    for index in range(len(topic.partitions)):
        data += int32(index)
        for rack in sorted(_racks(image, topic, index)):
            data += int32(len(rack)) + string(rack)
    return xxh3_64(bytes(data))


def _racks(image: "MetadataImage", topic: "TopicImage", index: int) -> list[str]:
    partition = topic.partitions.get(index)
    replicas = partition.replicas if partition is not None else ()
    racks = (image.brokers[replica].rack for replica in replicas if replica in image.brokers)
    return [rack for rack in racks if rack]
