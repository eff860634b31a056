"""What a delta means for the replicas of one broker (TopicsDelta.localChanges)."""

from typing import NamedTuple

from pykbroker.ids import TopicIdPartition
from pykbroker.metadata.delta import MetadataDelta
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.topics import PartitionImage, TopicImage


class LocalChanges(NamedTuple):
    """leaders: led here now and changed in any way; elected: those of them with a new leader epoch.

    followers: replicas here, led elsewhere or by nobody, and changed; deleted: topic or replica no longer here.
    """

    leaders: dict[TopicIdPartition, PartitionImage]
    followers: dict[TopicIdPartition, PartitionImage]
    deleted: set[TopicIdPartition]
    elected: set[TopicIdPartition]


def local_changes(
    delta: MetadataDelta, old_image: MetadataImage, new_image: MetadataImage, node_id: int
) -> LocalChanges:
    """`delta` led from `old_image` to `new_image`."""
    changes = LocalChanges({}, {}, set(), set())
    for topic in delta.deleted_topics.values():
        for index, partition in topic.partitions.items():
            if node_id in partition.replicas:
                changes.deleted.add(TopicIdPartition(topic.id, topic.name, index))
    for topic_id in delta.changed_topics:
        topic_now = new_image.topics.by_id(topic_id)
        if topic_now is not None:
            _topic_changes(old_image.topics.by_id(topic_id), topic_now, node_id, changes)
    return changes


def _topic_changes(old: TopicImage | None, new: TopicImage, node_id: int, changes: LocalChanges) -> None:
    before = old.partitions if old else {}
    for index, partition in new.partitions.items():
        previous = before.get(index)
        if previous is partition:
            continue
        key = TopicIdPartition(new.id, new.name, index)
        if node_id not in partition.replicas:
            if previous is not None and node_id in previous.replicas:
                changes.deleted.add(key)
        elif previous is not None and previous.partition_epoch == partition.partition_epoch:
            continue
        elif partition.leader == node_id:
            changes.leaders[key] = partition
            if previous is None or previous.leader_epoch != partition.leader_epoch:
                changes.elected.add(key)
        else:
            changes.followers[key] = partition
