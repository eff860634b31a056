from pykbroker.ids import DIRECTORY_MIGRATING
from pykbroker.metadata.topics import EMPTY_TOPICS, PartitionImage, TopicImage, TopicsImage
from tests.metadata.history import uuid

PARTITION = PartitionImage(
    replicas=(1, 2),
    directories=(uuid(1), uuid(2)),
    isr=(1,),
    removing_replicas=(),
    adding_replicas=(),
    leader=1,
    leader_recovery_state=0,
    leader_epoch=0,
    partition_epoch=0,
)


def topics(*found):
    return TopicsImage({topic.id: topic for topic in found}, {topic.name: topic for topic in found})


A = TopicImage("a", uuid(10), {0: PARTITION})
B = TopicImage("b", uuid(11), {})


def test_topics_are_found_by_name_and_by_id():
    image = topics(A, B)
    assert image.get("a") is image.by_id(uuid(10)) is A
    assert image.get("c") is image.by_id(uuid(12)) is None
    assert image.partition("a", 0) is PARTITION
    assert image.partition("a", 1) is image.partition("c", 0) is None
    assert ("a" in image, "c" in image, len(image)) == (True, False, 2)
    assert list(image) == [A, B]
    assert image.names() == ["a", "b"]


def test_they_are_equal_by_value():
    assert topics(A, B) == topics(B, A) != topics(A)
    assert topics() == EMPTY_TOPICS


def test_a_replica_has_its_directory():
    assert PARTITION.directory(2) == uuid(2)
    assert PARTITION.directory(3) == DIRECTORY_MIGRATING


def test_a_partition_is_reassigning_while_replicas_come_or_go():
    assert not PARTITION.is_reassigning
    assert PARTITION._replace(adding_replicas=(3,)).is_reassigning
    assert PARTITION._replace(removing_replicas=(1,)).is_reassigning
