"""What all group APIs have in common: ids, partitions, errors of the coordinator."""

import json
import tarfile
from gzip import decompress
from typing import Any

import pytest

from pykbroker.clock import ManualClock
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.coordinator.group.service import OFFSETS_TOPIC, GroupCoordinatorService
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition, Uuid
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from pykbroker.protocol.messages.heartbeat import HeartbeatRequest
from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from pykbroker.protocol.messages.leave_group import LeaveGroupRequest, MemberIdentity
from pykbroker.protocol.messages.list_groups import ListGroupsRequest
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pykbroker.protocol.messages.offset_delete import OffsetDeleteRequest
from pykbroker.protocol.messages.offset_fetch import OffsetFetchRequestGroup
from pykbroker.protocol.messages.sync_group import SyncGroupRequest
from pykbroker.request import RequestContext
from tests.coordinator.memory_log import MemoryLog
from tests.golden_data import golden_path

CTX = RequestContext(0, 9)


def make(log: MemoryLog | None = None, *, elected: bool = True, **overrides: Any) -> GroupCoordinatorService:
    config = BrokerConfig()
    for name, value in overrides.items():
        setattr(config, name, value)
    service = GroupCoordinatorService(config, ManualClock(), log or MemoryLog())
    for partition in range(config.offsets_topic_num_partitions if elected else 0):
        service.on_elected(partition, 0)
    return service


def commit_request(group_id: str = "g") -> OffsetCommitRequest:
    topic = OffsetCommitRequestTopic(name="t", partitions=[OffsetCommitRequestPartition(committed_offset=5)])
    return OffsetCommitRequest(group_id=group_id, topics=[topic])


def join_request(session: int = 10_000) -> JoinGroupRequest:
    return JoinGroupRequest(
        group_id="g",
        session_timeout_ms=session,
        protocol_type="consumer",
        protocols=[JoinGroupRequestProtocol(name="range")],
    )


def test_groups_go_to_the_partitions_where_kafka_put_them() -> None:
    service = make(elected=False, offsets_topic_num_partitions=3)
    placed = {
        "group-share": 0,
        "group-deleted": 0,
        "group-tx": 1,
        "group-classic": 1,
        "group-new": 2,
        "group-simple": 2,
    }
    assert {group_id: service.partition_for(group_id) for group_id in placed} == placed


def test_the_topic_decides_over_the_number_of_partitions_once() -> None:
    count: int | None = None
    service = GroupCoordinatorService(BrokerConfig(), ManualClock(), MemoryLog(), lambda: count)
    assert service.partition_for("group-classic") == 24
    count = 3
    assert service.partition_for("group-classic") == 1
    count = 50
    assert service.partition_for("group-classic") == 1


@pytest.mark.parametrize("loading", [False, True])
async def test_every_api_where_the_coordinator_is_not(loading: bool) -> None:
    code = E.COORDINATOR_LOAD_IN_PROGRESS if loading else E.NOT_COORDINATOR
    service = make(elected=False)
    if loading:
        service.on_elected(0, 0)
        for partition in range(50):
            service.on_elected(partition, 0)
            service.runtime._contexts[partition].start_loading()
    assert (await service.join_group(CTX, join_request())).error_code == code
    assert (await service.sync_group(CTX, SyncGroupRequest(group_id="g"))).error_code == code
    beat = await service.heartbeat(CTX, HeartbeatRequest(group_id="g"))
    assert beat.error_code == (0 if loading else code)
    leaving = LeaveGroupRequest(group_id="g", members=[MemberIdentity(member_id="m")])
    assert (await service.leave_group(CTX, leaving)).error_code == code
    committed = await service.offset_commit(CTX, commit_request())
    assert committed.topics[0].partitions[0].error_code == code
    assert (await service.offset_delete(CTX, OffsetDeleteRequest(group_id="g"))).error_code == code
    for stable in (True, False):
        with pytest.raises(KafkaError) as caught:
            await service.offset_fetch(CTX, OffsetFetchRequestGroup(group_id="g", topics=None), stable)
        assert caught.value.code == code
    assert (await service.describe_groups(CTX, ["g"]))[0].error_code == code
    assert (await service.delete_groups(CTX, ["g"]))[0].error_code == code
    listed = await service.list_groups(CTX, ListGroupsRequest())
    assert (listed.error_code, listed.groups) == (code if loading else 0, [])


@pytest.mark.parametrize(
    ("failure", "answer"),
    [
        (E.NOT_ENOUGH_REPLICAS, E.COORDINATOR_NOT_AVAILABLE),
        (E.NOT_LEADER_OR_FOLLOWER, E.NOT_COORDINATOR),
        (E.MESSAGE_TOO_LARGE, E.UNKNOWN_SERVER_ERROR),
    ],
)
async def test_failures_of_the_log(failure: E, answer: E) -> None:
    log = MemoryLog()
    service = make(log)
    log.failures.append(KafkaError(failure))
    committed = await service.offset_commit(CTX, commit_request())
    assert committed.topics[0].partitions[0].error_code == answer
    log.failures.append(KafkaError(failure))
    joined = await service.join_group(RequestContext(11, 9, client_id="c"), join_request())
    assert joined.error_code in (answer, E.MEMBER_ID_REQUIRED)


@pytest.mark.parametrize("session", [5999, 1_800_001, -1, 2**31 - 1])
async def test_session_timeouts_have_bounds(session: int) -> None:
    answer = await make().join_group(CTX, join_request(session))
    assert answer.error_code == E.INVALID_SESSION_TIMEOUT


async def test_the_empty_group_id() -> None:
    service = make()
    assert (await service.join_group(CTX, JoinGroupRequest())).error_code == E.INVALID_GROUP_ID
    assert (await service.sync_group(CTX, SyncGroupRequest())).error_code == E.INVALID_GROUP_ID
    assert (await service.heartbeat(CTX, HeartbeatRequest())).error_code == E.INVALID_GROUP_ID
    assert (await service.leave_group(CTX, LeaveGroupRequest())).error_code == E.INVALID_GROUP_ID
    assert (await service.offset_delete(CTX, OffsetDeleteRequest())).error_code == E.INVALID_GROUP_ID
    committed = await service.offset_commit(CTX, commit_request(""))
    assert committed.topics[0].partitions[0].error_code == 0


async def test_leaving_a_group_that_is_not_there() -> None:
    leaving = LeaveGroupRequest(group_id="g", members=[MemberIdentity(member_id="m", group_instance_id="i")])
    answer = await make().leave_group(CTX, leaving)
    assert (answer.error_code, answer.members[0].error_code) == (0, E.UNKNOWN_MEMBER_ID)


async def test_deleted_topics_take_their_offsets_along() -> None:
    service = make()
    await service.offset_commit(CTX, commit_request())
    service.on_topics_deleted([])
    service.on_topics_deleted([("t", Uuid(16))])
    group = await service.offset_fetch(CTX, OffsetFetchRequestGroup(group_id="g", topics=None), False)
    assert group.topics == []


@pytest.mark.parametrize("archive", ["clean", "killed", "torn"])
async def test_the_groups_of_a_real_kafka_are_continued(archive: str) -> None:
    """What the golden directories' manifest says that Kafka served of its groups."""
    log = MemoryLog()
    for partition, content in offset_logs(archive):
        log.append_log(TopicPartition(OFFSETS_TOPIC, partition), content)
    service = make(log, offsets_topic_num_partitions=3)
    manifest = json.loads(decompress(golden_path("disk", f"{archive}.manifest.json.gz").read_bytes()))
    listed = {group.group_id: group for group in (await service.list_groups(CTX, ListGroupsRequest())).groups}
    assert listed.keys() == manifest["served"]["groups"].keys()
    for group_id, expected in manifest["served"]["groups"].items():
        group = listed[group_id]
        assert (group.group_type, group.group_state) == (expected["type"].lower(), expected["state"])
        assert group.protocol_type == expected["protocol"]
        answer = await service.offset_fetch(CTX, OffsetFetchRequestGroup(group_id=group_id, topics=None), False)
        offsets = {
            f"{topic.name}-{row.partition_index}": {
                "offset": row.committed_offset,
                "metadata": row.metadata,
                "leader_epoch": row.committed_leader_epoch,
            }
            for topic in answer.topics
            for row in topic.partitions
        }
        assert offsets == expected.get("offsets", {})


def offset_logs(archive: str) -> list[tuple[int, bytes]]:
    """(partition, log) as the archive has it; what a torn tail ends with is left out, as recovery does."""
    found = []
    with tarfile.open(golden_path("disk", f"{archive}.tar.gz")) as tar:
        for member in tar:
            if f"/{OFFSETS_TOPIC}-" in member.name and member.name.endswith(".log"):
                content = tar.extractfile(member)
                assert content is not None
                found.append((int(member.name.split("/")[-2].rsplit("-", 1)[1]), content.read()))
    return found


async def test_groups_of_other_kinds_are_left_alone_by_classic_members() -> None:
    log = MemoryLog()
    for partition, content in offset_logs("clean"):
        log.append_log(TopicPartition(OFFSETS_TOPIC, partition), content)
    service = make(log, offsets_topic_num_partitions=3, group_initial_rebalance_delay_ms=0)
    joining = join_request()
    joining.group_id = "group-share"
    assert (await service.join_group(CTX, joining)).error_code == E.INCONSISTENT_GROUP_PROTOCOL
    (described,) = await service.describe_groups(RequestContext(15, 6), ["group-new"])
    assert (described.error_code, described.group_state) == (E.GROUP_ID_NOT_FOUND, "Dead")
    assert described.error_message == "Group group-new is not a classic group."
    committed = await service.offset_commit(CTX, commit_request("group-new"))
    assert committed.topics[0].partitions[0].error_code == 0
    joining.group_id = "group-new"  # an empty consumer group becomes a classic one
    assert (await service.join_group(CTX, joining)).error_code == E.MEMBER_ID_REQUIRED
    listed = await service.list_groups(CTX, ListGroupsRequest())
    assert {group.group_id: group.group_type for group in listed.groups}["group-new"] == "classic"
    deleted = await service.delete_groups(CTX, ["group-share", "group-tx"])
    assert [row.error_code for row in deleted] == [0, 0]


HEARTBEAT = {"group_id": "g", "member_id": "m", "rebalance_timeout_ms": 1000, "topic_partitions": []}


async def test_heartbeats_of_consumers() -> None:
    service = make()
    request = ConsumerGroupHeartbeatRequest(**HEARTBEAT, subscribed_topic_names=["t"])
    answer = await service.consumer_group_heartbeat(RequestContext(68, 1), request)
    assert (answer.member_id, answer.member_epoch, answer.heartbeat_interval_ms) == ("m", 2, 5000)
    (row, none, nothing) = await service.describe_consumer_groups(["g", "x", ""])
    assert (row.group_state, len(row.members)) == ("Stable", 1)
    assert (none.error_code, none.error_message) == (E.GROUP_ID_NOT_FOUND, "Group x not found.")
    assert nothing.error_code == E.INVALID_GROUP_ID


async def test_consumers_of_no_coordinator() -> None:
    service = make(elected=False)
    request = ConsumerGroupHeartbeatRequest(**HEARTBEAT, subscribed_topic_names=["t"])
    with pytest.raises(KafkaError) as caught:
        await service.consumer_group_heartbeat(RequestContext(68, 1), request)
    assert caught.value.code == E.NOT_COORDINATOR
    request.group_id = ""
    with pytest.raises(KafkaError) as caught:
        await service.consumer_group_heartbeat(RequestContext(68, 1), request)
    assert caught.value.code == E.INVALID_REQUEST
    (row,) = await service.describe_consumer_groups(["g"])
    assert row.error_code == E.NOT_COORDINATOR
