"""Dialogues of clients with a group coordinator, told to the real Kafka once and to ours in every test run.

A dialogue is an async function of a speaker; `answers.json.gz` holds what Apache Kafka 4.3.1 answered (recorded by
`python -m tests.coordinator.group.record_dialogues HOST:PORT`, broker settings in SETTINGS). Topics `t` (2 partitions)
and `u` (1) exist; group ids begin with the dialogue's name. Nothing here depends on time.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from pykbroker.ids import Uuid
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.delete_groups import DeleteGroupsRequest
from pykbroker.protocol.messages.describe_groups import DescribeGroupsRequest
from pykbroker.protocol.messages.heartbeat import HeartbeatRequest
from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from pykbroker.protocol.messages.leave_group import LeaveGroupRequest, MemberIdentity
from pykbroker.protocol.messages.list_groups import ListGroupsRequest
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pykbroker.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from pykbroker.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)
from pykbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment

SETTINGS = {
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "3",
    "group.max.size": "3",
    "group.consumer.max.size": "3",
    "group.consumer.assignment.interval.ms": "0",
    "group.streams.max.size": "3",
    "group.streams.initial.rebalance.delay.ms": "0",
    "group.streams.assignment.interval.ms": "0",
}
TOPICS = {"t": 2, "u": 1}
UNKNOWN_TOPIC = Uuid(range(16))
RANGE = [("range", b"\0\1\0\0\0\1\0\1t\0\0\0\0")]
UNTIL_REBALANCE = 300_000


class Speaker(Protocol):
    """One connection per name. Requests of a group id `""` stay so; others get the dialogue's prefix by `group`."""

    def group(self, name: str = "g") -> str: ...
    def topic_id(self, name: str) -> Uuid: ...
    async def send(self, connection: str, request: Message, version: int) -> None: ...
    async def answer(self, connection: str) -> Any: ...
    async def call(self, connection: str, request: Message, version: int) -> Any: ...


DIALOGUES: dict[str, Callable[[Any], Awaitable[None]]] = {}


def dialogue(function: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    DIALOGUES[function.__name__] = function
    return function


# -- requests


def join(
    s: Speaker,
    member_id: str = "",
    instance: str | None = None,
    *,
    group: str | None = None,
    protocols: list[tuple[str, bytes]] = RANGE,
    protocol_type: str = "consumer",
    session: int = 30_000,
    rebalance: int = UNTIL_REBALANCE,
) -> JoinGroupRequest:
    return JoinGroupRequest(
        group_id=s.group() if group is None else group,
        session_timeout_ms=session,
        rebalance_timeout_ms=rebalance,
        member_id=member_id,
        group_instance_id=instance,
        protocol_type=protocol_type,
        protocols=[JoinGroupRequestProtocol(name=name, metadata=metadata) for name, metadata in protocols],
    )


def sync(
    s: Speaker, generation: int, member_id: str, assignments: dict[str, bytes] | None = None, **fields: Any
) -> Any:
    values: dict[str, Any] = {
        "group_id": s.group(),
        "generation_id": generation,
        "member_id": member_id,
        "protocol_type": "consumer",
        "protocol_name": "range",
        "assignments": [
            SyncGroupRequestAssignment(member_id=key, assignment=value) for key, value in (assignments or {}).items()
        ],
    }
    return SyncGroupRequest(**(values | fields))


def commit(
    s: Speaker, rows: dict[str, list[tuple[int, int]]], *, metadata: str | None = "", **fields: Any
) -> OffsetCommitRequest:
    """`rows`: topic → (partition, offset)."""
    topics = [
        OffsetCommitRequestTopic(
            name=name,
            topic_id=s.topic_id(name),
            partitions=[
                OffsetCommitRequestPartition(
                    partition_index=index,
                    committed_offset=offset,
                    committed_leader_epoch=0,
                    committed_metadata=metadata,
                )
                for index, offset in partitions
            ],
        )
        for name, partitions in rows.items()
    ]
    return OffsetCommitRequest(**({"group_id": s.group(), "topics": topics} | fields))


def fetch(s: Speaker, version: int, rows: dict[str, list[int]] | None, *groups: str, stable: bool = False) -> Any:
    names = groups or (s.group(),)
    if version < 8:
        topics = (
            None if rows is None else [OffsetFetchRequestTopic(name=n, partition_indexes=p) for n, p in rows.items()]
        )
        return OffsetFetchRequest(group_id=names[0], topics=topics, require_stable=stable)
    return OffsetFetchRequest(
        groups=[
            OffsetFetchRequestGroup(
                group_id=name,
                topics=None
                if rows is None
                else [
                    OffsetFetchRequestTopics(name=n, topic_id=s.topic_id(n), partition_indexes=p)
                    for n, p in rows.items()
                ],
            )
            for name in names
        ],
        require_stable=stable,
    )


def delete_offsets(s: Speaker, rows: dict[str, list[int]], group: str | None = None) -> OffsetDeleteRequest:
    return OffsetDeleteRequest(
        group_id=s.group() if group is None else group,
        topics=[
            OffsetDeleteRequestTopic(
                name=name, partitions=[OffsetDeleteRequestPartition(partition_index=index) for index in partitions]
            )
            for name, partitions in rows.items()
        ],
    )


async def register(s: Speaker, name: str, **options: Any) -> str:
    answer = await s.call(name, join(s, **options), 9)
    return str(answer.member_id)


async def stable_pair(s: Speaker) -> tuple[str, str]:
    """Members a, the leader, and b with assignments, in generation 2."""
    a = await register(s, "a")
    b = await register(s, "b")
    await s.call("a", join(s, a), 9)
    await s.send("b", join(s, b), 9)
    await s.call("a", join(s, a), 9)
    await s.answer("b")
    await s.send("b", sync(s, 2, b), 5)
    await s.call("a", sync(s, 2, a, {a: b"A", b: b"B"}), 5)
    await s.answer("b")
    return a, b


# -- dialogues


@dialogue
async def joining_alone(s: Speaker) -> None:
    for version in range(10):
        name = s.group(f"v{version}")
        first = await s.call("a", join(s, group=name), version)
        member_id = first.member_id
        if version >= 4:
            first = await s.call("a", join(s, member_id, group=name), version)
        generation = first.generation_id
        sync_version = min(version, 5)
        await s.call("a", sync(s, generation, member_id, {member_id: b"x"}, group_id=name), sync_version)
        beat = HeartbeatRequest(group_id=name, generation_id=generation, member_id=member_id)
        await s.call("a", beat, min(version, 4))
        await s.call(
            "a", DescribeGroupsRequest(groups=[name], include_authorized_operations=version >= 3), min(version, 6)
        )
        if version < 3:
            await s.call("a", LeaveGroupRequest(group_id=name, member_id=member_id), version)
            await s.call("a", LeaveGroupRequest(group_id=name, member_id=member_id), version)
        else:
            leaving = LeaveGroupRequest(group_id=name, members=[MemberIdentity(member_id=member_id)])
            await s.call("a", leaving, min(version, 5))
            await s.call("a", leaving, min(version, 5))
        await s.call("a", DescribeGroupsRequest(groups=[name]), min(version, 6))


@dialogue
async def a_pair(s: Speaker) -> None:
    leader, follower = await stable_pair(s)
    await s.call("x", DescribeGroupsRequest(groups=[s.group()], include_authorized_operations=True), 6)
    await s.call("x", HeartbeatRequest(group_id=s.group(), generation_id=2, member_id=leader), 4)
    await s.call("x", HeartbeatRequest(group_id=s.group(), generation_id=9, member_id=follower), 4)
    await s.call("x", HeartbeatRequest(group_id=s.group(), generation_id=2, member_id="nobody"), 4)
    await s.call("x", join(s, follower), 9)
    await s.call("x", join(s, "nobody"), 9)
    await s.call("x", join(s, follower, "instance"), 9)
    await s.call("x", sync(s, 9, follower), 5)
    await s.call("x", sync(s, 2, follower, protocol_name="other"), 5)
    await s.call("x", sync(s, 2, follower, protocol_type=None), 5)
    await s.call("x", sync(s, 2, follower, protocol_name=None), 5)
    await s.call("x", DeleteGroupsRequest(groups_names=[s.group()]), 2)
    members = [MemberIdentity(member_id=leader), MemberIdentity(member_id="x"), MemberIdentity(member_id=follower)]
    await s.call("x", LeaveGroupRequest(group_id=s.group(), members=members), 5)
    await s.call("x", DescribeGroupsRequest(groups=[s.group()]), 5)
    await s.call("x", DeleteGroupsRequest(groups_names=[s.group(), s.group(), s.group("none"), ""]), 2)
    await s.call("x", DescribeGroupsRequest(groups=[s.group()]), 6)


@dialogue
async def joins_refused(s: Speaker) -> None:
    for version in (0, 4, 7, 9):
        await s.call("a", join(s, group=""), version)
        await s.call("a", join(s, session=5999), version)
        await s.call("a", join(s, session=1_800_001), version)
        await s.call("a", join(s, session=-1), version)
        await s.call("a", join(s, "nobody", group=s.group("none")), version)
        await s.call("a", join(s, protocols=[]), version)
        await s.call("a", join(s, protocol_type=""), version)
    await s.call("a", ListGroupsRequest(), 5)
    await s.call("a", DescribeGroupsRequest(groups=[s.group(), s.group("none"), ""]), 6)
    leader, _ = await stable_pair(s)
    await s.call("a", join(s, protocol_type="connect"), 9)
    await s.call("a", join(s, protocols=[("sticky", b"")]), 9)
    await s.call("a", join(s, leader, protocols=[("sticky", b"")]), 9)


@dialogue
async def a_full_group(s: Speaker) -> None:
    a, b = await stable_pair(s)
    third = await register(s, "c")
    fourth = await register(s, "d")
    await s.send("c", join(s, third), 9)
    await s.call("x", DescribeGroupsRequest(groups=[s.group()]), 6)
    await s.send("a", join(s, a), 9)
    await s.send("b", join(s, b), 9)
    await s.call("d", join(s, fourth), 9)
    await s.call("d", join(s, fourth), 9)
    await s.call("d", join(s), 9)


@dialogue
async def static_members(s: Speaker) -> None:
    first = await s.call("a", join(s, "", "i1"), 9)
    await s.call("a", sync(s, 1, first.member_id, {first.member_id: b"x"}), 5)
    again = await s.call("b", join(s, "", "i1"), 9)
    await s.call("b", DescribeGroupsRequest(groups=[s.group()]), 6)
    await s.call("a", HeartbeatRequest(group_id=s.group(), generation_id=1, member_id=first.member_id), 4)
    fenced = HeartbeatRequest(group_id=s.group(), generation_id=1, member_id=first.member_id, group_instance_id="i1")
    await s.call("a", fenced, 4)
    await s.call("a", join(s, first.member_id, "i1"), 9)
    await s.call("a", join(s, first.member_id, "i2"), 9)
    await s.call("a", sync(s, 1, first.member_id, group_instance_id="i1"), 5)
    await s.call(
        "a",
        commit(s, {"t": [(0, 1)]}, generation_id_or_member_epoch=1, member_id=first.member_id, group_instance_id="i1"),
        9,
    )
    await s.call("b", sync(s, 1, again.member_id, group_instance_id="i1"), 5)
    older = await s.call("c", join(s, "", "i1"), 8)
    await s.call("c", sync(s, 1, older.member_id, group_instance_id="i1"), 5)
    identities = [
        MemberIdentity(member_id=first.member_id, group_instance_id="i1"),
        MemberIdentity(member_id="", group_instance_id="i9"),
        MemberIdentity(member_id=""),
        MemberIdentity(member_id="", group_instance_id="i1"),
    ]
    await s.call("c", LeaveGroupRequest(group_id=s.group(), members=identities), 5)
    await s.call("c", DescribeGroupsRequest(groups=[s.group()]), 6)


@dialogue
async def a_static_member_replaced_while_it_joins(s: Speaker) -> None:
    first = await s.call("a", join(s, "", "i1"), 9)
    await s.call("a", sync(s, 1, first.member_id, {first.member_id: b"x"}), 5)
    await s.send("b", join(s, "", "i2"), 9)
    await s.call("x", HeartbeatRequest(group_id=s.group(), generation_id=1, member_id=first.member_id), 4)
    await s.send("c", join(s, "", "i2"), 9)
    await s.answer("b")
    await s.send("a", join(s, first.member_id, "i1"), 9)
    await s.answer("a")
    third = await s.answer("c")
    await s.send("c", sync(s, 2, third.member_id, group_instance_id="i2"), 5)
    await s.call("x", DescribeGroupsRequest(groups=[s.group()]), 6)
    await s.send("d", join(s, "", "i2"), 9)
    await s.answer("c")
    await s.call("x", DescribeGroupsRequest(groups=[s.group()]), 6)


@dialogue
async def a_static_member_with_another_protocol(s: Speaker) -> None:
    first = await s.call("a", join(s, "", "i1", protocols=[("range", b""), ("sticky", b"")]), 9)
    await s.call("a", sync(s, 1, first.member_id, {first.member_id: b"x"}), 5)
    await s.call("b", join(s, "", "i1", protocols=[("range", b"new")]), 9)
    await s.call("b", join(s, "", "i1", protocols=[("sticky", b"")]), 9)


@dialogue
async def rebalances(s: Speaker) -> None:
    leader, follower = await stable_pair(s)
    await s.send("a", join(s, leader), 9)
    await s.call("x", DescribeGroupsRequest(groups=[s.group()]), 6)
    await s.call("x", HeartbeatRequest(group_id=s.group(), generation_id=2, member_id=follower), 4)
    await s.call("x", sync(s, 2, follower), 5)
    await s.call("x", commit(s, {"t": [(0, 5)]}, generation_id_or_member_epoch=2, member_id=follower), 9)
    await s.call("x", commit(s, {"t": [(0, 5)]}, generation_id_or_member_epoch=1, member_id=follower), 9)
    await s.call("x", commit(s, {"t": [(0, 5)]}, generation_id_or_member_epoch=1, member_id=follower), 8)
    await s.call("x", commit(s, {"t": [(0, 5)]}), 9)
    await s.call("x", delete_offsets(s, {"t": [0, 1], "u": [0]}), 0)
    await s.send("b", join(s, follower), 9)
    first = await s.answer("a")
    second = await s.answer("b")
    new = first.generation_id
    await s.call("x", commit(s, {"t": [(0, 6)]}, generation_id_or_member_epoch=new, member_id=leader), 9)
    await s.call("x", HeartbeatRequest(group_id=s.group(), generation_id=new, member_id=leader), 4)
    await s.call("x", join(s, second.member_id), 9)
    await s.send("b", sync(s, new, follower), 5)
    await s.send("a", join(s, leader, protocols=[("range", b"changed")]), 9)
    await s.answer("b")


@dialogue
async def simple_commits(s: Speaker) -> None:
    for version in range(2, 11):
        name = s.group(f"v{version}")
        rows = {"t": [(0, version), (1, 7), (2, 8)], "u": [(0, 1)], "nope": [(0, 1)]}
        await s.call("a", commit(s, rows, group_id=name), version)
        await s.call("a", commit(s, {"t": [(0, 3)]}, metadata=None, group_id=name), version)
        await s.call("a", commit(s, {"t": [(0, 4), (1, 4)]}, metadata="m" * 4097, group_id=name), version)
        await s.call("a", commit(s, {"u": [(0, -5)]}, metadata="ü" * 4096, group_id=name), version)
        await s.call("a", commit(s, {"nope": [(0, 4)]}, group_id=name), version)
        await s.call("a", commit(s, {}, group_id=name), version)
        member = {"generation_id_or_member_epoch": 1, "member_id": "m", "group_id": s.group(f"none{version}")}
        await s.call("a", commit(s, {"t": [(0, 1)]}, **member), version)
        await s.call("a", commit(s, {"t": [(0, 1)]}, **(member | {"group_id": name})), version)
        for fetch_version in range(1, 11):
            await s.call("a", fetch(s, fetch_version, {"t": [0, 1, 5], "nope": [0]}, name), fetch_version)
            if fetch_version >= 2:
                await s.call("a", fetch(s, fetch_version, None, name), fetch_version)
    await s.call("a", ListGroupsRequest(), 5)


@dialogue
async def fetches(s: Speaker) -> None:
    await s.call("a", commit(s, {"t": [(0, 10)]}, group_id=s.group("one")), 9)
    await s.call("a", commit(s, {"u": [(0, 20)]}, group_id=s.group("two")), 10)
    names = (s.group("one"), s.group("two"), s.group("none"), "")
    for version in (8, 9, 10):
        for stable in (False, True):
            await s.call("a", fetch(s, version, {"t": [0], "u": [0]}, *names, stable=stable), version)
            await s.call("a", fetch(s, version, None, *names, stable=stable), version)
    await s.call("a", fetch(s, 7, {"t": [0]}, s.group("one"), stable=True), 7)
    await s.call("a", fetch(s, 1, {}, s.group("one")), 1)
    await s.call("a", OffsetFetchRequest(groups=[]), 8)


@dialogue
async def the_empty_group_id(s: Speaker) -> None:
    await s.call("a", commit(s, {"t": [(0, 1)]}, group_id=""), 9)
    await s.call("a", fetch(s, 9, {"t": [0]}, ""), 9)
    await s.call("a", HeartbeatRequest(group_id=""), 4)
    await s.call("a", LeaveGroupRequest(group_id="", members=[MemberIdentity(member_id="m")]), 5)
    await s.call("a", LeaveGroupRequest(group_id="", member_id="m"), 2)
    await s.call("a", sync(s, 1, "m", group_id=""), 5)
    await s.call("a", delete_offsets(s, {"t": [0]}, ""), 0)
    await s.call("a", DescribeGroupsRequest(groups=[""], include_authorized_operations=True), 6)
    await s.call("a", DeleteGroupsRequest(groups_names=[""]), 2)
    await s.call("a", DescribeGroupsRequest(groups=[""]), 6)


@dialogue
async def deleting_offsets(s: Speaker) -> None:
    await s.call("a", delete_offsets(s, {"t": [0]}), 0)
    await s.call("a", commit(s, {"t": [(0, 1), (1, 1)], "u": [(0, 1)]}), 9)
    await s.call("a", delete_offsets(s, {"t": [0, 5], "nope": [0]}), 0)
    await s.call("a", delete_offsets(s, {}), 0)
    await s.call("a", delete_offsets(s, {"nope": [0]}), 0)
    await s.call("a", fetch(s, 8, None), 8)
    await stable_pair(s)
    await s.call("x", delete_offsets(s, {"t": [0, 1], "u": [0]}), 0)
    await s.call("x", fetch(s, 8, None), 8)
    await s.call("c", join(s, group=s.group("other"), protocol_type="connect", protocols=[("p", b"")]), 3)
    await s.call("x", delete_offsets(s, {"t": [0]}, s.group("other")), 0)


@dialogue
async def member_commits(s: Speaker) -> None:
    leader, _ = await stable_pair(s)
    generation = 2
    for version in range(2, 11):
        good = {"generation_id_or_member_epoch": generation, "member_id": leader}
        await s.call("x", commit(s, {"t": [(0, version)]}, **good), version)
        await s.call("x", commit(s, {"t": [(0, 1)]}, **(good | {"member_id": "nobody"})), version)
        await s.call("x", commit(s, {"t": [(0, 1)]}, **(good | {"generation_id_or_member_epoch": 9})), version)
        await s.call("x", commit(s, {"t": [(0, 1)]}), version)
        await s.call("x", commit(s, {"t": [(0, 1)]}, member_id=leader), version)
    await s.call("x", fetch(s, 8, None), 8)


@dialogue
async def listing(s: Speaker) -> None:
    await s.call("a", commit(s, {"t": [(0, 1)]}, group_id=s.group("simple")), 9)
    await s.call("c", join(s, group=s.group("joined")), 3)
    await s.call("c", join(s, group=s.group("empty")), 9)
    for version in range(6):
        await s.call("a", ListGroupsRequest(), version)
    for states in (["Empty"], ["empty", "Stable"], ["COMPLETINGREBALANCE"], ["Nonsense"], [" Empty "]):
        await s.call("a", ListGroupsRequest(states_filter=states), 5)
    for types in (["classic"], ["Classic", "consumer"], ["share"], ["nonsense"], ["CLASSIC"]):
        await s.call("a", ListGroupsRequest(types_filter=types), 5)
    await s.call("a", ListGroupsRequest(types_filter=["classic"], states_filter=["Empty"]), 5)


@dialogue
async def describing_the_unknown(s: Speaker) -> None:
    for version in range(7):
        await s.call("a", DescribeGroupsRequest(groups=[s.group("none"), s.group("none")]), version)
    await s.call("a", DescribeGroupsRequest(groups=[s.group("none")], include_authorized_operations=True), 6)
    await s.call("a", DescribeGroupsRequest(groups=[s.group("none")], include_authorized_operations=True), 5)
    await s.call("a", DescribeGroupsRequest(groups=[]), 6)
    await s.call("a", DeleteGroupsRequest(groups_names=[]), 2)


@dialogue
async def leaving_the_unknown(s: Speaker) -> None:
    for version in range(6):
        if version < 3:
            await s.call("a", LeaveGroupRequest(group_id=s.group("none"), member_id="m"), version)
            continue
        members = [MemberIdentity(member_id="m", group_instance_id="i"), MemberIdentity(member_id="n")]
        await s.call("a", LeaveGroupRequest(group_id=s.group("none"), members=members), version)
        await s.call("a", LeaveGroupRequest(group_id=s.group("none"), members=[]), version)
    await s.call("a", commit(s, {"t": [(0, 1)]}), 9)
    await s.call("a", LeaveGroupRequest(group_id=s.group(), members=[]), 5)
    await s.call("a", LeaveGroupRequest(group_id=s.group(), members=[MemberIdentity(member_id="m")]), 5)
    await s.call("a", sync(s, 0, "m"), 5)
    await s.call("a", HeartbeatRequest(group_id=s.group(), generation_id=0, member_id="m"), 4)
    await s.call("a", join(s, "m"), 9)
    await s.call("a", DeleteGroupsRequest(groups_names=[s.group()]), 1)
    await s.call("a", fetch(s, 8, None), 8)


@dialogue
async def names_and_data_too_large(s: Speaker) -> None:
    long = s.group("x" * 32_600)
    await s.call("a", commit(s, {"t": [(0, 1)]}, group_id=long), 9)
    await s.call("a", fetch(s, 9, {"t": [0]}, long), 9)
    await s.call("a", join(s, group=long), 9)
    await s.call("a", join(s, "", "i" * 32_750, group=s.group("static")), 9)
    await s.call("a", commit(s, {"t": [(0, 1)] * 300}, metadata="m" * 4096), 9)
    await s.call("a", commit(s, {"t": [(0, 1)] * 300}, metadata="m" * 100), 9)
    await s.call("a", fetch(s, 9, {"t": [0]}), 9)
    a = await register(s, "a", group=s.group("big"))
    await s.call("a", join(s, a, group=s.group("big")), 9)
    await s.call("a", sync(s, 1, a, {a: b"x" * 2_000_000}, group_id=s.group("big")), 5)
    await s.call("a", HeartbeatRequest(group_id=s.group("big"), generation_id=1, member_id=a), 4)
    await s.call("a", join(s, a, group=s.group("big")), 9)
    await s.call("a", sync(s, 2, a, {a: b"x"}, group_id=s.group("big")), 5)


@dialogue
async def deletions_in_all_versions(s: Speaker) -> None:
    for version in range(3):
        await s.call("a", commit(s, {"t": [(0, 1)], "u": [(0, 1)]}), 9)
        await s.call("a", DeleteGroupsRequest(groups_names=[s.group(), s.group("none")]), version)
        await s.call("a", fetch(s, 8, None), 8)
        await s.call("a", DescribeGroupsRequest(groups=[s.group()]), 6)


@dialogue
async def retention_times(s: Speaker) -> None:
    for version in (2, 3, 4, 5):
        for retention in (-1, 0, 1000, -5, 2**63 - 1, -(2**63)):
            fields = {"retention_time_ms": retention} if version < 5 else {}
            await s.call("a", commit(s, {"t": [(0, version)]}, **fields), version)
            await s.call("a", fetch(s, 5, {"t": [0]}), 5)


@dialogue
async def a_member_that_joins_twice(s: Speaker) -> None:
    a, b = await stable_pair(s)
    await s.send("b", join(s, b, protocols=[("range", b"new")]), 9)
    await s.call("x", DescribeGroupsRequest(groups=[s.group()]), 6)
    await s.call("a", join(s, a), 8)
    await s.answer("b")
    await s.call("x", join(s, a), 8)
    await s.call("x", join(s, b, protocols=[("range", b"new")]), 7)
    await s.call("x", DescribeGroupsRequest(groups=[s.group()]), 6)
    await s.call("a", LeaveGroupRequest(group_id=s.group(), member_id=a), 1)
    await s.call("x", DescribeGroupsRequest(groups=[s.group()]), 6)
    await s.call("b", join(s, b, protocols=[("range", b"new"), ("range", b"twice"), ("other", b"")]), 9)
    await s.call("b", sync(s, 4, b, {b: b"", "nobody": b"y"}), 3)
    await s.call("x", DescribeGroupsRequest(groups=[s.group()]), 6)


@dialogue
async def many_small_things(s: Speaker) -> None:
    await s.call("a", join(s, group=" "), 3)
    await s.call("a", commit(s, {"t": [(-1, 1), (0, 2**62)]}), 9)
    await s.call("a", fetch(s, 9, {"t": [-1, 0, 0]}), 9)
    await s.call("a", fetch(s, 9, {"": [0]}), 9)
    await s.call(
        "a",
        OffsetCommitRequest(
            group_id=s.group(),
            topics=[
                *commit(s, {"t": [(0, 1)]}).topics,
                *commit(s, {"t": [(1, 2), (9, 9)]}).topics,
                *commit(s, {"nope": [(1, 2)]}).topics,
                *commit(s, {"nope": [(2, 2)]}).topics,
            ],
        ),
        9,
    )
    await s.call(
        "a",
        OffsetCommitRequest(
            group_id=s.group(),
            topics=[
                *commit(s, {"t": [(0, 1)]}).topics,
                *commit(s, {"t": [(1, 2), (9, 9)]}).topics,
                *commit(s, {"nope": [(1, 2)]}).topics,
                *commit(s, {"nope": [(2, 2)]}).topics,
            ],
        ),
        10,
    )
    await s.call("a", delete_offsets(s, {"t": [0, 0, 9, 9]}), 0)
    await s.call("a", join(s, "x" * 300), 9)
    await s.call("a", join(s, "", ""), 9)
    await s.call("a", join(s, "", "with space", group=s.group("h")), 9)
