"""What members of streams groups say in plays, and topologies for them to run."""

from collections.abc import Callable
from typing import Any

from pykbroker.coordinator.group.streams_checks import check_heartbeat
from pykbroker.coordinator.group.streams_configured_topology import Status
from pykbroker.coordinator.group.streams_group import StreamsGroup
from pykbroker.protocol.messages.streams_group_heartbeat import (
    StreamsGroupHeartbeatRequest,
    Subtopology,
    TaskIds,
    TopicInfo,
    Topology,
)
from pykbroker.request import RequestContext
from tests.coordinator.group.consumer_plays import topics_image
from tests.coordinator.group.plays import GROUP, Failure, GroupPlay

Tasks = dict[str, list[int]]
FIELDS = ("active_tasks", "standby_tasks", "warmup_tasks")


def reads_t(epoch: int = 0) -> Topology:
    return Topology(epoch=epoch, subtopologies=[Subtopology(subtopology_id="0", source_topics=["t"])])


def keeps_state() -> Topology:
    """0 reads t and keeps its state in the changelog tc; 1 reads u and keeps none."""
    changelog = TopicInfo(name="tc")
    return Topology(
        subtopologies=[
            Subtopology(subtopology_id="0", source_topics=["t"], state_changelog_topics=[changelog]),
            Subtopology(subtopology_id="1", source_topics=["u"]),
        ]
    )


class StreamsPlay(GroupPlay):
    """Of one streams group. Target assignments are not delayed unless a play asks for it."""

    def __init__(self, topics: dict[str, int] | None = None, **overrides: Any) -> None:
        quick = {"group_streams_assignment_interval_ms": 0, "group_streams_initial_rebalance_delay_ms": 0}
        super().__init__(**{**quick, **overrides})
        self.forgives_unwritten_empty = True
        self.set_topics({"t": 4} if topics is None else topics)

    def set_topics(self, counts: dict[str, int]) -> None:
        self.image = topics_image(counts, self.image.offset + 1)

    @property
    def streams(self) -> StreamsGroup:
        group = self.group
        assert isinstance(group, StreamsGroup), group
        return group


def beat(
    name: str, epoch: int, active: Tasks | None = None, standby: Tasks | None = None, **fields: Any
) -> Callable[[GroupPlay], None]:
    """A heartbeat of the member of that name; tasks are left out when no active ones are given."""

    def event(play: GroupPlay) -> None:
        values: dict[str, Any] = {"group_id": GROUP, "member_id": name, "member_epoch": epoch}
        if active is not None:
            for field, tasks in zip(FIELDS, (active, standby or {}, {}), strict=True):
                values[field] = [TaskIds(subtopology_id=key, partitions=list(rows)) for key, rows in tasks.items()]
        request = StreamsGroupHeartbeatRequest(**(values | fields))
        check_heartbeat(request)
        ctx = RequestContext(88, 0, client_id=name, client_host="10.0.0.1")
        play.run(name, lambda shard: shard.streams.heartbeat(ctx, request))

    return event


def joins(name: str, told: Topology | None = None, **fields: Any) -> Callable[[GroupPlay], None]:
    """Each member its own process unless told otherwise."""
    values: dict[str, Any] = {"rebalance_timeout_ms": 60_000, "topology": told or reads_t(), "process_id": f"p-{name}"}
    return beat(name, 0, {}, **(values | fields))


def hears(
    name: str, epoch: int, active: Tasks | None = None, standby: Tasks | None = None, *statuses: Status
) -> Callable[[GroupPlay], None]:
    """The answer: the member's epoch, its tasks if they are told, and what is the matter."""

    def effect(play: GroupPlay) -> None:
        answer = play.take(name)
        assert not isinstance(answer, Failure), answer
        response = answer.response
        told = [told_tasks(getattr(response, field)) for field in FIELDS]
        nothing = None if active is None else {}
        expected = (epoch, [active, nothing if standby is None else standby, nothing], list(statuses))
        assert (response.member_epoch, told, [row.status_code for row in response.status]) == expected

    return effect


def told_tasks(rows: list[TaskIds] | None) -> Tasks | None:
    return None if rows is None else {row.subtopology_id: row.partitions for row in rows}


def refused(name: str, code: int) -> Callable[[GroupPlay], None]:
    def effect(play: GroupPlay) -> None:
        answer = play.take(name)
        assert isinstance(answer, Failure), answer
        assert answer.error_code == code

    return effect
