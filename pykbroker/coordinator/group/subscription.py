"""What the coordinator reads of the consumer protocol, which classic members speak among themselves."""

from collections.abc import Iterable
from typing import Final

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.protocol.primitives import read_int16

CONSUMER: Final = "consumer"


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

    version, position = read_int16(subscription, 0)
    if version < 0:
        raise MalformedFrame(f"consumer protocol version {version}", 0)
    # Version 0 is the common prefix of all versions, and all that is asked here.
    return ConsumerProtocolSubscription.decode(subscription, 0, position)[0].topics
