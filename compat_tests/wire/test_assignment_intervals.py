"""How long a target assignment stays at least may change while the broker runs (KIP-1263)."""

from collections.abc import Iterator
from typing import Any

import pytest

from compat_tests.wire.conftest import SocketAsker
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from pykbroker.protocol.messages.share_group_heartbeat import ShareGroupHeartbeatRequest
from tests.handlers.broker.asker import Topic
from tests.handlers.broker.test_txn_offset_commit import new_group
from tests.handlers.cluster_asker import eventually
from tests.handlers.config_dialogue import BROKER, DELETE, DONE, GROUP, SET, entries, incremental

LONGEST = "15000"  # ms, as the bounds of the broker allow


@pytest.fixture(params=["consumer", "share"])
def kind(asker: SocketAsker, request: pytest.FixtureRequest) -> Iterator[str]:
    """Of groups whose interval is set to LONGEST for all brokers meanwhile."""
    kind: str = request.param
    set_interval(asker, kind, LONGEST)
    yield kind
    assert incremental(asker, BROKER, "", (f"group.{kind}.assignment.interval.ms", DELETE, None)) == DONE


def set_interval(asker: SocketAsker, kind: str, value: str) -> None:
    assert incremental(asker, BROKER, "", (f"group.{kind}.assignment.interval.ms", SET, value)) == DONE
    name = f"{kind}.assignment.interval.ms"
    eventually(lambda: entries(asker, GROUP, "any", name)[name][0], value.__eq__)


def beat(asker: SocketAsker, kind: str, group: str, topic: Topic, member: str, epoch: int) -> Any:
    """Says everything when it joins, and afterwards nothing."""
    names = [topic.name] if epoch == 0 else None
    if kind == "share":
        return asker.ask(
            ShareGroupHeartbeatRequest(
                group_id=group, member_id=member, member_epoch=epoch, subscribed_topic_names=names
            ),
            1,
        )
    request = ConsumerGroupHeartbeatRequest(
        group_id=group, member_id=member, member_epoch=epoch, subscribed_topic_names=names
    )
    if epoch == 0:
        request.rebalance_timeout_ms, request.topic_partitions = 30_000, []
    return asker.ask(request, 1)


def test_the_next_heartbeat_knows_the_new_interval(asker: SocketAsker, kind: str) -> None:
    topic, group = asker.create(2), new_group(asker)
    first = beat(asker, kind, group, topic, "a", 0)
    second = beat(asker, kind, group, topic, "b", 0)
    assert (first.error_code, second.error_code) == (E.NONE, E.NONE)
    # The group is in a new epoch, but b is told that of the assignment made for a.
    assert second.member_epoch == first.member_epoch
    assert beat(asker, kind, group, topic, "b", second.member_epoch).member_epoch == first.member_epoch
    set_interval(asker, kind, "0")
    assert beat(asker, kind, group, topic, "b", second.member_epoch).member_epoch > first.member_epoch
