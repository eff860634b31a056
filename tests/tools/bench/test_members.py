"""Members of the bench say and hear what the codec says and hears."""

import pytest

from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.headers import decode_request_header
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.consumer_group_heartbeat import (
    Assignment,
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    TopicPartitions,
)
from pykbroker.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember
from pykbroker.protocol.messages.leave_group import LeaveGroupRequest
from pykbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse
from tools.bench import members
from tools.bench.members import Classic, Consumer, is_spread, is_stable_generation

IDS = [f"bench-{number:08}-0000-0000-0000-000000000000" for number in range(2)]
TOPIC = Uuid(bytes(range(16)))


def answer(response: Message, version: int) -> memoryview:
    out = bytearray(5)
    response.encode_into(out, version)
    return memoryview(out)


def asked(request: bytes, message: type[Message], version: int) -> Message:
    frame = memoryview(request)[4:]
    assert int.from_bytes(request[:4], "big") == len(frame)
    header = decode_request_header(frame)
    assert header.api_version == version
    decoded, end = message.decode(frame, version, header.body_position)
    assert end == len(frame)
    return decoded


def told_its_id(number: int) -> memoryview:
    return answer(JoinGroupResponse(error_code=ErrorCode.MEMBER_ID_REQUIRED, member_id=IDS[number]), members.JOIN)


def joined(number: int, generation: int) -> memoryview:
    rows = [JoinGroupResponseMember(member_id=name, metadata=b"m" * 200) for name in IDS] if number == 0 else []
    response = JoinGroupResponse(
        generation_id=generation,
        protocol_type="consumer",
        protocol_name="range",
        leader=IDS[0],
        member_id=IDS[number],
        members=rows,
    )
    return answer(response, members.JOIN)


def test_a_classic_group_becomes_stable() -> None:
    team = Classic.team("g", 2)
    for number, member in enumerate(team):
        first = asked(member.says(), JoinGroupRequest, members.JOIN)
        assert isinstance(first, JoinGroupRequest)
        assert (first.group_id, first.member_id) == ("g", "")
        assert member.hear(told_its_id(number))
        again = asked(member.says(), JoinGroupRequest, members.JOIN)
        assert isinstance(again, JoinGroupRequest)
        assert again.member_id == IDS[number]
    for number, member in enumerate(team):
        assert member.hear(joined(number, 7))
        sync = asked(member.says(), SyncGroupRequest, members.SYNC)
        assert isinstance(sync, SyncGroupRequest)
        assert (sync.generation_id, sync.member_id) == (7, IDS[number])
        assert [row.member_id for row in sync.assignments] == (IDS if number == 0 else [])
    for number, member in enumerate(team):
        assert not is_stable_generation(team)
        assert member.hear(answer(SyncGroupResponse(assignment=b"x"), members.SYNC))
        beat = asked(member.says(), HeartbeatRequest, members.HEARTBEAT)
        assert beat == HeartbeatRequest(group_id="g", generation_id=7, member_id=IDS[number])
        assert not member.hear(answer(HeartbeatResponse(), members.HEARTBEAT))
    assert is_stable_generation(team)
    leaves = asked(team[1].farewell(), LeaveGroupRequest, members.LEAVE)
    assert isinstance(leaves, LeaveGroupRequest)
    assert [row.member_id for row in leaves.members] == [IDS[1]]


def test_a_rebalance_is_joined_at_once() -> None:
    (member,) = Classic.team("g", 1)
    member.hear(told_its_id(0))
    joining = member.says()
    member.hear(joined(0, 1))
    member.hear(answer(SyncGroupResponse(), members.SYNC))
    assert member.hear(answer(HeartbeatResponse(error_code=ErrorCode.REBALANCE_IN_PROGRESS), members.HEARTBEAT))
    assert member.says() == joining


def test_who_is_told_to_wait_says_the_same_again() -> None:
    (member,) = Classic.team("g", 1)
    first = member.says()
    loading = JoinGroupResponse(error_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, protocol_name="")
    assert not member.hear(answer(loading, members.JOIN))
    assert member.says() == first


def test_an_error_ends_the_measurement() -> None:
    (member,) = Classic.team("g", 1)
    refused = answer(JoinGroupResponse(error_code=ErrorCode.GROUP_MAX_SIZE_REACHED, protocol_name=""), members.JOIN)
    with pytest.raises(RuntimeError, match="join is answered with error 81"):
        member.hear(refused)


def test_a_consumer_acknowledges_what_it_is_given() -> None:
    (member,) = Consumer.team("g", "t", 1)
    first = asked(member.says(), ConsumerGroupHeartbeatRequest, members.BEAT)
    assert isinstance(first, ConsumerGroupHeartbeatRequest)
    assert (first.member_epoch, first.subscribed_topic_names, first.topic_partitions) == (0, ["t"], [])
    owned = [TopicPartitions(topic_id=TOPIC, partitions=[3])]
    given = ConsumerGroupHeartbeatResponse(member_epoch=2, assignment=Assignment(topic_partitions=owned))
    assert not is_spread([member])
    assert member.hear(answer(given, members.BEAT))
    assert is_spread([member])
    acknowledged = asked(member.says(), ConsumerGroupHeartbeatRequest, members.BEAT)
    assert isinstance(acknowledged, ConsumerGroupHeartbeatRequest)
    assert (acknowledged.member_epoch, acknowledged.topic_partitions) == (2, owned)
    assert not member.hear(answer(ConsumerGroupHeartbeatResponse(member_epoch=2), members.BEAT))
    beat = asked(member.says(), ConsumerGroupHeartbeatRequest, members.BEAT)
    assert beat == ConsumerGroupHeartbeatRequest(group_id="g", member_id=member.member_id, member_epoch=2)
    leave = asked(member.farewell(), ConsumerGroupHeartbeatRequest, members.BEAT)
    assert isinstance(leave, ConsumerGroupHeartbeatRequest)
    assert leave.member_epoch == -1
