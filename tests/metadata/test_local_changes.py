import pytest
from hypothesis import given

from pykbroker.ids import TopicIdPartition
from pykbroker.metadata.delta import MetadataDelta, full_delta
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.local_changes import LocalChanges, local_changes
from pykbroker.protocol.persisted.metadata.partition_change_record import PartitionChangeRecord
from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord
from pykbroker.protocol.persisted.metadata.remove_topic_record import RemoveTopicRecord
from pykbroker.protocol.persisted.metadata.topic_record import TopicRecord
from tests.metadata.history import CALM, flat, histories, replay, uuid

EMPTY = MetadataImage.empty("c")
TOPIC = uuid(1)
KEY = TopicIdPartition(TOPIC, "t", 0)


def partition(**fields):
    values = {"replicas": [1, 2], "isr": [1, 2], "leader": 1, "directories": [uuid(1), uuid(2)], **fields}
    return PartitionRecord(topic_id=TOPIC, partition_id=0, **values)


BASE = replay(EMPTY, [TopicRecord(name="t", topic_id=TOPIC), partition()])


def changes(*records, base=BASE, node=1):
    delta = MetadataDelta(base)
    for record in records:
        delta.replay(record)
    image = delta.apply(1, 1)
    found = local_changes(delta, base, image, node)
    return found._replace(leaders=set(found.leaders), followers=set(found.followers))


NONE = LocalChanges(set(), set(), set(), set())


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (1, NONE._replace(leaders={KEY}, elected={KEY})),
        (2, NONE._replace(followers={KEY})),
        (3, NONE),
    ],
)
def test_a_new_partition(node, expected):
    assert changes(TopicRecord(name="t", topic_id=TOPIC), partition(), base=EMPTY, node=node) == expected


def change(**fields):
    return PartitionChangeRecord(topic_id=TOPIC, partition_id=0, **fields)


@pytest.mark.parametrize(
    ("record", "node", "expected"),
    [
        (change(isr=[1]), 1, NONE._replace(leaders={KEY})),
        (change(leader=1), 1, NONE._replace(leaders={KEY}, elected={KEY})),
        (change(leader=2), 1, NONE._replace(followers={KEY})),
        (change(leader=2), 2, NONE._replace(leaders={KEY}, elected={KEY})),
        (change(leader=-1), 1, NONE._replace(followers={KEY})),
        (change(replicas=[2, 3], directories=[uuid(2), uuid(3)]), 1, NONE._replace(deleted={KEY})),
        (change(replicas=[2, 3], directories=[uuid(2), uuid(3)]), 3, NONE._replace(followers={KEY})),
        (change(isr=[1]), 3, NONE),
        (RemoveTopicRecord(topic_id=TOPIC), 2, NONE._replace(deleted={KEY})),
        (RemoveTopicRecord(topic_id=TOPIC), 3, NONE),
    ],
)
def test_a_change(record, node, expected):
    assert changes(record, node=node) == expected


def test_partitions_that_did_not_change_are_not_named():
    other = PartitionRecord(topic_id=TOPIC, partition_id=1, replicas=[1], isr=[1], leader=1, directories=[uuid(1)])
    assert changes(other).leaders == {TopicIdPartition(TOPIC, "t", 1)}


def test_a_topic_made_anew_is_deleted_and_made():
    new = uuid(2)
    found = changes(
        RemoveTopicRecord(topic_id=TOPIC),
        TopicRecord(name="t", topic_id=new),
        PartitionRecord(topic_id=new, partition_id=0, replicas=[1], isr=[1], leader=1, directories=[uuid(1)]),
    )
    assert found.deleted == {KEY}
    assert found.leaders == {TopicIdPartition(new, "t", 0)}


@CALM
@given(histories())
def test_at_the_start_everything_here_is_named_once(batches):
    image = replay(EMPTY, flat(batches))
    delta = full_delta(image)
    found = local_changes(delta, delta.base, image, 1)
    here = {
        TopicIdPartition(topic.id, topic.name, index): partition
        for topic in image.topics
        for index, partition in topic.partitions.items()
        if 1 in partition.replicas
    }
    assert {**found.leaders, **found.followers} == here
    assert found.leaders == {key: partition for key, partition in here.items() if partition.leader == 1}
    assert found.elected == set(found.leaders)
    assert found.deleted == set()
