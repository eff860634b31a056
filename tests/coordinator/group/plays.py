"""Plays of classic groups: a shard on a log in memory, members by name, everything they can say, what they hear."""

from collections.abc import Callable
from itertools import count
from math import inf
from typing import Any

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.coordinator.context import CoordinatorContext, Settings
from pykbroker.coordinator.group.classic_group import ClassicGroup
from pykbroker.coordinator.group.group_shard import GroupShard
from pykbroker.coordinator.shard import Outcome
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition, Uuid
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from pykbroker.protocol.messages.leave_group import LeaveGroupRequest, MemberIdentity
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from pykbroker.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from pykbroker.protocol.messages.offset_fetch import OffsetFetchRequestGroup, OffsetFetchRequestTopics
from pykbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from pykbroker.request import RequestContext
from tests.coordinator.group.replayed import persistent_state, replayed
from tests.coordinator.memory_log import MemoryLog
from tests.playbook import Playbook

GROUP = "g"
TP = TopicPartition("__consumer_offsets", 0)
TOPIC_ID = Uuid(15 * b"\7" + b"\1")
SETTINGS = Settings("group", 0, 5.0, 1 << 20)


class Inbox:
    """The reply of one request: a Pending without tasks."""

    def __init__(self, play: "GroupPlay", actor: str) -> None:
        self.play = play
        self.actor = actor
        self.done = False

    def try_complete(self, value: object) -> bool:
        if self.done:
            return False
        self.done = True
        member_id = getattr(value, "member_id", "")
        if member_id:
            self.play.ids[self.actor] = member_id
        generation = getattr(value, "generation_id", -1)
        if generation >= 0:
            self.play.generations[self.actor] = generation
        self.play.receive(self.actor, value)
        return True


class Commit:
    """The waiter of one operation."""

    def __init__(self) -> None:
        self.done: Callable[[BaseException | None], None] | None = None
        self.result: BaseException | bool | None = False

    def try_complete(self, value: None) -> bool:
        return self._finish(None)

    def try_fail(self, error: BaseException) -> bool:
        return self._finish(error)

    def _finish(self, result: BaseException | None) -> bool:
        if self.done is not None:
            self.done(result)
        return True


class Failure:
    """An operation that raised."""

    def __init__(self, error_code: int) -> None:
        self.error_code = error_code

    def __repr__(self) -> str:
        return f"Failure({self.error_code!r})"


class GroupPlay(Playbook):
    """After every event, what the shard holds equals what replaying the log gives."""

    def __init__(self, **overrides: Any) -> None:
        super().__init__()
        self.config = BrokerConfig()
        for name, value in {"group_initial_rebalance_delay_ms": 3000, **overrides}.items():
            setattr(self.config, name, value)
        self.log = MemoryLog()
        self.image = MetadataImage.empty()
        self.ids: dict[str, str] = {}
        self.generations: dict[str, int] = {}
        self.numbers = count(1)
        self.epoch = 1
        # As in Kafka, a group is empty even if that could not be written; after a reload its members are back.
        self.forgives_unwritten_empty = False
        self.context = self._open()

    def _open(self, steps: float = inf) -> CoordinatorContext[GroupShard]:
        context = CoordinatorContext(TP, self.epoch, self.new_shard, self.log, self.clock, SETTINGS, Commit)
        while steps > 0 and context.load_step():
            steps -= 1
        return context

    def new_shard(self) -> GroupShard:
        return GroupShard(self.config, self.clock, lambda: str(next(self.numbers)), lambda: self.image)

    @property
    def shard(self) -> GroupShard:
        return self.context.shard

    @property
    def group(self) -> Any:
        return self.shard.groups.get(GROUP)

    def run(self, actor: str, operation: Callable[[GroupShard], Outcome[Any]], wait: bool = True) -> None:
        """`wait`: the operation's response, or its error, is the actor's answer."""

        def finish(error: BaseException | None) -> None:
            if isinstance(error, KafkaError):
                self.receive(actor, Failure(error.code))
            elif wait and outcome.response is not None:
                self.receive(actor, outcome.response)

        try:
            outcome = operation(self.context.require_active())
            waiter = self.context.apply(outcome)
        except KafkaError as error:
            self.receive(actor, Failure(error.code))
            return
        if waiter is None:
            finish(None)
        else:
            waiter.done = finish  # type: ignore[attr-defined]

    def __lshift__(self, event: Callable[[Any], object]) -> "GroupPlay":
        event(self)
        self.check_log()
        return self

    def check_log(self) -> None:
        """Memory is what the log says (scenario 24)."""
        if self.context.state == "active":
            again = replayed(self.log, TP, self.new_shard)
            unwritten = {
                group.group_id
                for group in self.shard.groups
                if self.forgives_unwritten_empty and group.state == "Empty" and isinstance(group, ClassicGroup)
            }
            mine, logged = persistent_state(self.shard, self.shard), persistent_state(again, self.shard)
            for group_id in unwritten:
                mine["groups"].pop(group_id, None), logged["groups"].pop(group_id, None)
            assert mine == logged

    def pass_time(self, seconds: float) -> None:
        end = self.clock.monotonic() + seconds
        while (deadline := self.context.next_deadline()) <= end:
            self.clock.advance(max(deadline - self.clock.monotonic(), 0))
            self.context.on_deadline()
        self.clock.advance(end - self.clock.monotonic())
        assert end < inf

    def reload(self, steps: float = inf) -> None:
        """The partition moves away and comes back; it is loaded, but for what does not come in so many steps."""
        self.context.close()
        self.epoch += 1
        self.context = self._open(steps)


# -- events


def join(
    name: str,
    *,
    version: int = 9,
    member_id: str | None = None,
    instance: str | None = None,
    protocols: dict[str, bytes] | None = None,
    protocol_type: str = "consumer",
    session: int = 10_000,
    rebalance: int = 60_000,
    group: str = GROUP,
    client: str | None = None,
) -> Callable[[GroupPlay], None]:
    """With the member id that the actor was told last."""

    def event(play: GroupPlay) -> None:
        request = JoinGroupRequest(
            group_id=group,
            session_timeout_ms=session,
            rebalance_timeout_ms=rebalance,
            member_id=play.ids.get(name, "") if member_id is None else member_id,
            group_instance_id=instance,
            protocol_type=protocol_type,
            protocols=[
                JoinGroupRequestProtocol(name=key, metadata=value)
                for key, value in (protocols if protocols is not None else {"range": b""}).items()
            ],
        )
        ctx = RequestContext(11, version, client_id=client or name, client_host="10.0.0.1")
        inbox = Inbox(play, name)
        play.run(name, lambda shard: shard.classic.join(ctx, request, inbox), wait=False)

    return event


def sync(
    name: str, assignments: dict[str, bytes] | None = None, *, generation: int | None = None, **fields: Any
) -> Callable[[GroupPlay], None]:
    """`assignments` by actor."""

    def event(play: GroupPlay) -> None:
        values: dict[str, Any] = {
            "group_id": GROUP,
            "generation_id": play.generations.get(name, -1) if generation is None else generation,
            "member_id": play.ids.get(name, ""),
            "assignments": [
                SyncGroupRequestAssignment(member_id=play.ids[actor], assignment=value)
                for actor, value in (assignments or {}).items()
            ],
        }
        request = SyncGroupRequest(**(values | fields))
        inbox = Inbox(play, name)
        play.run(name, lambda shard: shard.classic.sync(request, inbox), wait=False)

    return event


def heartbeat(name: str, *, generation: int | None = None, **fields: Any) -> Callable[[GroupPlay], None]:
    def event(play: GroupPlay) -> None:
        values: dict[str, Any] = {
            "group_id": GROUP,
            "generation_id": play.generations.get(name, -1) if generation is None else generation,
            "member_id": play.ids.get(name, ""),
        }
        request = HeartbeatRequest(**(values | fields))
        play.run(name, lambda shard: shard.classic.heartbeat(request))

    return event


def leave(name: str, *identities: MemberIdentity, group: str = GROUP) -> Callable[[GroupPlay], None]:
    def event(play: GroupPlay) -> None:
        members = list(identities) or [MemberIdentity(member_id=play.ids.get(name, ""))]
        request = LeaveGroupRequest(group_id=group, members=members)
        play.run(name, lambda shard: shard.classic.leave(request))

    return event


def commit(
    name: str,
    offset: int,
    *,
    topic: str = "t",
    partition: int = 0,
    metadata: str | None = "",
    member: bool = True,
    version: int = 9,
    topic_id: Uuid = TOPIC_ID,
    **fields: Any,
) -> Callable[[GroupPlay], None]:
    """`member` false: as somebody who is no member."""

    def event(play: GroupPlay) -> None:
        row = OffsetCommitRequestPartition(
            partition_index=partition, committed_offset=offset, committed_leader_epoch=3, committed_metadata=metadata
        )
        values: dict[str, Any] = {
            "group_id": GROUP,
            "topics": [OffsetCommitRequestTopic(name=topic, topic_id=topic_id, partitions=[row])],
        }
        if member:
            values["member_id"] = play.ids.get(name, "")
            values["generation_id_or_member_epoch"] = play.generations.get(name, -1)
        request = OffsetCommitRequest(**(values | fields))
        play.run(name, lambda shard: shard.commit_offsets(version, request))

    return event


def delete_offsets(name: str, topic: str = "t", partition: int = 0) -> Callable[[GroupPlay], None]:
    def event(play: GroupPlay) -> None:
        row = OffsetDeleteRequestTopic(name=topic, partitions=[OffsetDeleteRequestPartition(partition_index=partition)])
        request = OffsetDeleteRequest(group_id=GROUP, topics=[row])
        play.run(name, lambda shard: shard.delete_offsets(request))

    return event


def delete_groups(name: str, *group_ids: str) -> Callable[[GroupPlay], None]:
    return lambda play: play.run(name, lambda shard: shard.delete_groups(group_ids or (GROUP,)))


def reload(play: GroupPlay) -> None:
    play.reload()


# -- effects


def committed(offset: int | None, *, topic: str = "t", partition: int = 0) -> Callable[[GroupPlay], None]:
    """What OffsetFetch tells of the group; None: nothing."""

    def effect(play: GroupPlay) -> None:
        row = fetched(play, topic=topic, partition=partition)
        assert row.committed_offset == (-1 if offset is None else offset)
        assert row.error_code == 0

    return effect


def fetched(
    play: GroupPlay,
    *,
    topic: str = "t",
    partition: int = 0,
    require_stable: bool = False,
    topic_id: Uuid = TOPIC_ID,
    group: str = GROUP,
) -> Any:
    request = OffsetFetchRequestGroup(
        group_id=group, topics=[OffsetFetchRequestTopics(name=topic, topic_id=topic_id, partition_indexes=[partition])]
    )
    return play.shard.fetch_offsets(request, require_stable=require_stable).topics[0].partitions[0]


def commit_answered(name: str, error_code: int = 0) -> Callable[[GroupPlay], None]:
    def effect(play: GroupPlay) -> None:
        answer = play.take(name)
        if isinstance(answer, Failure):
            assert answer.error_code == error_code
        else:
            assert isinstance(answer, OffsetCommitResponse)
            assert [row.error_code for topic in answer.topics for row in topic.partitions] == [error_code]

    return effect


def in_state(state: str) -> Callable[[GroupPlay], None]:
    def effect(play: GroupPlay) -> None:
        assert play.group is not None, "no such group"
        assert play.group.state == state

    return effect


def members(*names: str) -> Callable[[GroupPlay], None]:
    def effect(play: GroupPlay) -> None:
        assert set(play.group.members) == {play.ids[name] for name in names}

    return effect


def alive(name: str, error_code: int = 0) -> Callable[[GroupPlay], None]:
    """A heartbeat is answered so."""

    def effect(play: GroupPlay) -> None:
        play << heartbeat(name)
        answer = play.take(name)
        assert isinstance(answer, (HeartbeatResponse, Failure))
        assert answer.error_code == error_code, answer

    return effect


# -- scenes


def registered(play: GroupPlay, *names: str, **options: Any) -> None:
    """Each of them has its member id (KIP-394)."""
    for name in names:
        play << join(name, **options)
        play.take(name)


def stable(*names: str, **options: Any) -> Callable[[GroupPlay], None]:
    """A stable group of dynamic members, the first one its leader, each assigned its own name."""

    def scene(play: GroupPlay) -> None:
        registered(play, *names, **options)
        for name in names:
            play << join(name, **options)
        play.pass_time(3)
        if not play.unread():
            play.pass_time(3)
        for name in names:
            assert isinstance(answer := play.take(name), JoinGroupResponse), answer
        leader = next(name for name in names if play.ids[name] == play.group.leader_id)
        for name in names:
            if name != leader:
                play << sync(name)
        play << sync(leader, {name: name.encode() for name in names})
        for name in names:
            assert play.take(name).assignment == name.encode()

    return scene
