"""What of members' subscriptions is understood."""

import pytest

from pykbroker.coordinator.group.subscription import (
    encode_assignment,
    parse_assignment,
    parse_subscription,
    reported_partitions,
    subscribed_topics,
)
from pykbroker.errors import MalformedFrame
from pykbroker.protocol.embedded.consumer_protocol import (
    ConsumerProtocolSubscription,
    ConsumerProtocolSubscriptionTopicPartition,
)
from tests.coordinator.group.consumer_plays import topic_id, topics_image


def encoded(version: int, *topics: str) -> bytes:
    return version.to_bytes(2, "big") + ConsumerProtocolSubscription(topics=list(topics)).encode(version)


def test_topics_of_all_members_and_versions() -> None:
    assert subscribed_topics([encoded(0, "a", "b"), encoded(3, "c"), encoded(1)]) == {"a", "b", "c"}
    assert subscribed_topics([]) == frozenset()


def test_newer_versions_begin_alike() -> None:
    assert subscribed_topics([b"\0\x63" + encoded(0, "t")[2:] + b"whatever is new"]) == {"t"}


@pytest.mark.parametrize(
    "bad", [None, b"", b"\0", b"\0\0", b"\xff\xff\0\0\0\0", b"\0\0\x7f\xff\xff\xff", b"\0\0\0\0\0\1\0\5ab"]
)
def test_one_that_is_none_makes_all_unknown(bad: bytes | None) -> None:
    assert subscribed_topics([encoded(0, "a"), bad]) is None


def test_a_subscription_with_what_its_member_owns() -> None:
    topics = topics_image({"t": 3}).topics
    rows = [ConsumerProtocolSubscriptionTopicPartition(topic=name, partitions=[1, 0]) for name in ("t", "gone")]
    message = ConsumerProtocolSubscription(topics=["t"], owned_partitions=rows, rack_id="r")
    for version in (3, 9):  # a newer one only adds to the end
        parsed = parse_subscription(version.to_bytes(2, "big") + bytes(message.encode(3)) + b"new" * (version > 3))
        assert (parsed.topics, parsed.rack_id) == (["t"], "r")
        assert reported_partitions(parsed, topics) == {topic_id("t"): {0, 1}}
    assert reported_partitions(parse_subscription(encoded(0, "t")), topics) == {}


def test_an_assignment_in_the_version_of_the_subscription() -> None:
    topics = topics_image({"t": 3}).topics
    data = encode_assignment({topic_id("t"): [2, 0], topic_id("gone"): [1]}, topics, encoded(2, "t"))
    assert data[:2] == b"\0\2"
    (row,) = parse_assignment(data).assigned_partitions
    assert (row.topic, row.partitions) == ("t", [0, 2])


@pytest.mark.parametrize("bad", [b"", b"\0", b"\xff\xff", b"\0\1\0\0\0\1"])
def test_what_is_neither(bad: bytes) -> None:
    for parse in (parse_subscription, parse_assignment):
        with pytest.raises(MalformedFrame):
            parse(bad)
