from typing import Any

import pytest

from pykbroker.replica.replica_throttle import ReplicaThrottle, followed, led
from pykbroker.replica.replication_quota import ReplicationQuota
from tests.replica.stand import NODE_ID, Stand


def throttle(stand: Stand, rate: float = 100) -> ReplicaThrottle:
    return ReplicaThrottle(NODE_ID, stand.clock, led, ReplicationQuota(rate, windows=11, window_seconds=1))


@pytest.mark.parametrize(
    ("listed", "expected"),
    [("", False), ("*", True), ("0:1", True), ("0:2", False), ("1:1,0:1", True), ("10:1", False)],
)
def test_the_topic_names_partitions_and_brokers(stand: Stand, listed: str, expected: bool) -> None:
    configs: dict[str, Any] = {"leader_replication_throttled_replicas": listed} if listed else {}
    stand.create("t", **configs)
    assert throttle(stand).is_throttled(stand.partition("t")) is expected


def test_each_side_has_its_own_list(stand: Stand) -> None:
    stand.create("t", follower_replication_throttled_replicas="*")
    config = stand.partition("t").log.config
    assert (list(led(config)), list(followed(config))) == ([], ["*"])


def test_the_rate_is_reached_and_left_behind(stand: Stand) -> None:
    one = throttle(stand, rate=100)
    assert not one.is_exceeded()
    one.record(100)
    assert not one.is_exceeded(), "as much as the rate allows"
    one.record(1)
    assert one.is_exceeded()
    stand.clock.advance(2)
    assert not one.is_exceeded()
