"""What members of consumer groups say in plays, and topics for them to subscribe to."""

from collections.abc import Callable
from typing import Any

from pykbroker.coordinator.group.consumer_group import ConsumerGroup
from pykbroker.ids import ZERO_UUID, Uuid
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.topics import PartitionImage, TopicImage, TopicsImage
from pykbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, TopicPartitions
from pykbroker.request import RequestContext
from tests.coordinator.group.plays import GROUP, Failure, GroupPlay

PARTITION = PartitionImage((1,), (ZERO_UUID,), (1,), (), (), 1, 0, 0, 0)


def topic_id(name: str) -> Uuid:
    return Uuid(name.encode().rjust(16, b"\1"))


def topics_image(counts: dict[str, int], offset: int = 0, ids: dict[str, Uuid] | None = None) -> MetadataImage:
    """Topics by name, with so many partitions each."""
    ids = ids or {name: topic_id(name) for name in counts}
    topics = [TopicImage(name, ids[name], dict.fromkeys(range(n), PARTITION)) for name, n in counts.items()]
    by_id, by_name = {topic.id: topic for topic in topics}, {topic.name: topic for topic in topics}
    return MetadataImage.empty()._replace(topics=TopicsImage(by_id, by_name), offset=offset)


class ConsumerPlay(GroupPlay):
    """Of one consumer group. Target assignments are not delayed unless a play asks for it."""

    def __init__(self, topics: dict[str, int] | None = None, **overrides: Any) -> None:
        super().__init__(**{"group_consumer_assignment_interval_ms": 0, **overrides})
        self.forgives_unwritten_empty = True
        self.set_topics({"t": 4} if topics is None else topics)

    def set_topics(self, counts: dict[str, int]) -> None:
        self.image = topics_image(counts, self.image.offset + 1)

    @property
    def consumers(self) -> ConsumerGroup:
        group = self.group
        assert isinstance(group, ConsumerGroup), group
        return group

    def assigned(self, name: str) -> dict[str, list[int]]:
        """What a member has, by topic."""
        owned = self.consumers.members[name].owned
        return {key.lstrip(b"\1").decode(): sorted(rows) for key, rows in owned.items()}


def beat(
    name: str,
    epoch: int,
    owned: dict[str, list[int]] | None = None,
    *,
    version: int = 1,
    host: str = "10.0.0.1",
    **fields: Any,
) -> Callable[[GroupPlay], None]:
    """A heartbeat of the member of that name; `owned` is left out when it is None."""

    def event(play: GroupPlay) -> None:
        rows = None
        if owned is not None:
            rows = [TopicPartitions(topic_id=topic_id(topic), partitions=list(p)) for topic, p in owned.items()]
        values: dict[str, Any] = {
            "group_id": GROUP,
            "member_id": name,
            "member_epoch": epoch,
            "topic_partitions": rows,
        }
        request = ConsumerGroupHeartbeatRequest(**(values | fields))
        ctx = RequestContext(68, version, client_id=name, client_host=host)
        play.run(name, lambda shard: shard.consumers.heartbeat(ctx, request))

    return event


def joins(name: str, *topics: str, **fields: Any) -> Callable[[GroupPlay], None]:
    values: dict[str, Any] = {"rebalance_timeout_ms": 60_000, "subscribed_topic_names": list(topics or ("t",))}
    return beat(name, 0, {}, **(values | fields))


def hears(name: str, epoch: int, assigned: dict[str, list[int]] | None = None) -> Callable[[GroupPlay], None]:
    """The answer: the member's epoch, and its assignment if it is told."""

    def effect(play: GroupPlay) -> None:
        answer = play.take(name)
        assert not isinstance(answer, Failure), answer
        told = None
        if answer.assignment is not None:
            told = {row.topic_id.lstrip(b"\1").decode(): row.partitions for row in answer.assignment.topic_partitions}
        assert (answer.member_epoch, told) == (epoch, assigned)

    return effect


def refused(name: str, code: int) -> Callable[[GroupPlay], None]:
    def effect(play: GroupPlay) -> None:
        answer = play.take(name)
        assert isinstance(answer, Failure), answer
        assert answer.error_code == code

    return effect
