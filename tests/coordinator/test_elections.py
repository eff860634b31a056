"""Which elections a coordinator hears of."""

from collections.abc import Iterable
from typing import Any

from pykbroker.coordinator.elections import Elections
from pykbroker.ids import DIRECTORY_UNASSIGNED, Uuid
from pykbroker.metadata.delta import MetadataDelta, full_delta
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.message import Message
from pykbroker.protocol.persisted.metadata.partition_change_record import PartitionChangeRecord
from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord
from pykbroker.protocol.persisted.metadata.remove_topic_record import RemoveTopicRecord
from pykbroker.protocol.persisted.metadata.topic_record import TopicRecord

OURS, OTHER = Uuid(b"the topic we ask"), Uuid(b"some other topic")


class Heard:
    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def on_elected(self, partition: int, leader_epoch: int) -> None:
        self.events.append(("elected", partition, leader_epoch))

    def on_resigned(self, partition: int, leader_epoch: int | None) -> None:
        self.events.append(("resigned", partition, leader_epoch))

    def on_topics_deleted(self, topics: Iterable[tuple[str, Uuid]]) -> None:
        self.events.append(("deleted", *topics))


class Play:
    """Node 1 follows what records say."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.elections = Elections("ours", self.heard, 1)
        self.image = MetadataImage.empty("cluster")

    def __call__(self, *records: Message) -> list[tuple[Any, ...]]:
        delta = MetadataDelta(self.image)
        for record in records:
            delta.replay(record)
        self.image = delta.apply(self.image.offset + len(records), 1)
        self.heard.events.clear()
        self.elections.on_metadata_update(delta, self.image)
        return list(self.heard.events)


def partition(topic_id: Uuid, index: int, leader: int, replicas: tuple[int, ...] = (1, 2)) -> PartitionRecord:
    return PartitionRecord(
        partition_id=index,
        topic_id=topic_id,
        replicas=list(replicas),
        isr=list(replicas),
        leader=leader,
        leader_epoch=0,
        directories=[DIRECTORY_UNASSIGNED] * len(replicas),
    )


def test_elected_and_resigned_by_leader_epoch() -> None:
    play = Play()
    created = play(
        TopicRecord(name="ours", topic_id=OURS),
        partition(OURS, 0, 1),
        partition(OURS, 1, 2),
        partition(OURS, 2, 3, replicas=(3,)),
        TopicRecord(name="other", topic_id=OTHER),
        partition(OTHER, 0, 1),
    )
    assert sorted(created) == [("elected", 0, 0), ("resigned", 1, 0)]
    assert play(PartitionChangeRecord(partition_id=1, topic_id=OURS, leader=1)) == [("elected", 1, 1)]
    assert play(PartitionChangeRecord(partition_id=0, topic_id=OURS, leader=-1)) == [("resigned", 0, 1)]


def test_a_change_without_election_is_no_event() -> None:
    play = Play()
    play(TopicRecord(name="ours", topic_id=OURS), partition(OURS, 0, 1))
    assert play(PartitionChangeRecord(partition_id=0, topic_id=OURS, isr=[1])) == []


def test_a_replica_that_moves_away_is_gone() -> None:
    play = Play()
    play(TopicRecord(name="ours", topic_id=OURS), partition(OURS, 0, 1))
    moved = PartitionChangeRecord(
        partition_id=0, topic_id=OURS, replicas=[2], isr=[2], leader=2, directories=[DIRECTORY_UNASSIGNED]
    )
    assert play(moved) == [("resigned", 0, None)]


def test_deleted_topics_are_told_of_and_the_own_one_resigned() -> None:
    play = Play()
    play(TopicRecord(name="ours", topic_id=OURS), partition(OURS, 0, 1), TopicRecord(name="other", topic_id=OTHER))
    assert play(RemoveTopicRecord(topic_id=OTHER)) == [("deleted", ("other", OTHER))]
    assert play(RemoveTopicRecord(topic_id=OURS)) == [("deleted", ("ours", OURS)), ("resigned", 0, None)]


def test_the_first_image_elects_what_is_led() -> None:
    play = Play()
    play(TopicRecord(name="ours", topic_id=OURS), partition(OURS, 0, 1), partition(OURS, 1, 2))
    heard = Heard()
    Elections("ours", heard, 1).on_metadata_update(full_delta(play.image), play.image)
    assert sorted(heard.events) == [("elected", 0, 0), ("resigned", 1, 0)]
