"""Images put together by hand, for decisions that need nothing else; and what comes of records replayed on them."""

from collections.abc import Iterable
from typing import Any

from pykbroker.ids import Endpoint, Uuid
from pykbroker.metadata.delta import MetadataDelta
from pykbroker.metadata.features import LATEST_METADATA_VERSION
from pykbroker.metadata.image import METADATA_VERSION, BrokerRegistration, FeaturesImage, MetadataImage
from pykbroker.metadata.topics import PartitionImage, TopicImage, TopicsImage
from pykbroker.protocol.message import Message


def directory(broker_id: int, number: int = 0) -> Uuid:
    return Uuid(f"dir {number} of {broker_id:07d}".encode())


def broker(broker_id: int, **fields: Any) -> BrokerRegistration:
    """Unfenced, with one directory, unless `fields` say otherwise."""
    values: dict[str, Any] = {
        "epoch": 100 + broker_id,
        "incarnation_id": Uuid.random(),
        "endpoints": (Endpoint("PLAINTEXT", "PLAINTEXT", "host", 9092),),
        "features": {},
        "rack": None,
        "fenced": False,
        "in_controlled_shutdown": False,
        "directories": (directory(broker_id),),
        **fields,
    }
    return BrokerRegistration(id=broker_id, **values)


def image_of(
    *brokers: BrokerRegistration, topics: Iterable[TopicImage] = (), metadata_version: int = LATEST_METADATA_VERSION
) -> MetadataImage:
    found = list(topics)
    return MetadataImage.empty("cluster")._replace(
        features=FeaturesImage({METADATA_VERSION: metadata_version}),
        brokers={each.id: each for each in brokers},
        topics=TopicsImage({topic.id: topic for topic in found}, {topic.name: topic for topic in found}),
    )


def topic_of(name: str, *replicas: tuple[int, ...]) -> TopicImage:
    """One partition for each tuple of replicas, all of them in sync."""
    return TopicImage(name, Uuid.random(), {index: partition_of(ids) for index, ids in enumerate(replicas)})


def partition_of(replicas: tuple[int, ...]) -> PartitionImage:
    directories = tuple(directory(replica) for replica in replicas)
    return PartitionImage(replicas, directories, replicas, (), (), replicas[0], 0, 0, 0)


def replayed(image: MetadataImage, records: Iterable[Message]) -> MetadataImage:
    delta = MetadataDelta(image)
    for record in records:
        delta.replay(record)
    return delta.apply(image.offset + 1, 1)
