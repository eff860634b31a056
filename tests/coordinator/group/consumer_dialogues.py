"""Dialogues about consumer groups (KIP-848), told to the real Kafka once and to ours in every test run."""

from typing import Any

from pykbroker.protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from pykbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, TopicPartitions
from pykbroker.protocol.messages.delete_groups import DeleteGroupsRequest
from pykbroker.protocol.messages.describe_groups import DescribeGroupsRequest
from pykbroker.protocol.messages.heartbeat import HeartbeatRequest
from pykbroker.protocol.messages.leave_group import LeaveGroupRequest, MemberIdentity
from pykbroker.protocol.messages.list_groups import ListGroupsRequest
from pykbroker.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from pykbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from tests.coordinator.group.dialogues import Speaker, commit, delete_offsets, dialogue, fetch, join, register, sync

SUBSCRIPTION = b"\0\1\0\0\0\1\0\1t\0\0\0\0\0\0\0\0"
CLASSIC = [("range", SUBSCRIPTION)]
# The same, and what the member owns of t.
OWNS_0 = b"\0\1\0\0\0\1\0\1t\xff\xff\xff\xff\0\0\0\1\0\1t\0\0\0\1\0\0\0\0"
OWNS_BOTH = b"\0\1\0\0\0\1\0\1t\xff\xff\xff\xff\0\0\0\1\0\1t\0\0\0\2\0\0\0\0\0\0\0\1"


def beat(
    s: Speaker, member: str, epoch: int, owned: dict[str, list[int]] | None = None, **fields: Any
) -> ConsumerGroupHeartbeatRequest:
    """What only changed is said."""
    rows = None
    if owned is not None:
        rows = [TopicPartitions(topic_id=s.topic_id(name), partitions=indexes) for name, indexes in owned.items()]
    values: dict[str, Any] = {
        "group_id": s.group(),
        "member_id": member,
        "member_epoch": epoch,
        "topic_partitions": rows,
    }
    return ConsumerGroupHeartbeatRequest(**(values | fields))


def first(s: Speaker, member: str, topics: list[str] | None = None, **fields: Any) -> ConsumerGroupHeartbeatRequest:
    """A member joins."""
    values: dict[str, Any] = {
        "rebalance_timeout_ms": 300_000,
        "subscribed_topic_names": ["t"] if topics is None else topics,
    }
    return beat(s, member, 0, {}, **(values | fields))


async def describe(s: Speaker, group: str | None = None) -> Any:
    request = ConsumerGroupDescribeRequest(group_ids=[group or s.group()], include_authorized_operations=True)
    return await s.call("admin", request, 1)


async def pair(s: Speaker) -> tuple[int, int]:
    """Members a and b, with one partition of t each; their epoch."""
    await s.call("a", first(s, "a"), 1)
    await s.call("b", first(s, "b"), 1)
    await s.call("a", beat(s, "a", 2, {"t": [0, 1]}), 1)
    await s.call("a", beat(s, "a", 2, {"t": [0]}), 1)
    answer = await s.call("b", beat(s, "b", 3, {}), 1)
    return answer.member_epoch, answer.member_epoch


@dialogue
async def consumer_alone(s: Speaker) -> None:
    joined = await s.call("a", first(s, "", client := ["t", "u"]), 0)
    member, epoch = joined.member_id, joined.member_epoch
    await describe(s)
    await s.call("a", beat(s, member, epoch), 0)
    await s.call("a", beat(s, member, epoch, {"t": [0, 1], "u": [0]}), 0)
    await s.call(
        "a",
        beat(s, member, epoch, {"t": [0, 1], "u": [0]}, rebalance_timeout_ms=300_000, subscribed_topic_names=client),
        0,
    )
    await s.call("a", beat(s, member, epoch, rack_id="r", server_assignor="range"), 0)
    await s.call("a", beat(s, member, epoch, subscribed_topic_names=["u", "nosuch"]), 0)
    await describe(s)
    await s.call("a", beat(s, member, epoch + 1, {"u": [0]}), 0)
    await s.call("a", beat(s, member, epoch + 1), 0)
    await describe(s)
    await s.call("a", ListGroupsRequest(types_filter=["Consumer"]), 5)
    await s.call("a", ListGroupsRequest(types_filter=["classic"]), 5)
    await s.call("a", DescribeGroupsRequest(groups=[s.group()]), 6)
    await s.call("a", DeleteGroupsRequest(groups_names=[s.group()]), 2)
    await s.call("a", beat(s, member, -1), 0)
    await describe(s)
    await s.call("a", ListGroupsRequest(states_filter=["empty"]), 5)
    await s.call("a", DeleteGroupsRequest(groups_names=[s.group()]), 2)
    await describe(s)
    await s.call("a", ConsumerGroupDescribeRequest(group_ids=["", s.group("none")]), 0)


@dialogue
async def consumer_requests_that_are_none(s: Speaker) -> None:
    for request in (
        first(s, "", group_id=s.group()),
        first(s, "  "),
        first(s, "a", group_id=""),
        first(s, "a", instance_id=""),
        first(s, "a", rack_id=""),
        first(s, "a", rebalance_timeout_ms=-1),
        first(s, "a", subscribed_topic_names=None),
        first(s, "a", server_assignor="nosuch"),
        beat(s, "a", 0, None, rebalance_timeout_ms=1, subscribed_topic_names=["t"]),
        beat(s, "a", 0, {"t": [0]}, rebalance_timeout_ms=1, subscribed_topic_names=["t"]),
        beat(s, "a", -2),
        beat(s, "a", -3),
        beat(s, "a", 1),
        beat(s, "a", -1),
        beat(s, "a", -2, instance_id="i"),
    ):
        await s.call("a", request, 1)
    await s.call("a", beat(s, "", 1), 0)
    await describe(s)


@dialogue
async def consumer_epochs(s: Speaker) -> None:
    await s.call("a", first(s, "a"), 1)
    for request in (
        beat(s, "x", 2),
        beat(s, "a", 3),
        beat(s, "a", 1),
        beat(s, "a", 1, {"t": [0]}),
        beat(s, "x", -1),
        beat(s, "a", 2, instance_id="i"),
        beat(s, "a", -1, instance_id="i"),
        first(s, "a"),
    ):
        await s.call("a", request, 1)
    await s.call("a", beat(s, "a", 2, subscribed_topic_names=["t", "u"]), 1)
    await s.call("a", beat(s, "a", 2, {"t": [0, 1]}), 1)
    await s.call("a", beat(s, "a", 2, {"t": [0, 5]}), 1)
    await s.call("a", beat(s, "a", 3, {"t": [0, 1], "u": [0]}), 1)
    await s.call("a", beat(s, "a", 2, {"t": [0, 1], "u": [0]}), 1)
    await describe(s)


@dialogue
async def consumers_share_partitions(s: Speaker) -> None:
    await pair(s)
    await describe(s)
    await s.call("a", beat(s, "a", 3, {"t": [0]}), 1)
    await s.call("b", beat(s, "b", 3, {"t": [1]}), 1)
    await describe(s)
    await s.call("b", beat(s, "b", -1), 1)
    await describe(s)
    await s.call("a", beat(s, "a", 3, {"t": [0]}), 1)
    await s.call("a", beat(s, "a", 4, {"t": [0, 1]}), 1)
    await describe(s)


@dialogue
async def consumers_with_different_topics(s: Speaker) -> None:
    await s.call("a", first(s, "a", ["t", "u"]), 1)
    await s.call("b", first(s, "b", ["u"]), 1)
    await describe(s)
    await s.call("a", beat(s, "a", 2, {"t": [0, 1], "u": [0]}), 1)
    await s.call("a", beat(s, "a", 2, {"t": [0, 1]}), 1)
    await s.call("b", beat(s, "b", 3, {}), 1)
    await s.call("b", beat(s, "b", 3, {"u": [0]}, subscribed_topic_names=[]), 1)
    await s.call("b", beat(s, "b", 3, {}), 1)
    await describe(s)
    await s.call("a", beat(s, "a", 3, {"t": [0, 1]}), 1)
    await describe(s)


@dialogue
async def consumers_by_range(s: Speaker) -> None:
    await s.call("a", first(s, "a", ["t", "u"], server_assignor="range"), 1)
    await s.call("b", first(s, "b", ["t", "u"], server_assignor="range", instance_id="i"), 1)
    await describe(s)
    await s.call("a", beat(s, "a", 2, {}), 1)
    await s.call("b", beat(s, "b", 3, {}, instance_id="i"), 1)
    await describe(s)


@dialogue
async def consumers_up_to_the_limit(s: Speaker) -> None:
    for member in ("a", "b", "c", "d"):
        await s.call(member, first(s, member), 1)
    await s.call("a", first(s, "a"), 1)


@dialogue
async def static_consumers(s: Speaker) -> None:
    await s.call("a", first(s, "a", instance_id="i"), 1)
    await s.call("b", first(s, "b", instance_id="i"), 1)
    await s.call("b", beat(s, "b", 2, instance_id="i"), 1)
    await s.call("b", beat(s, "b", -2, instance_id="i"), 1)
    await s.call("a", beat(s, "a", -2, instance_id="i"), 1)
    await describe(s)
    await s.call("a", beat(s, "a", 2, {"t": [0, 1]}, instance_id="i"), 1)
    await s.call("b", first(s, "b", instance_id="i"), 1)
    await describe(s)
    await s.call("a", beat(s, "a", 2, {"t": [0, 1]}, instance_id="i"), 1)
    await s.call("b", beat(s, "b", 2, {"t": [0, 1]}, instance_id="i"), 1)
    await s.call("b", beat(s, "b", -2, instance_id="i"), 1)
    await s.call("c", first(s, "c", ["u"], instance_id="i"), 1)
    await describe(s)
    await s.call("c", beat(s, "c", 3, {}, instance_id="i"), 1)
    await s.call("c", beat(s, "c", -1, instance_id="i"), 1)
    await describe(s)


@dialogue
async def patterns(s: Speaker) -> None:
    for regex in ("[", "(", "a)", "*", "\\", "a{2001}", "(?=a)", "[b-a]", "a**", "\\1", "(?P<n", "[[:nosuch:]]"):
        await s.call("a", first(s, "a", None, subscribed_topic_names=None, subscribed_topic_regex=regex), 1)
    await s.send("a", first(s, "a", subscribed_topic_names=None, subscribed_topic_regex="t|nosuch.*"), 1)
    await s.answer("a")
    await describe(s)
    await s.call("a", beat(s, "a", 1), 1)
    await s.call("a", beat(s, "a", 2, {"t": [0, 1]}), 1)
    await describe(s)
    await s.call("b", first(s, "b", [], subscribed_topic_regex="t|nosuch.*"), 1)
    await describe(s)
    await s.call("a", beat(s, "a", 2, {"t": [0, 1]}, subscribed_topic_regex=""), 1)
    await s.call("b", beat(s, "b", -1), 1)
    await s.call("a", beat(s, "a", 2, {}), 1)
    await describe(s)


@dialogue
async def offsets_of_consumers(s: Speaker) -> None:
    await pair(s)

    async def committed(epoch: int, member: str, partition: int, version: int = 9) -> None:
        request = commit(s, {"t": [(partition, 7)]}, member_id=member, generation_id_or_member_epoch=epoch)
        await s.call(member or "admin", request, version)

    for version in (8, 9, 10):
        await committed(3, "a", 0, version)
    for epoch, member, partition in ((2, "a", 0), (2, "a", 1), (4, "a", 0), (1, "a", 0), (2, "b", 1), (3, "x", 0)):
        await committed(epoch, member, partition)
        await committed(epoch, member, partition, 10)
    await committed(-1, "", 0)
    await committed(-1, "a", 0)
    for member, epoch in (("a", 3), ("a", 2), ("x", 3), (None, -1), ("", -1), ("a", -1)):
        for stable in (False, True):
            topics = [OffsetFetchRequestTopics(name="t", topic_id=s.topic_id("t"), partition_indexes=[0, 1])]
            group = OffsetFetchRequestGroup(group_id=s.group(), member_id=member, member_epoch=epoch, topics=topics)
            for version in (9, 10):
                request = OffsetFetchRequest(groups=[group], require_stable=stable)
                await s.call("a", request, version)
    await s.call("a", fetch(s, 8, None), 8)
    await s.call("admin", delete_offsets(s, {"t": [0], "u": [0]}), 0)
    await s.call("a", beat(s, "a", -1), 1)
    await s.call("b", beat(s, "b", -1), 1)
    await committed(-1, "", 0)
    await committed(0, "", 0)
    await s.call("admin", delete_offsets(s, {"t": [0], "u": [0]}), 0)
    await s.call("admin", DeleteGroupsRequest(groups_names=[s.group()]), 2)
    await s.call("a", fetch(s, 8, None), 8)


@dialogue
async def an_empty_group_changes_its_kind(s: Speaker) -> None:
    await s.call("admin", commit(s, {"t": [(0, 3)]}), 9)
    await s.call("a", first(s, "a"), 1)
    await describe(s)
    await s.call("a", fetch(s, 8, {"t": [0]}), 8)
    await s.call("a", beat(s, "a", -1), 1)
    member = await register(s, "c", protocols=CLASSIC)
    await describe(s)
    await s.call("c", join(s, member, protocols=CLASSIC), 9)
    await s.call("a", fetch(s, 8, {"t": [0]}), 8)
    await s.call("a", beat(s, "a", 3), 1)


async def classic_stable(s: Speaker, **fields: Any) -> str:
    """A classic group of one member, a, that has both partitions of t."""
    member = await register(s, "a", protocols=CLASSIC, **fields)
    await s.call("a", join(s, member, protocols=CLASSIC, **fields), 9)
    assignment = b"\0\1\0\0\0\1\0\1t\0\0\0\2\0\0\0\0\0\0\0\1\0\0\0\0"
    await s.call("a", sync(s, 1, member, {member: assignment}), 5)
    return member


@dialogue
async def a_classic_group_is_upgraded(s: Speaker) -> None:
    a = await classic_stable(s)
    await s.call("b", first(s, "b"), 1)
    await describe(s)
    await s.call("a", HeartbeatRequest(group_id=s.group(), generation_id=1, member_id=a), 4)
    await s.call("a", join(s, a, protocols=[("range", OWNS_BOTH)]), 9)
    await s.call("a", sync(s, 1, a), 5)
    await s.call("a", join(s, a, protocols=[("range", OWNS_0)]), 9)
    await s.call("a", sync(s, 2, a), 5)
    await s.call("a", sync(s, 1, a), 5)
    await s.call("a", sync(s, 2, a, protocol_name="nosuch"), 5)
    await s.call("b", beat(s, "b", 2, {}), 1)
    await s.call("a", HeartbeatRequest(group_id=s.group(), generation_id=2, member_id=a), 4)
    await s.call("b", HeartbeatRequest(group_id=s.group(), generation_id=2, member_id="b"), 4)
    await s.call("x", HeartbeatRequest(group_id=s.group(), generation_id=2, member_id="x"), 4)
    await describe(s)
    for generation in (1, 2, 3):
        request = commit(s, {"t": [(0, 7)]}, member_id=a, generation_id_or_member_epoch=generation)
        await s.call("a", request, 8)
    await s.call("c", join(s, "", protocols=[("nosuch", SUBSCRIPTION)]), 9)
    await s.call("c", join(s, "", protocols=CLASSIC, protocol_type="connect"), 9)
    await s.call("c", join(s, "", protocols=CLASSIC), 9)
    await s.call("b", LeaveGroupRequest(group_id=s.group(), members=[MemberIdentity(member_id="x")]), 5)
    await s.call("b", beat(s, "b", -1), 1)
    await describe(s)
    await s.call("a", HeartbeatRequest(group_id=s.group(), generation_id=3, member_id=a), 4)
    await s.call("a", HeartbeatRequest(group_id=s.group(), generation_id=2, member_id=a), 4)
    await s.call("a", DescribeGroupsRequest(groups=[s.group()]), 6)
    await s.call("a", join(s, a, protocols=[("range", OWNS_0)]), 9)


@dialogue
async def classic_members_of_a_consumer_group(s: Speaker) -> None:
    await s.call("b", first(s, "b", ["u"]), 1)
    member = (await s.call("a", join(s, "", protocols=CLASSIC), 9)).member_id
    joined = await s.call("a", join(s, member, protocols=CLASSIC), 9)
    await s.call("a", sync(s, joined.generation_id, member), 5)
    await describe(s)
    await s.call("i", join(s, "", "i", protocols=CLASSIC), 9)
    await s.call("j", join(s, "", "j", protocols=CLASSIC), 9)
    await describe(s)
    identities = [MemberIdentity(member_id="", group_instance_id="i"), MemberIdentity(member_id=member)]
    identities.append(MemberIdentity(member_id="x", group_instance_id="nosuch"))
    await s.call("a", LeaveGroupRequest(group_id=s.group(), members=identities), 5)
    await describe(s)
    await s.call("a", sync(s, 1, "b"), 5)


@dialogue
async def a_static_consumer_becomes_classic(s: Speaker) -> None:
    await s.call("a", first(s, "a", instance_id="i"), 1)
    joined = await s.call("b", join(s, "", "i", protocols=CLASSIC), 9)
    await describe(s)
    await s.call("b", DescribeGroupsRequest(groups=[s.group()]), 6)
    request = SyncGroupRequest(
        group_id=s.group(),
        generation_id=joined.generation_id,
        member_id=joined.member_id,
        group_instance_id="i",
        protocol_type="consumer",
        protocol_name="range",
        assignments=[SyncGroupRequestAssignment(member_id=joined.member_id, assignment=b"x")],
    )
    await s.call("b", request, 5)
    await s.call("a", first(s, "c", instance_id="i"), 1)
    await describe(s)


@dialogue
async def groups_that_cannot_be_upgraded(s: Speaker) -> None:
    member = await register(s, "a", protocol_type="connect")
    await s.call("a", join(s, member, protocol_type="connect"), 9)
    await s.call("b", first(s, "b"), 1)
    await s.call("b", beat(s, "b", 1), 1)
    await s.call("b", beat(s, "b", -1), 1)
    await describe(s)


@dialogue
async def an_upgrade_amid_a_rebalance_knows_no_owners(s: Speaker) -> None:
    """Member a has both partitions and hears nothing; b is given one of them at once."""
    a = await classic_stable(s)
    c = await register(s, "c", protocols=CLASSIC)
    await s.send("c", join(s, c, protocols=CLASSIC), 9)
    await s.call("a", join(s, a, protocols=[("range", OWNS_BOTH)]), 9)
    await s.answer("c")
    await s.call("admin", LeaveGroupRequest(group_id=s.group(), members=[MemberIdentity(member_id=c)]), 5)
    await s.call("b", first(s, "b", server_assignor="range"), 1)
    await describe(s)
    await s.call("a", HeartbeatRequest(group_id=s.group(), generation_id=2, member_id=a), 4)
    joined = await s.call("a", join(s, a, protocols=[("range", OWNS_BOTH)]), 9)
    await s.call("a", sync(s, joined.generation_id, a), 5)
    await describe(s)


@dialogue
async def a_downgrade_forgets_what_is_being_revoked(s: Speaker) -> None:
    """Member a is asked to give back partition 1 and has not; after a downgrade and an upgrade c has it too."""
    a = await classic_stable(s)
    await s.call("b", first(s, "b"), 1)
    await s.call("a", join(s, a, protocols=[("range", OWNS_BOTH)]), 9)
    await describe(s)
    await s.call("b", beat(s, "b", -1), 1)
    await s.call("c", first(s, "c"), 1)
    await describe(s)
    await s.call("a", HeartbeatRequest(group_id=s.group(), generation_id=1, member_id=a), 4)


@dialogue
async def a_classic_member_comes_back_by_its_old_id(s: Speaker) -> None:
    """It was removed, what it had is another one's, and it is not told to abandon it until its next SyncGroup."""
    await s.call("b", first(s, "b", ["u"]), 1)
    a = await register(s, "a", protocols=CLASSIC)
    joined = await s.call("a", join(s, a, protocols=CLASSIC), 9)
    await s.call("a", sync(s, joined.generation_id, a), 5)
    await s.call("admin", LeaveGroupRequest(group_id=s.group(), members=[MemberIdentity(member_id=a)]), 5)
    await s.call("c", first(s, "c"), 1)
    await describe(s)
    joined = await s.call("a", join(s, a, protocols=[("range", OWNS_BOTH)]), 9)
    await describe(s)
    await s.call("a", sync(s, joined.generation_id, a), 5)


@dialogue
async def two_classic_members_claim_one_partition(s: Speaker) -> None:
    """The leader hears what both say and gives both the same: nobody looks into it, but no new member may join them."""
    a = await register(s, "a", protocols=CLASSIC)
    b = await register(s, "b", protocols=CLASSIC)
    await s.call("a", join(s, a, protocols=CLASSIC), 9)
    await s.send("b", join(s, b, protocols=[("range", OWNS_0)]), 9)
    await s.call("a", join(s, a, protocols=[("range", OWNS_BOTH)]), 9)
    await s.answer("b")
    both = b"\0\1\0\0\0\1\0\1t\0\0\0\2\0\0\0\0\0\0\0\1\0\0\0\0"
    one = b"\0\1\0\0\0\1\0\1t\0\0\0\1\0\0\0\0\0\0\0\0"
    await s.call("a", sync(s, 2, a, {a: both, b: one}), 5)
    await s.call("b", sync(s, 2, b), 5)
    for assignor in ("uniform", "range"):
        await s.call("c", first(s, "c", server_assignor=assignor), 1)
    await s.call("a", HeartbeatRequest(group_id=s.group(), generation_id=2, member_id=a), 4)
    await s.call("b", HeartbeatRequest(group_id=s.group(), generation_id=2, member_id=b), 4)
    await s.call("admin", DescribeGroupsRequest(groups=[s.group()]), 5)
    await s.call("admin", LeaveGroupRequest(group_id=s.group(), members=[MemberIdentity(member_id=b)]), 5)
    await s.call("c", first(s, "c"), 1)
    await describe(s)
