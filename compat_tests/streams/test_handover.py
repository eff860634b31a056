"""A streams group (KIP-1071) on a data directory that pykbroker and the real Kafka take over from each other."""

import time
from pathlib import Path
from typing import Any

import pytest

from compat_tests.test_transactions_handover import kafka_on, pykbroker_on
from compat_tests.wire.conftest import SocketAsker
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.streams_group_describe import StreamsGroupDescribeRequest
from pykbroker.protocol.messages.streams_group_heartbeat import (
    Endpoint,
    KeyValue,
    StreamsGroupHeartbeatRequest,
    Subtopology,
    TaskIds,
    TopicInfo,
    Topology,
)
from tests.handlers.broker.asker import Topic
from tests.handlers.broker.test_txn_offset_commit import new_group

pytestmark = pytest.mark.own_broker

BUSY = (E.COORDINATOR_LOAD_IN_PROGRESS, E.NOT_COORDINATOR, E.COORDINATOR_NOT_AVAILABLE)
TASKS = 4


class Member:
    """A process of an application that keeps state: what it knows outlives its broker."""

    def __init__(self, group: str, topic: Topic, name: str) -> None:
        self.group = group
        self.name = name
        changelog = TopicInfo(
            name=f"{group}-changelog", topic_configs=[KeyValue(key="cleanup.policy", value="compact")]
        )
        row = Subtopology(subtopology_id="0", source_topics=[topic.name], state_changelog_topics=[changelog])
        self.topology = Topology(subtopologies=[row])
        self.epoch = 0
        self.tasks: list[int] = []

    def beat(self, asker: SocketAsker, epoch: int | None = None) -> int:
        """Tells its tasks; returns the error code. A broker that has just started may not be the coordinator yet."""
        request = StreamsGroupHeartbeatRequest(
            group_id=self.group,
            member_id=self.name,
            member_epoch=self.epoch if epoch is None else epoch,
            rebalance_timeout_ms=60_000,
            active_tasks=[TaskIds(subtopology_id="0", partitions=self.tasks)] if self.tasks else [],
            standby_tasks=[],
            warmup_tasks=[],
            process_id=f"process of {self.name}",
            user_endpoint=Endpoint(host=f"{self.name}.example", port=80),
            client_tags=[KeyValue(key="zone", value="z")],
            topology=self.topology if self.epoch == 0 else None,
        )
        answer = asker.ask(request, 0)
        deadline = time.monotonic() + 20
        while answer.error_code in BUSY and time.monotonic() < deadline:
            answer = asker.ask(request, 0)
        if not answer.error_code:
            self.epoch = answer.member_epoch
            if answer.active_tasks is not None:
                self.tasks = [p for row in answer.active_tasks for p in row.partitions]
        return int(answer.error_code)


def described(asker: SocketAsker, group: str) -> dict[str, Any]:
    """Without the topology, which is told with other numbers of partitions until the first heartbeat."""
    (row,) = asker.ask(StreamsGroupDescribeRequest(group_ids=[group]), 0).groups
    members = {
        member.member_id: (
            (member.member_epoch, member.topology_epoch, member.process_id, member.user_endpoint.host),
            [(tag.key, tag.value) for tag in member.client_tags],
            [(tasks.subtopology_id, tasks.partitions) for tasks in member.assignment.active_tasks],
            [(tasks.subtopology_id, tasks.partitions) for tasks in member.target_assignment.active_tasks],
        )
        for member in row.members
    }
    return {"state": row.group_state, "epochs": (row.group_epoch, row.assignment_epoch), "members": members}


def settled(asker: SocketAsker, *members: Member) -> None:
    """All are in one epoch, once internal topics are there and the delays of assignments have passed."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for member in members:
            assert member.beat(asker) == 0
        now = described(asker, members[0].group)
        if now["state"] == "Stable" and sorted(task for m in members for task in m.tasks) == list(range(TASKS)):
            return
        time.sleep(0.2)
    raise AssertionError([vars(member) for member in members])


@pytest.mark.timeout(180)
def test_each_continues_what_the_other_began(tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    with pykbroker_on(tmp_path) as asker:
        topic, group = asker.create(TASKS), new_group(asker)
        a, b = Member(group, topic, "a"), Member(group, topic, "b")
        settled(asker, a)
        settled(asker, a, b)
        before = described(asker, group)
    with kafka_on(tmp_path) as asker:
        epoch = a.epoch
        # The hash of the topics is the one that Kafka computes, or it would begin another epoch.
        assert (a.beat(asker), b.beat(asker), a.epoch, b.epoch) == (0, 0, epoch, epoch)
        assert described(asker, group) == before
        c = Member(group, topic, "c")
        settled(asker, a, b, c)
        before = described(asker, group)
    with pykbroker_on(tmp_path) as asker:
        epoch = a.epoch
        assert (a.beat(asker), b.beat(asker), c.beat(asker), c.epoch) == (0, 0, 0, epoch)
        assert described(asker, group) == before
        assert b.beat(asker, epoch=-1) == 0
        settled(asker, a, c)
        for member in (a, c):
            assert member.beat(asker, epoch=-1) == 0
        assert described(asker, group)["state"] == "Empty"
