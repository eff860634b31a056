"""A consumer group (KIP-848) on a data directory that pykbroker and the real Kafka take over from each other."""

import time
from pathlib import Path
from typing import Any

import pytest

from compat_tests.test_transactions_handover import kafka_on, pykbroker_on
from compat_tests.wire.conftest import SocketAsker
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from pykbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, TopicPartitions
from tests.handlers.broker.asker import Topic
from tests.handlers.broker.test_txn_offset_commit import new_group

pytestmark = pytest.mark.own_broker


class Member:
    """A consumer: what it knows outlives its broker."""

    def __init__(self, group: str, topic: Topic, name: str, **fields: Any) -> None:
        self.group = group
        self.topic = topic
        self.name = name
        self.fields = fields
        self.epoch = 0
        self.owned: list[int] = []

    def beat(self, asker: SocketAsker, epoch: int | None = None) -> int:
        """Tells everything; returns the error code. A broker that has just started may not be the coordinator yet."""
        rows = [TopicPartitions(topic_id=self.topic.id, partitions=self.owned)] if self.owned else []
        request = ConsumerGroupHeartbeatRequest(
            group_id=self.group,
            member_id=self.name,
            member_epoch=self.epoch if epoch is None else epoch,
            rebalance_timeout_ms=60_000,
            subscribed_topic_names=[self.topic.name],
            topic_partitions=rows,
            **self.fields,
        )
        busy = (E.COORDINATOR_LOAD_IN_PROGRESS, E.NOT_COORDINATOR, E.COORDINATOR_NOT_AVAILABLE)
        answer = asker.ask(request, 1)
        for _ in range(200):
            if answer.error_code not in busy:
                break
            answer = asker.ask(request, 1)
        if not answer.error_code:
            self.epoch = answer.member_epoch
            if answer.assignment is not None:
                self.owned = [p for row in answer.assignment.topic_partitions for p in row.partitions]
        return int(answer.error_code)


def described(asker: SocketAsker, group: str) -> dict[str, Any]:
    (row,) = asker.ask(ConsumerGroupDescribeRequest(group_ids=[group]), 1).groups
    members = {
        member.member_id: (
            member.member_epoch,
            member.instance_id,
            member.subscribed_topic_names,
            [p.partitions for p in member.assignment.topic_partitions],
            [p.partitions for p in member.target_assignment.topic_partitions],
        )
        for member in row.members
    }
    return {"state": row.group_state, "epochs": (row.group_epoch, row.assignment_epoch), "members": members}


def settled(asker: SocketAsker, *members: Member) -> None:
    """All are in one epoch; the assignment interval of a second may have to pass."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for member in members:
            assert member.beat(asker) == 0
        if described(asker, members[0].group)["state"] == "Stable" and sum(len(m.owned) for m in members) == 4:
            return
        time.sleep(0.2)
    raise AssertionError([vars(member) for member in members])


@pytest.mark.timeout(180)
def test_each_continues_what_the_other_began(tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    with pykbroker_on(tmp_path) as asker:
        topic, group = asker.create(4), new_group(asker)
        a, b = Member(group, topic, "a"), Member(group, topic, "b", instance_id="i")
        settled(asker, a)
        settled(asker, a, b)
        before = described(asker, group)
        assert before["state"] == "Stable"
    with kafka_on(tmp_path) as asker:
        epoch = a.epoch
        # The hash of the topics is the one that Kafka computes, or it would begin another epoch.
        assert (a.beat(asker), b.beat(asker), a.epoch, b.epoch) == (0, 0, epoch, epoch)
        assert described(asker, group) == before
        c = Member(group, topic, "c", server_assignor="range")
        settled(asker, a, b, c)
        assert b.beat(asker, epoch=-2) == 0
        before = described(asker, group)
    with pykbroker_on(tmp_path) as asker:
        assert (a.beat(asker), c.beat(asker)) == (0, 0)
        assert described(asker, group) == before
        returned = Member(group, topic, "b2", instance_id="i")
        settled(asker, a, returned, c)
        assert returned.owned == b.owned
        for member in (a, returned, c):
            assert member.beat(asker, epoch=-1) == 0
        assert described(asker, group)["state"] == "Empty"
