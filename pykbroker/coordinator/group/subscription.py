"""The consumer protocol, which classic members speak among themselves: what the coordinator reads and writes of it."""

from collections.abc import Iterable
from struct import Struct
from typing import TYPE_CHECKING, Final

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.protocol.primitives import read_int16

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pykbroker.ids import Uuid
    from pykbroker.metadata.topics import TopicsImage
    from pykbroker.protocol.embedded.consumer_protocol import (
        ConsumerProtocolAssignment,
        ConsumerProtocolSubscription,
    )

CONSUMER: Final = "consumer"
HIGHEST_VERSION: Final = 3
_INT16: Final = Struct(">h")


def subscribed_topics(subscriptions: Iterable[bytes | None]) -> frozenset[str] | None:
    """All topics of the members' subscriptions; None when one of them is not a subscription."""
    topics: set[str] = set()
    try:
        for subscription in subscriptions:
            topics.update(_topics(subscription or b""))
    except (MalformedFrame, KafkaError):
        return None
    return frozenset(topics)


def _topics(subscription: bytes) -> list[str]:
    from pykbroker.protocol.embedded.consumer_protocol import ConsumerProtocolSubscription

    _, position = _version(subscription)
    # Version 0 is the common prefix of all versions, and all that is asked here.
    return ConsumerProtocolSubscription.decode(subscription, 0, position)[0].topics


def parse_subscription(data: bytes) -> "ConsumerProtocolSubscription":
    """Raises MalformedFrame. Newer versions only add to the end."""
    from pykbroker.protocol.embedded.consumer_protocol import ConsumerProtocolSubscription

    version, position = _version(data)
    return ConsumerProtocolSubscription.decode(data, version, position)[0]


def parse_assignment(data: bytes) -> "ConsumerProtocolAssignment":
    """Raises MalformedFrame."""
    from pykbroker.protocol.embedded.consumer_protocol import ConsumerProtocolAssignment

    version, position = _version(data)
    return ConsumerProtocolAssignment.decode(data, version, position)[0]


def encode_assignment(partitions: "Mapping[Uuid, Iterable[int]]", topics: "TopicsImage", subscription: bytes) -> bytes:
    """In the version of the member's own subscription; topics that are gone are left out."""
    from pykbroker.protocol.embedded.consumer_protocol import ConsumerProtocolAssignment, TopicPartition

    version, _ = _version(subscription)
    rows = [
        TopicPartition(topic=topic.name, partitions=sorted(indexes))
        for topic_id, indexes in partitions.items()
        if (topic := topics.by_id(topic_id)) is not None
    ]
    return _INT16.pack(version) + bytes(ConsumerProtocolAssignment(assigned_partitions=rows).encode(version))


def reported_partitions(
    subscription: "ConsumerProtocolSubscription", topics: "TopicsImage"
) -> "dict[Uuid, frozenset[int]]":
    """What a classic member says it owns, by the ids of topics that exist."""
    return {
        topics.by_name[row.topic].id: frozenset(row.partitions)
        for row in subscription.owned_partitions
        if row.topic in topics
    }


def _version(data: bytes) -> tuple[int, int]:
    """The version to read it in, and where it goes on."""
    version, position = read_int16(data, 0)
    if version < 0:
        raise MalformedFrame(f"consumer protocol version {version}", 0)
    return min(version, HIGHEST_VERSION), position
