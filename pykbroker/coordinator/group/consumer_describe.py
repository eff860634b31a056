"""How a consumer group looks in ConsumerGroupDescribe, as far as it is committed (ConsumerGroup.asDescribedGroup)."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pykbroker.coordinator.group.consumer_group import ConsumerGroup
from pykbroker.coordinator.group.consumer_member import ConsumerMember
from pykbroker.ids import Uuid
from pykbroker.protocol.messages.consumer_group_describe import Assignment, DescribedGroup, Member, TopicPartitions

if TYPE_CHECKING:
    from pykbroker.metadata.topics import TopicsImage

CLASSIC_MEMBER = 0
CONSUMER_MEMBER = 1


def described_consumer(group: ConsumerGroup, default_assignor: str, topics: "TopicsImage") -> DescribedGroup:
    epochs, members = group.committed_epochs, group.committed_members()
    return DescribedGroup(
        group_id=group.group_id,
        group_state=group.committed_state,
        group_epoch=epochs.group,
        assignment_epoch=epochs.assignment,
        assignor_name=group.preferred_assignor(members) or default_assignor,
        members=[_member(group, member, topics) for member in members],
    )


def _member(group: ConsumerGroup, member: ConsumerMember, topics: "TopicsImage") -> Member:
    holds: dict[Uuid, set[int]] = {}
    for owned in (member.owned, member.revoking):
        for topic_id, rows in owned.items():
            holds.setdefault(topic_id, set()).update(rows)
    target = group.targets.committed_get(member.member_id) or {}
    return Member(
        member_id=member.member_id,
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        member_epoch=member.epoch,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=sorted(member.topics),
        subscribed_topic_regex=member.regex,
        assignment=_assignment(holds, topics),
        target_assignment=_assignment(target, topics),
        member_type=CLASSIC_MEMBER if member.uses_classic else CONSUMER_MEMBER,
    )


def _assignment(partitions: Mapping[Uuid, Iterable[int]], topics: "TopicsImage") -> Assignment:
    """Topics that are gone are left out."""
    rows = [
        TopicPartitions(topic_id=topic_id, topic_name=topic.name, partitions=sorted(indexes))
        for topic_id, indexes in partitions.items()
        if (topic := topics.by_id(topic_id)) is not None
    ]
    return Assignment(topic_partitions=rows)
