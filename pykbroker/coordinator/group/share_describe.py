"""How a share group looks in ShareGroupDescribe, as far as it is committed (ShareGroup.asDescribedGroup)."""

from typing import TYPE_CHECKING

from pykbroker.coordinator.group.consumer_member import Partitions
from pykbroker.coordinator.group.share_group import ShareGroup
from pykbroker.coordinator.group.share_member import ShareMember
from pykbroker.coordinator.group.share_settings import SIMPLE
from pykbroker.protocol.messages.share_group_describe import Assignment, DescribedGroup, Member, TopicPartitions

if TYPE_CHECKING:
    from pykbroker.metadata.topics import TopicsImage


def described_share(group: ShareGroup, topics: "TopicsImage") -> DescribedGroup:
    epochs = group.committed_epochs
    return DescribedGroup(
        group_id=group.group_id,
        group_state=group.committed_state,
        group_epoch=epochs.group,
        assignment_epoch=epochs.assignment,
        assignor_name=SIMPLE,
        members=[_member(member, topics) for member in group.committed_members()],
    )


def _member(member: ShareMember, topics: "TopicsImage") -> Member:
    return Member(
        member_id=member.member_id,
        rack_id=member.rack_id,
        member_epoch=member.epoch,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=sorted(member.topics),
        assignment=_assignment(member.assigned, topics),
    )


def _assignment(partitions: Partitions, topics: "TopicsImage") -> Assignment:
    """Topics that are gone are left out."""
    rows = [
        TopicPartitions(topic_id=topic_id, topic_name=topic.name, partitions=sorted(indexes))
        for topic_id, indexes in partitions.items()
        if (topic := topics.by_id(topic_id)) is not None
    ]
    return Assignment(topic_partitions=rows)
