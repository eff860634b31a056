"""Dialogues about streams groups (KIP-1071), told to the real Kafka once and to ours in every test run."""

from typing import Any

from pykbroker.protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from pykbroker.protocol.messages.delete_groups import DeleteGroupsRequest
from pykbroker.protocol.messages.describe_groups import DescribeGroupsRequest
from pykbroker.protocol.messages.heartbeat import HeartbeatRequest
from pykbroker.protocol.messages.list_groups import ListGroupsRequest
from pykbroker.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from pykbroker.protocol.messages.streams_group_describe import StreamsGroupDescribeRequest
from pykbroker.protocol.messages.streams_group_heartbeat import (
    CopartitionGroup,
    Endpoint,
    KeyValue,
    StreamsGroupHeartbeatRequest,
    Subtopology,
    TaskIds,
    TaskOffset,
    TopicInfo,
    Topology,
)
from tests.coordinator.group.consumer_dialogues import first as joins_as_consumer
from tests.coordinator.group.dialogues import Speaker, commit, delete_offsets, dialogue, fetch, join

Tasks = dict[str, list[int]]


def sub(name: str = "0", sources: tuple[str, ...] = ("t",), **fields: Any) -> Subtopology:
    return Subtopology(subtopology_id=name, source_topics=list(sources), **fields)


def topology(*rows: Subtopology, epoch: int = 0) -> Topology:
    """Without rows: one subtopology that reads t and keeps no state."""
    return Topology(epoch=epoch, subtopologies=list(rows) or [sub()])


def stateful() -> Topology:
    """Its changelogs exist already."""
    return topology(
        sub("0", ("t",), state_changelog_topics=[TopicInfo(name="t")]),
        sub("1", ("u",), state_changelog_topics=[TopicInfo(name="u", replication_factor=1, topic_configs=[])]),
    )


def rows(tasks: Tasks | None) -> list[TaskIds] | None:
    if tasks is None:
        return None
    return [TaskIds(subtopology_id=key, partitions=list(partitions)) for key, partitions in tasks.items()]


def beat(
    s: Speaker, member: str, epoch: int, active: Tasks | None = None, standby: Tasks | None = None, **fields: Any
) -> StreamsGroupHeartbeatRequest:
    """Tasks are left out when no active ones are given."""
    values: dict[str, Any] = {"group_id": s.group(), "member_id": member, "member_epoch": epoch}
    if active is not None:
        values |= {"active_tasks": rows(active), "standby_tasks": rows(standby or {}), "warmup_tasks": []}
    return StreamsGroupHeartbeatRequest(**(values | fields))


def first(s: Speaker, member: str, told: Topology | None = None, **fields: Any) -> StreamsGroupHeartbeatRequest:
    """A member joins, each its own process unless told otherwise."""
    values: dict[str, Any] = {
        "rebalance_timeout_ms": 300_000,
        "topology": told or topology(),
        "process_id": f"process of {member}",
        "client_tags": [],
    }
    return beat(s, member, 0, {}, **(values | fields))


async def describe(s: Speaker, *groups: str) -> Any:
    request = StreamsGroupDescribeRequest(group_ids=list(groups or (s.group(),)), include_authorized_operations=True)
    return await s.call("admin", request, 0)


async def pair(s: Speaker) -> None:
    """Members a and b, with one task of t each, in epoch 3."""
    await s.call("a", first(s, "a"), 0)
    await s.call("b", first(s, "b"), 0)
    await s.call("a", beat(s, "a", 2, {"0": [0, 1]}), 0)
    await s.call("a", beat(s, "a", 2, {"0": [0]}), 0)
    await s.call("b", beat(s, "b", 3, {}), 0)


@dialogue
async def streams_alone(s: Speaker) -> None:
    tags = [KeyValue(key="zone", value="z1"), KeyValue(key="cluster", value="c1")]
    await s.call("a", first(s, "a", rack_id="r", client_tags=tags), 0)
    await describe(s)
    await s.call("a", beat(s, "a", 2), 0)
    await describe(s)
    await s.call("a", beat(s, "a", 2, {"0": [0, 1]}), 0)
    await s.call("a", beat(s, "a", 2, {"0": [0, 1]}, rebalance_timeout_ms=300_000, process_id="other"), 0)
    await s.call("a", beat(s, "a", 3, {"0": [0, 1]}, rack_id="q"), 0)
    await describe(s)
    await s.call("a", ListGroupsRequest(types_filter=["Streams"]), 5)
    await s.call("a", ListGroupsRequest(types_filter=["consumer"]), 5)
    await s.call("a", DescribeGroupsRequest(groups=[s.group()]), 6)
    await s.call("a", ConsumerGroupDescribeRequest(group_ids=[s.group()]), 1)
    await s.call("a", DeleteGroupsRequest(groups_names=[s.group()]), 2)
    await s.call("a", beat(s, "a", -1), 0)
    await describe(s)
    await s.call("a", ListGroupsRequest(states_filter=["empty"]), 5)
    await s.call("a", beat(s, "a", -1), 0)
    await s.call("a", DeleteGroupsRequest(groups_names=[s.group()]), 2)
    await describe(s)
    await describe(s, "", s.group("none"))
    await s.call("a", beat(s, "a", -1), 0)


@dialogue
async def streams_requests_that_are_none(s: Speaker) -> None:
    offsets = [TaskOffset(subtopology_id="0", partition=0, offset=0)]
    one = {"0": [0]}
    for request in (
        first(s, ""),
        first(s, "  "),
        first(s, "a", group_id=""),
        first(s, "a", instance_id="i"),
        first(s, "a", rack_id=""),
        first(s, "a", rebalance_timeout_ms=-1),
        first(s, "a", active_tasks=None),
        first(s, "a", active_tasks=rows(one)),
        first(s, "a", standby_tasks=rows(one)),
        first(s, "a", warmup_tasks=rows(one)),
        first(s, "a", warmup_tasks=None),
        first(s, "a", task_offsets=offsets),
        first(s, "a", task_end_offsets=offsets),
        first(s, "a", topology(sub(source_topic_regex=["t.*"]))),
        first(s, "a", topology(sub(state_changelog_topics=[TopicInfo(name="c", partitions=3)]))),
        first(s, "a", topology(sub(sources=("__consumer_offsets", "t", "__share_group_state")))),
        first(s, "a", topology(sub(sources=("no/t", "a b")))),
        first(s, "a", topology(epoch=-1)),
        first(s, "a", topology(sub(), sub())),
        first(s, "a", client_tags=[KeyValue(key="k", value="1"), KeyValue(key="k", value="2")]),
        beat(s, "a", 0, {}, rebalance_timeout_ms=1, process_id="p"),
        beat(s, "a", 1, active_tasks=[]),
        beat(s, "a", 1, {}, topology=topology()),
        beat(s, "a", -1, topology=topology()),
        beat(s, "a", -2),
        beat(s, "a", -2, instance_id="i"),
        beat(s, "a", -3),
        beat(s, "a", 1),
        beat(s, "a", -1),
    ):
        await s.call("a", request, 0)
    await describe(s)


@dialogue
async def streams_epochs(s: Speaker) -> None:
    await s.call("a", first(s, "a"), 0)
    for request in (
        beat(s, "x", 2),
        beat(s, "a", 3),
        beat(s, "a", 1),
        beat(s, "a", 1, {"0": [0]}),
        beat(s, "x", -1),
        beat(s, "a", 2, {"9": [0]}),
        beat(s, "a", 2, {"0": [2]}),
        beat(s, "a", 2, {"0": [-1]}),
        beat(s, "a", 2, {"0": [0, 1]}, {"0": [7]}),
        first(s, "a"),
    ):
        await s.call("a", request, 0)
    await s.call("a", beat(s, "a", 2, {"0": [0, 1]}, process_id="p2"), 0)
    await s.call("a", beat(s, "a", 2, {"0": [0, 1]}), 0)
    await s.call("a", beat(s, "a", 2, {"0": [0, 1], "1": [0]}), 0)
    await s.call("a", beat(s, "a", 1, {"0": [0, 1]}), 0)
    await describe(s)


@dialogue
async def streams_tasks_move(s: Speaker) -> None:
    await pair(s)
    await describe(s)
    await s.call("c", first(s, "c"), 0)
    await s.call("a", beat(s, "a", 3, {"0": [0]}), 0)
    await s.call("b", beat(s, "b", 3, {"0": [1]}), 0)
    await describe(s)
    await s.call("b", beat(s, "b", -1), 0)
    await describe(s)
    await s.call("c", beat(s, "c", 4, {}), 0)
    await s.call("a", beat(s, "a", 4, {"0": [0]}), 0)
    await s.call("c", beat(s, "c", 5), 0)
    await describe(s)


@dialogue
async def streams_threads_of_a_process(s: Speaker) -> None:
    told = stateful()
    await s.call("a", first(s, "a1", told, process_id="a"), 0)
    await s.call("a", first(s, "a2", told, process_id="a"), 0)
    await s.call("b", first(s, "b1", told, process_id="b"), 0)
    await s.call("a", beat(s, "a1", 2, {"0": [0, 1], "1": [0]}), 0)
    await s.call("a", beat(s, "a1", 2, {"0": [0]}), 0)
    await s.call("a", beat(s, "a2", 3, {}), 0)
    await s.call("b", beat(s, "b1", 4, {}), 0)
    await s.call("a", beat(s, "a2", 4, {}), 0)
    await describe(s)
    await s.call("d", first(s, "d", told, process_id="d"), 0)


@dialogue
async def streams_topologies_that_do_not_fit(s: Speaker) -> None:
    joined = [CopartitionGroup(source_topics=[0, 1])]
    into_u: dict[str, Any] = {"repartition_sink_topics": ["u"]}
    unknown = s.group("topic")
    for number, told in enumerate(
        (
            topology(sub(sources=("t", "nosuch1", "nosuch0", "nosuch3", "nosuch2"))),
            topology(sub(sources=("t", "u"), copartition_groups=joined)),
            topology(sub(state_changelog_topics=[TopicInfo(name="u")])),
            topology(sub(**into_u), sub("1", (), repartition_source_topics=[TopicInfo(name="u")])),
            topology(sub(**into_u), sub("1", (), repartition_source_topics=[TopicInfo(name="u", partitions=1)])),
            topology(sub(), sub("1", (), repartition_source_topics=[TopicInfo(name="u")])),
            topology(
                sub("0", (), repartition_sink_topics=["u"], repartition_source_topics=[TopicInfo(name="u")]),
            ),
            topology(sub(sources=())),
            topology(
                sub(
                    sources=("t",),
                    repartition_source_topics=[TopicInfo(name=unknown, partitions=3)],
                    copartition_groups=[CopartitionGroup(source_topics=[0], repartition_source_topics=[0])],
                )
            ),
            topology(sub(copartition_groups=[CopartitionGroup(source_topics=[4])])),
            topology(
                sub(
                    sources=(),
                    repartition_source_topics=[
                        TopicInfo(name=f"{unknown}-a", partitions=3),
                        TopicInfo(name=f"{unknown}-b", partitions=2),
                    ],
                    copartition_groups=[CopartitionGroup(repartition_source_topics=[0, 1])],
                )
            ),
            topology(sub(sources=(), repartition_source_topics=[TopicInfo(name=unknown, partitions=-2)])),
        )
    ):
        group = s.group(f"g{number}")
        answer = await s.call("a", first(s, "a", told, group_id=group), 0)
        await s.call("a", beat(s, "a", answer.member_epoch, {}, group_id=group), 0)
        await describe(s, group)
        if not answer.error_code:
            await s.call("a", ListGroupsRequest(states_filter=["not_ready"]), 5)
            await s.call("a", ListGroupsRequest(states_filter=["NotReady"]), 5)
            await s.call("a", beat(s, "a", -1, group_id=group), 0)


@dialogue
async def streams_internal_topics_are_missing(s: Speaker) -> None:
    wanted = TopicInfo(name=s.group("changelog"), topic_configs=[KeyValue(key="cleanup.policy", value="compact")])
    await s.call("a", first(s, "a", topology(sub(state_changelog_topics=[wanted]))), 0)
    await describe(s)


@dialogue
async def streams_other_topologies(s: Speaker) -> None:
    await s.call("a", first(s, "a", topology(epoch=3)), 0)
    await s.call("b", first(s, "b", topology(sub(sources=("u",)), epoch=2)), 0)
    await s.call("b", first(s, "b", topology(sub(sources=("u",)), epoch=3)), 0)
    await s.call("b", first(s, "b", topology(epoch=4)), 0)
    await s.call("b", first(s, "b", topology(epoch=3)), 0)
    await describe(s)


@dialogue
async def streams_shutdown(s: Speaker) -> None:
    await pair(s)
    await s.call("a", beat(s, "a", 3, {"0": [0]}, shutdown_application=True), 0)
    await s.call("b", beat(s, "b", 3, {"0": [1]}), 0)
    await s.call("b", beat(s, "b", -1, shutdown_application=True), 0)
    await s.call("a", beat(s, "a", 3, {"0": [0]}), 0)
    await s.call("a", beat(s, "a", -1), 0)
    await s.call("a", first(s, "a"), 0)
    await s.call("a", beat(s, "a", 7), 0)


@dialogue
async def streams_endpoints(s: Speaker) -> None:
    here, there = Endpoint(host="a.example", port=80), Endpoint(host="b.example", port=81)
    told = stateful()
    await s.call("a", first(s, "a", told, user_endpoint=here), 0)
    await s.call("a", beat(s, "a", 2, {"0": [0, 1], "1": [0]}), 0)
    await s.call("b", first(s, "b", told, user_endpoint=there), 0)
    await s.call("a", beat(s, "a", 2, {"0": [0], "1": [0]}, endpoint_information_epoch=1), 0)
    await s.call("b", beat(s, "b", 3, {}, endpoint_information_epoch=2), 0)
    await s.call("b", beat(s, "b", 3, {"0": [1]}, endpoint_information_epoch=3), 0)
    await describe(s)
    missing = first(s, "a", topology(sub(sources=("nosuch",))), group_id=s.group("m"), user_endpoint=here)
    await s.call("a", missing, 0)


@dialogue
async def streams_a_full_group(s: Speaker) -> None:
    for name in ("a", "b", "c", "d", "a"):
        await s.call(name, first(s, name), 0)


@dialogue
async def streams_offsets(s: Speaker) -> None:
    await s.call("a", commit(s, {"t": [(0, 1)]}, generation_id_or_member_epoch=-1), 9)
    await pair(s)
    member = {"member_id": "a"}
    for epoch, version in ((3, 9), (3, 8), (4, 9), (2, 9), (1, 9), (-1, 9)):
        fields: dict[str, Any] = {**member, "generation_id_or_member_epoch": epoch}
        await s.call("a", commit(s, {"t": [(0, 10 + epoch)]}, **fields), version)
        await s.call("a", commit(s, {"t": [(1, 20 + epoch)]}, **fields), version)
        await s.call("a", commit(s, {"u": [(0, 30 + epoch)]}, **fields), version)
    await s.call("a", commit(s, {"t": [(0, 1)]}, member_id="x", generation_id_or_member_epoch=3), 9)
    await s.call("a", commit(s, {"t": [(0, 1)]}, generation_id_or_member_epoch=-1), 9)
    await s.call("a", fetch(s, 9, {"t": [0, 1], "u": [0]}), 9)
    for member_id, epoch in (("a", 3), ("a", 2), ("x", 3), (None, -1)):
        topics = [OffsetFetchRequestTopics(name="t", topic_id=s.topic_id("t"), partition_indexes=[0])]
        group = OffsetFetchRequestGroup(group_id=s.group(), member_id=member_id, member_epoch=epoch, topics=topics)
        for stable in (False, True):
            await s.call("a", OffsetFetchRequest(groups=[group], require_stable=stable), 9)
    await s.call("a", delete_offsets(s, {"t": [0], "u": [0]}), 0)
    await s.call("a", beat(s, "a", -1), 0)
    await s.call("b", beat(s, "b", -1), 0)
    await s.call("a", commit(s, {"t": [(0, 99)]}, generation_id_or_member_epoch=-1), 9)
    await s.call("a", delete_offsets(s, {"t": [1]}), 0)
    await s.call("a", fetch(s, 9, None), 9)


@dialogue
async def streams_and_other_protocols(s: Speaker) -> None:
    await s.call("a", first(s, "a"), 0)
    await s.call("a", join(s), 9)
    await s.call("a", joins_as_consumer(s, "k"), 1)
    await s.call("a", HeartbeatRequest(group_id=s.group(), generation_id=2, member_id="a"), 4)
    await s.call("a", beat(s, "a", -1), 0)
    await s.call("a", joins_as_consumer(s, "k"), 1)
    joined = await s.call("a", join(s), 9)
    await s.call("a", ListGroupsRequest(), 5)
    joined = await s.call("a", join(s, joined.member_id), 9)
    await s.call("a", first(s, "a"), 0)
    await s.call("a", beat(s, "a", 2), 0)
    await s.call("a", beat(s, "a", -1), 0)
    await s.call("a", commit(s, {"t": [(0, 5)]}, group_id=s.group("simple"), generation_id_or_member_epoch=-1), 9)
    await s.call("a", first(s, "a", group_id=s.group("simple")), 0)
    await s.call("a", fetch(s, 9, {"t": [0]}, s.group("simple")), 9)
    await s.call("a", joins_as_consumer(s, "k", group_id=s.group("consumers")), 1)
    await s.call("a", first(s, "a", group_id=s.group("consumers")), 0)
    await s.call("a", beat(s, "k", -1, group_id=s.group("consumers")), 0)
