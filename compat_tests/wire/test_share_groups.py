"""Share groups over the wire (KIP-932): the same answers from pykbroker and from the real Kafka."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from compat_tests.wire.conftest import SocketAsker
from pykbroker.ids import ZERO_UUID
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.alter_share_group_offsets import (
    AlterShareGroupOffsetsRequest,
    AlterShareGroupOffsetsRequestPartition,
    AlterShareGroupOffsetsRequestTopic,
)
from pykbroker.protocol.messages.create_partitions import CreatePartitionsRequest, CreatePartitionsTopic
from pykbroker.protocol.messages.delete_groups import DeleteGroupsRequest
from pykbroker.protocol.messages.delete_share_group_offsets import (
    DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsRequestTopic,
)
from pykbroker.protocol.messages.describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequestGroup,
    DescribeShareGroupOffsetsRequestTopic,
)
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from pykbroker.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from pykbroker.protocol.messages.list_groups import ListGroupsRequest
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pykbroker.protocol.messages.offset_delete import OffsetDeleteRequest
from pykbroker.protocol.messages.share_group_describe import ShareGroupDescribeRequest
from pykbroker.protocol.messages.share_group_heartbeat import ShareGroupHeartbeatRequest
from tests.handlers.broker.asker import Topic, batch, produce

UNKNOWN = "This server does not host this topic-partition."
NOT_EMPTY = "The group is not empty."
GROUP_CONFIG = 32


class Share:
    """One group and who asks for it; members by name have ids of their own."""

    def __init__(self, asker: SocketAsker, group: str | None = None) -> None:
        self.asker = asker
        self.group = group or f"share-{uuid.uuid4().hex[:8]}"

    def found(self) -> "Share":
        """Once the coordinator is there."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = self.asker.ask(FindCoordinatorRequest(key_type=0, coordinator_keys=[self.group]), 4)
            absent = (E.GROUP_ID_NOT_FOUND,)
            if found.coordinators[0].error_code == 0 and self.describe().error_code in absent:
                return self
            time.sleep(0.1)
        raise TimeoutError(found)

    def beat(self, member: str, epoch: int, topics: list[str] | None = None, **fields: Any) -> Any:
        values: dict[str, Any] = {
            "group_id": self.group,
            "member_id": member,
            "member_epoch": epoch,
            "subscribed_topic_names": topics,
        }
        return self.asker.ask(ShareGroupHeartbeatRequest(**(values | fields)), 1)

    def until(self, member: str, epoch: int, holds: Callable[[dict[bytes, list[int]]], bool]) -> int:
        """Beats until the member is assigned what it should; its epoch then."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            answer = self.beat(member, epoch)
            assert answer.error_code == 0, answer
            epoch = answer.member_epoch
            if answer.assignment is not None and holds(assigned(answer)):
                return epoch
            time.sleep(0.1)
        raise TimeoutError(answer)

    def joined(self, member: str, topic: Topic, partitions: list[int]) -> int:
        answer = self.beat(member, 0, [topic.name])
        assert answer.error_code == 0, answer
        if assigned(answer).get(topic.id) == partitions:
            return int(answer.member_epoch)
        return self.until(member, answer.member_epoch, lambda rows: rows.get(topic.id) == partitions)

    def leave(self, member: str) -> None:
        answer = self.beat(member, -1)
        assert (answer.error_code, answer.member_epoch) == (0, -1), answer

    def describe(self) -> Any:
        request = ShareGroupDescribeRequest(group_ids=[self.group], include_authorized_operations=False)
        (row,) = self.asker.ask(request, 1).groups
        return row

    def offsets(self, topics: dict[str, list[int]] | None = None, version: int = 1) -> Any:
        rows = None
        if topics is not None:
            rows = [DescribeShareGroupOffsetsRequestTopic(topic_name=n, partitions=p) for n, p in topics.items()]
        group = DescribeShareGroupOffsetsRequestGroup(group_id=self.group, topics=rows)
        (answer,) = self.asker.ask(DescribeShareGroupOffsetsRequest(groups=[group]), version).groups
        return answer

    def alter(self, topic: str, offsets: dict[int, int]) -> Any:
        rows = [AlterShareGroupOffsetsRequestPartition(partition_index=p, start_offset=o) for p, o in offsets.items()]
        topics = [AlterShareGroupOffsetsRequestTopic(topic_name=topic, partitions=rows)]
        return self.asker.ask(AlterShareGroupOffsetsRequest(group_id=self.group, topics=topics), 0)

    def delete_offsets(self, *topics: str) -> Any:
        rows = [DeleteShareGroupOffsetsRequestTopic(topic_name=topic) for topic in topics]
        return self.asker.ask(DeleteShareGroupOffsetsRequest(group_id=self.group, topics=rows), 0)

    def delete(self) -> int:
        (row,) = self.asker.ask(DeleteGroupsRequest(groups_names=[self.group]), 2).results
        return int(row.error_code)


def assigned(answer: Any) -> dict[bytes, list[int]]:
    rows = answer.assignment.topic_partitions if answer.assignment is not None else []
    return {row.topic_id: sorted(row.partitions) for row in rows}


def plain(group: Any) -> list[tuple[str, int, int, int, int, str | None]]:
    return sorted(
        (topic.topic_name, row.partition_index, row.start_offset, row.lag, row.error_code, row.error_message)
        for topic in group.topics
        for row in topic.partitions
    )


@pytest.fixture
def share(asker: SocketAsker) -> Share:
    return Share(asker).found()


def fill(asker: SocketAsker, topic: Topic, partition: int, count: int) -> None:
    for _ in range(count):
        produce(asker, topic, [(partition, batch())])


def test_one_member(asker: SocketAsker, share: Share) -> None:
    topic = asker.create(partitions=2)
    epoch = share.joined("a", topic, [0, 1])
    row = share.describe()
    assert (row.error_code, row.error_message, row.group_state, row.assignor_name) == (0, None, "Stable", "simple")
    assert (row.group_epoch, row.assignment_epoch) == (epoch, epoch)
    (member,) = row.members
    assert (member.member_id, member.member_epoch, member.subscribed_topic_names) == ("a", epoch, [topic.name])
    (owned,) = member.assignment.topic_partitions
    assert (owned.topic_name, owned.topic_id, sorted(owned.partitions)) == (topic.name, topic.id, [0, 1])
    answer = share.beat("a", epoch)
    assert (answer.error_code, answer.member_epoch, answer.assignment) == (0, epoch, None)
    assert (answer.heartbeat_interval_ms, answer.member_id, answer.error_message) == (5000, "a", None)
    again = share.beat("a", epoch, [topic.name])
    assert (again.member_epoch, assigned(again)) == (epoch, {topic.id: [0, 1]})
    share.leave("a")
    row = share.describe()
    assert (row.group_state, row.group_epoch, row.members) == ("Empty", epoch + 1, [])


def test_two_members_share(asker: SocketAsker, share: Share) -> None:
    topic = asker.create(partitions=1)
    share.joined("a", topic, [0])
    share.joined("b", topic, [0])
    held = {member.member_id: member.assignment.topic_partitions for member in share.describe().members}
    assert set(held) == {"a", "b"}
    assert all(rows[0].partitions == [0] for rows in held.values())


def test_who_gets_what(asker: SocketAsker, share: Share) -> None:
    """Of eight partitions each of two has four, alternating, once both are told."""
    topic = asker.create(partitions=8)
    share.joined("a", topic, list(range(8)))
    answer = share.beat("b", 0, [topic.name])
    halves = assigned(answer)
    if not halves:
        share.until("b", answer.member_epoch, lambda rows: len(rows.get(topic.id, ())) == 4)
    share.until("a", share.describe().group_epoch - 1, lambda rows: len(rows.get(topic.id, ())) == 4)
    rows = {m.member_id: sorted(m.assignment.topic_partitions[0].partitions) for m in share.describe().members}
    assert sorted([*rows["a"], *rows["b"]]) == list(range(8))


def test_a_topic_grows_and_another_comes(asker: SocketAsker, share: Share) -> None:
    topic = asker.create(partitions=1)
    later = f"later-{uuid.uuid4().hex[:8]}"
    answer = share.beat("a", 0, [topic.name, later])
    epoch = share.until("a", answer.member_epoch, lambda rows: rows == {topic.id: [0]})
    grown = CreatePartitionsTopic(name=topic.name, count=3, assignments=None)
    assert asker.ask(CreatePartitionsRequest(topics=[grown], timeout_ms=10_000), 3).results[0].error_code == 0
    epoch = share.until("a", epoch, lambda rows: rows == {topic.id: [0, 1, 2]})
    other = asker.create(partitions=1, name=later)
    share.until("a", epoch, lambda rows: rows == {topic.id: [0, 1, 2], other.id: [0]})


def test_epochs_and_members(asker: SocketAsker, share: Share) -> None:
    topic = asker.create()
    answer = share.beat("a", 1)
    assert (answer.error_code, answer.error_message) == (E.GROUP_ID_NOT_FOUND, f"Share group {share.group} not found.")
    answer = share.beat("a", -1)
    assert (answer.error_code, answer.error_message) == (E.GROUP_ID_NOT_FOUND, f"Group {share.group} not found.")
    epoch = share.joined("a", topic, [0])
    answer = share.beat("x", epoch)
    no_member = f"Member x is not a member of group {share.group}."
    assert (answer.error_code, answer.error_message) == (E.UNKNOWN_MEMBER_ID, no_member)
    answer = share.beat("x", -1)
    assert (answer.error_code, answer.error_message) == (E.UNKNOWN_MEMBER_ID, no_member)
    answer = share.beat("a", epoch + 1)
    assert (answer.error_code, answer.error_message) == (
        E.FENCED_MEMBER_EPOCH,
        f"The share group member has a greater member epoch ({epoch + 1}) than the one known by the group coordinator "
        f"({epoch}). The member must abandon all its partitions and rejoin.",
    )
    assert share.beat("a", epoch - 1).member_epoch == epoch  # the answer before may have been lost
    told = share.beat("a", epoch, [topic.name, "nosuch"])
    while told.member_epoch == epoch:  # for group.share.assignment.interval.ms
        time.sleep(0.1)
        told = share.beat("a", epoch)
    assert (told.error_code, told.member_epoch) == (0, epoch + 1)
    answer = share.beat("a", epoch - 1)
    assert (answer.error_code, answer.error_message) == (
        E.FENCED_MEMBER_EPOCH,
        f"The share group member has a smaller member epoch ({epoch - 1}) than the one known by the group coordinator "
        f"({epoch + 1}), and it does not match the previous member epoch ({epoch}). The member must abandon all its "
        "partitions and rejoin.",
    )
    back = share.beat("a", 0, [topic.name])
    assert (back.error_code, assigned(back)) == (0, {topic.id: [0]})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"member_id": ""}, None),
        ({"member_id": "x" * 37}, None),
        ({"member_id": " "}, "MemberId can't be empty."),
        ({"group_id": ""}, "GroupId can't be empty."),
        ({"rack_id": ""}, "RackId can't be empty."),
        ({"subscribed_topic_names": None}, "SubscribedTopicNames must be set in first request."),
        ({"subscribed_topic_names": []}, "SubscribedTopicNames must be set in first request."),
        ({"member_epoch": -2}, "MemberEpoch is invalid."),
    ],
)
def test_requests_that_are_none(share: Share, fields: dict[str, Any], message: str | None) -> None:
    answer = share.beat("a", 0, ["t"], **fields)
    assert (answer.error_code, answer.error_message) == (E.INVALID_REQUEST, message)


def test_groups_of_other_kinds(asker: SocketAsker, share: Share) -> None:
    topic = asker.create()
    share.joined("a", topic, [0])
    protocols = [JoinGroupRequestProtocol(name="range", metadata=b"")]
    join = JoinGroupRequest(
        group_id=share.group,
        session_timeout_ms=10_000,
        rebalance_timeout_ms=1,
        protocol_type="consumer",
        protocols=protocols,
    )
    assert asker.ask(join, 5).error_code == E.INCONSISTENT_GROUP_PROTOCOL
    row = OffsetCommitRequestPartition(partition_index=0, committed_offset=1)
    topics = [OffsetCommitRequestTopic(name=topic.name, partitions=[row])]
    commit = OffsetCommitRequest(group_id=share.group, topics=topics)
    answer = asker.ask(commit, 8)
    assert answer.topics[0].partitions[0].error_code == E.GROUP_ID_NOT_FOUND
    assert asker.ask(OffsetDeleteRequest(group_id=share.group, topics=[]), 0).error_code == E.GROUP_ID_NOT_FOUND
    other = Share(asker).found()
    assert (
        asker.ask(OffsetCommitRequest(group_id=other.group, topics=topics), 8).topics[0].partitions[0].error_code == 0
    )
    answer = other.beat("a", 0, [topic.name])
    is_none = f"Group {other.group} is not a share group."
    assert (answer.error_code, answer.error_message) == (E.GROUP_ID_NOT_FOUND, is_none)
    described = other.describe()
    assert (described.error_code, described.error_message) == (E.GROUP_ID_NOT_FOUND, is_none)
    altered = other.alter(topic.name, {0: 0})
    assert (altered.error_code, altered.error_message, altered.responses) == (E.GROUP_ID_NOT_FOUND, is_none, [])
    deleted = other.delete_offsets(topic.name)
    assert (deleted.error_code, deleted.error_message, deleted.responses) == (E.GROUP_ID_NOT_FOUND, is_none, [])


def test_listed_and_deleted(asker: SocketAsker, share: Share) -> None:
    topic = asker.create()
    share.joined("a", topic, [0])

    def listed(**filters: list[str]) -> list[tuple[str, str, str]]:
        rows = asker.ask(ListGroupsRequest(**filters), 5).groups  # type: ignore[arg-type]
        return [(r.group_state, r.group_type, r.protocol_type) for r in rows if r.group_id == share.group]

    assert listed() == listed(types_filter=["Share"]) == [("Stable", "share", "share")]
    assert listed(types_filter=["consumer"]) == listed(states_filter=["empty"]) == []
    assert share.delete() == E.NON_EMPTY_GROUP
    share.leave("a")
    assert listed(states_filter=["empty"]) == [("Empty", "share", "share")]
    assert share.delete() == 0
    assert listed() == []
    assert share.delete() == E.GROUP_ID_NOT_FOUND
    row = share.describe()
    assert (row.error_code, row.error_message) == (E.GROUP_ID_NOT_FOUND, f"Group {share.group} not found.")
    assert plain(share.offsets({topic.name: [0]})) == [(topic.name, 0, -1, -1, 0, None)]
    (empty,) = asker.ask(ShareGroupDescribeRequest(group_ids=[""]), 1).groups
    assert (empty.group_id, empty.error_code, empty.error_message) == ("", E.INVALID_GROUP_ID, None)


def test_offsets(asker: SocketAsker, share: Share) -> None:
    topic = asker.create(partitions=2)
    fill(asker, topic, 0, 3)
    share.joined("a", topic, [0, 1])
    assert [row[:4] for row in plain(share.offsets())] == [(topic.name, 0, -1, -1), (topic.name, 1, -1, -1)]
    answer = share.alter(topic.name, {0: 0})
    assert (answer.error_code, answer.error_message, answer.responses) == (E.NON_EMPTY_GROUP, NOT_EMPTY, [])
    answer = share.delete_offsets(topic.name)
    assert (answer.error_code, answer.error_message, answer.responses) == (E.NON_EMPTY_GROUP, NOT_EMPTY, [])
    share.leave("a")
    answer = share.alter(topic.name, {0: 1, 1: 0, 2: 0})
    (row,) = answer.responses
    assert (answer.error_code, answer.error_message, row.topic_name, row.topic_id) == (0, None, topic.name, topic.id)
    assert [(p.partition_index, p.error_code, p.error_message) for p in row.partitions] == [
        (0, 0, None),
        (1, 0, None),
        (2, E.UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN),
    ]
    deadline = time.monotonic() + 20
    while plain(share.offsets())[0][2] != 1 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert plain(share.offsets()) == [(topic.name, 0, 1, 2, 0, None), (topic.name, 1, 0, 0, 0, None)]
    asked = {topic.name: [0, 5], "no-such-topic": [3]}
    expected = [
        ("no-such-topic", 3, -1, -1, 0, None),
        (topic.name, 0, 1, 2, 0, None),
        (topic.name, 5, -1, -1, 0, None),
    ]
    answer = share.offsets(asked)
    assert plain(answer) == sorted(expected)
    assert {row.topic_name: row.topic_id for row in answer.topics} == {topic.name: topic.id, "no-such-topic": ZERO_UUID}
    assert [row[2] for row in plain(share.offsets({topic.name: [0]}, version=0))] == [1]
    assert share.offsets({}).topics == []
    share.joined("b", topic, [0, 1])
    assert [row[2:4] for row in plain(share.offsets())] == [(1, 2), (0, 0)]


def test_offsets_of_a_group_that_is_not_there(asker: SocketAsker, share: Share) -> None:
    topic = asker.create()
    assert share.offsets().topics == []
    answer = share.delete_offsets(topic.name)
    not_found = f"Group {share.group} not found."
    assert (answer.error_code, answer.error_message) == (E.GROUP_ID_NOT_FOUND, not_found)
    answer = share.alter("no-such-topic", {0: 1})
    (row,) = answer.responses
    assert (row.topic_name, row.topic_id) == ("no-such-topic", ZERO_UUID)
    assert [(p.error_code, p.error_message) for p in row.partitions] == [(E.UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN)]
    assert share.describe().error_code == E.GROUP_ID_NOT_FOUND
    assert share.alter(topic.name, {0: 0}).error_code == 0
    row = share.describe()
    assert (row.error_code, row.group_state, row.group_epoch, row.assignment_epoch) == (0, "Empty", 1, 1)


def test_offsets_are_deleted(asker: SocketAsker, share: Share) -> None:
    topic, other = asker.create(), asker.create()
    assert share.alter(topic.name, {0: 0}).error_code == 0
    deadline = time.monotonic() + 20
    while not share.offsets().topics and time.monotonic() < deadline:
        time.sleep(0.1)
    answer = share.delete_offsets(topic.name, other.name, "no-such-topic")
    rows = {row.topic_name: (row.topic_id, row.error_code, row.error_message) for row in answer.responses}
    assert answer.error_code == 0
    assert rows == {
        topic.name: (topic.id, 0, None),
        other.name: (ZERO_UUID, E.UNKNOWN_TOPIC_OR_PARTITION, "There is no offset information to delete."),
        "no-such-topic": (ZERO_UUID, E.UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN),
    }
    assert share.offsets().topics == []
    assert plain(share.offsets({topic.name: [0]})) == [(topic.name, 0, -1, -1, 0, None)]
    assert share.delete() == 0


def test_a_topic_is_deleted(asker: SocketAsker, share: Share) -> None:
    topic, other = asker.create(), asker.create()
    answer = share.beat("a", 0, [topic.name, other.name])
    epoch = share.until("a", answer.member_epoch, lambda rows: rows == {topic.id: [0], other.id: [0]})
    asker.delete(other)
    share.until("a", epoch, lambda rows: rows == {topic.id: [0]})
    deadline = time.monotonic() + 20
    while len(share.offsets().topics) > 1 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [row.topic_name for row in share.offsets().topics] == [topic.name]


def test_settings_of_a_group(asker: SocketAsker, share: Share) -> None:
    topic = asker.create()

    def alter(name: str, value: str) -> tuple[int, str | None]:
        config = AlterableConfig(name=name, config_operation=0, value=value)
        resource = AlterConfigsResource(resource_type=GROUP_CONFIG, resource_name=share.group, configs=[config])
        (row,) = asker.ask(IncrementalAlterConfigsRequest(resources=[resource]), 1).responses
        return row.error_code, row.error_message

    assert alter("share.heartbeat.interval.ms", "6000")[0] == 0
    deadline = time.monotonic() + 20
    epoch = share.joined("a", topic, [0])
    while share.beat("a", epoch).heartbeat_interval_ms != 6000 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert share.beat("a", epoch).heartbeat_interval_ms == 6000
    assert alter("share.session.timeout.ms", "10")[0] == E.INVALID_CONFIG
