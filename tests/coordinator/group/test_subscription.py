"""What of members' subscriptions is understood."""

import pytest

from pykbroker.coordinator.group.subscription import subscribed_topics
from pykbroker.protocol.embedded.consumer_protocol import ConsumerProtocolSubscription


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
