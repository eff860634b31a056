"""What members of share groups say in plays, and a persister that initializes what it is asked for when told."""

from collections.abc import Callable
from typing import Any

from pykbroker.coordinator.group.share_group import ShareGroup
from pykbroker.coordinator.shard import Outcome
from pykbroker.ids import Uuid
from pykbroker.protocol.messages.share_group_heartbeat import ShareGroupHeartbeatRequest
from pykbroker.request import RequestContext
from tests.coordinator.group.consumer_plays import topic_id, topics_image
from tests.coordinator.group.plays import GROUP, Failure, GroupPlay

Partitions = dict[Uuid, frozenset[int]]


class SharePlay(GroupPlay):
    """Of one share group. Target assignments are not delayed unless a play asks for it.

    `asked`: what the persister was asked to initialize; nothing comes of it before `initializes` or `fails`.
    """

    def __init__(self, topics: dict[str, int] | None = None, **overrides: Any) -> None:
        super().__init__(**{"group_share_assignment_interval_ms": 0, **overrides})
        self.asked: list[Any] = []
        self.set_topics({"t": 4} if topics is None else topics)

    def set_topics(self, counts: dict[str, int], ids: dict[str, Uuid] | None = None) -> None:
        self.image = topics_image(counts, self.image.offset + 1, ids)

    def receive(self, actor: str, value: Any) -> None:
        """The persister hears of it once the heartbeat is committed, whatever becomes of the answer."""
        request = getattr(value, "initialize", None)
        if request is not None:
            self.asked.append(request)
        super().receive(actor, value)

    @property
    def shares(self) -> ShareGroup:
        group = self.group
        assert isinstance(group, ShareGroup), group
        return group

    def initialized(self) -> dict[str, list[int]]:
        states = self.shares.states
        return {} if states is None else {row.name: sorted(row.partitions) for row in states.initialized.values()}


def beat(name: str, epoch: int, *topics: str, host: str = "10.0.0.1", **fields: Any) -> Callable[[GroupPlay], None]:
    """A heartbeat of the member of that name; topics are left out when there are none."""

    def event(play: GroupPlay) -> None:
        values: dict[str, Any] = {
            "group_id": GROUP,
            "member_id": name,
            "member_epoch": epoch,
            "subscribed_topic_names": list(topics) or None,
        }
        request = ShareGroupHeartbeatRequest(**(values | fields))
        ctx = RequestContext(76, 1, client_id=name, client_host=host)
        play.run(name, lambda shard: shard.shares.heartbeat(ctx, request))

    return event


def joins(name: str, *topics: str, **fields: Any) -> Callable[[GroupPlay], None]:
    return beat(name, 0, *(topics or ("t",)), **fields)


def hears(name: str, epoch: int, assigned: dict[str, list[int]] | None = None) -> Callable[[GroupPlay], None]:
    """The answer: the member's epoch, and its assignment if it is told."""

    def effect(play: GroupPlay) -> None:
        answer = play.take(name)
        assert not isinstance(answer, Failure), answer
        told = None
        if answer.response.assignment is not None:
            rows = answer.response.assignment.topic_partitions
            told = {row.topic_id.lstrip(b"\1").decode(): row.partitions for row in rows}
        assert (answer.response.member_epoch, told) == (epoch, assigned)

    return effect


def initializes(play: GroupPlay) -> None:
    """The persister does what it was asked for."""
    _settle(play, lambda shard, group, partitions: shard.shares.initialization.complete(group, partitions))


def fails(play: GroupPlay) -> None:
    """The persister can't."""
    _settle(play, lambda shard, group, partitions: shard.shares.initialization.give_up(group, partitions))


def _settle(play: GroupPlay, note: Callable[[Any, str, Partitions], Outcome[None]]) -> None:
    assert isinstance(play, SharePlay)
    asked, play.asked = play.asked, []
    for request in asked:
        partitions = {row.topic_id: frozenset(p.partition for p in row.partitions) for row in request.topics}
        play.run("persister", lambda shard, r=request, p=partitions: note(shard, r.group_id, p))  # type: ignore[misc]


def asks_for(epoch: int, **topics: list[int]) -> Callable[[GroupPlay], None]:
    """What the persister was asked for since, in one request: partitions by topic."""

    def effect(play: GroupPlay) -> None:
        assert isinstance(play, SharePlay)
        rows = {
            row.topic_id: [(p.partition, p.state_epoch, p.start_offset) for p in row.partitions]
            for request in play.asked
            for row in request.topics
        }
        assert rows == {topic_id(name): [(p, epoch, -1) for p in partitions] for name, partitions in topics.items()}

    return effect
