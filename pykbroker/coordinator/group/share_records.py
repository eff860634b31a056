"""State of share groups ↔ their records (GroupCoordinatorRecordHelpers, ShareGroupMember.Builder.updateWith)."""

from collections.abc import Iterable, Mapping

from pykbroker.coordinator.group.consumer_member import MemberState, Partitions
from pykbroker.coordinator.group.share_group import ShareGroup
from pykbroker.coordinator.group.share_member import ShareMember
from pykbroker.coordinator.group.share_state import SharePartitionStates, TopicState, TopicStates
from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.ids import Uuid
from pykbroker.protocol.message import Message
from pykbroker.protocol.persisted.group import share_group_current_member_assignment as current_record
from pykbroker.protocol.persisted.group import share_group_member_metadata as member_record
from pykbroker.protocol.persisted.group import share_group_state_partition_metadata as state_record
from pykbroker.protocol.persisted.group import share_group_target_assignment_member as target_record
from pykbroker.protocol.persisted.group.share_group_metadata import ShareGroupMetadataKey, ShareGroupMetadataValue
from pykbroker.protocol.persisted.group.share_group_target_assignment_metadata import (
    ShareGroupTargetAssignmentMetadataKey,
    ShareGroupTargetAssignmentMetadataValue,
)

Records = list[CoordinatorRecord]


def member_metadata_record(group_id: str, member: ShareMember) -> CoordinatorRecord:
    value = member_record.ShareGroupMemberMetadataValue(
        rack_id=member.rack_id,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=sorted(member.topics),
    )
    return CoordinatorRecord(
        member_record.ShareGroupMemberMetadataKey(group_id=group_id, member_id=member.member_id), value
    )


def with_metadata(member: ShareMember, value: member_record.ShareGroupMemberMetadataValue) -> ShareMember:
    return member._replace(
        rack_id=value.rack_id,
        client_id=value.client_id,
        client_host=value.client_host,
        topics=frozenset(value.subscribed_topic_names),
    )


def current_assignment_record(group_id: str, member: ShareMember) -> CoordinatorRecord:
    value = current_record.ShareGroupCurrentMemberAssignmentValue(
        member_epoch=member.epoch,
        previous_member_epoch=member.previous_epoch,
        state=member.state,
        assigned_partitions=[
            current_record.TopicPartitions(topic_id=topic_id, partitions=sorted(rows))
            for topic_id, rows in member.assigned.items()
        ],
    )
    key = current_record.ShareGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member.member_id)
    return CoordinatorRecord(key, value)


def with_current_assignment(
    member: ShareMember, value: current_record.ShareGroupCurrentMemberAssignmentValue
) -> ShareMember:
    known = value.state in MemberState.__members__.values()
    return member._replace(
        epoch=value.member_epoch,
        previous_epoch=value.previous_member_epoch,
        state=MemberState(value.state) if known else MemberState.UNKNOWN,
        assigned={row.topic_id: frozenset(row.partitions) for row in value.assigned_partitions},
    )


def target_assignment_record(group_id: str, member_id: str, target: Partitions) -> CoordinatorRecord:
    rows = [
        target_record.TopicPartition(topic_id=topic_id, partitions=sorted(partitions))
        for topic_id, partitions in target.items()
    ]
    key = target_record.ShareGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id)
    return CoordinatorRecord(key, target_record.ShareGroupTargetAssignmentMemberValue(topic_partitions=rows))


def target_of(value: target_record.ShareGroupTargetAssignmentMemberValue) -> Partitions:
    return {row.topic_id: frozenset(row.partitions) for row in value.topic_partitions}


def target_epoch_record(group_id: str, epoch: int, timestamp: int) -> CoordinatorRecord:
    value = ShareGroupTargetAssignmentMetadataValue(assignment_epoch=epoch, assignment_timestamp=timestamp)
    return CoordinatorRecord(ShareGroupTargetAssignmentMetadataKey(group_id=group_id), value)


def group_epoch_record(group_id: str, epoch: int, metadata_hash: int) -> CoordinatorRecord:
    value = ShareGroupMetadataValue(epoch=epoch, metadata_hash=metadata_hash)
    return CoordinatorRecord(ShareGroupMetadataKey(group_id=group_id), value)


def states_record(group_id: str, states: SharePartitionStates, deleting: Mapping[Uuid, str]) -> CoordinatorRecord:
    """`deleting`: the names of `states.deleting`."""
    value = state_record.ShareGroupStatePartitionMetadataValue(
        initializing_topics=_infos(states.initializing),
        initialized_topics=_infos(states.initialized),
        deleting_topics=[
            state_record.TopicInfo(topic_id=topic_id, topic_name=name) for topic_id, name in deleting.items()
        ],
    )
    return CoordinatorRecord(state_record.ShareGroupStatePartitionMetadataKey(group_id=group_id), value)


def _infos(states: TopicStates) -> list[state_record.TopicPartitionsInfo]:
    return [
        state_record.TopicPartitionsInfo(topic_id=key, topic_name=state.name, partitions=sorted(state.partitions))
        for key, state in states.items()
    ]


def states_of(value: state_record.ShareGroupStatePartitionMetadataValue, now_ms: int) -> SharePartitionStates:
    return SharePartitionStates(
        _states(value.initializing_topics, now_ms),
        _states(value.initialized_topics, now_ms),
        frozenset(row.topic_id for row in value.deleting_topics),
    )


def _states(rows: Iterable[state_record.TopicPartitionsInfo], now_ms: int) -> dict[Uuid, TopicState]:
    return {row.topic_id: TopicState(row.topic_name, frozenset(row.partitions), now_ms) for row in rows}


def member_tombstones(group_id: str, member_id: str) -> Records:
    """The order matters: the member is removed by the last one."""
    return [
        _tombstone(current_record.ShareGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member_id)),
        _tombstone(target_record.ShareGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id)),
        _tombstone(member_record.ShareGroupMemberMetadataKey(group_id=group_id, member_id=member_id)),
    ]


def group_tombstones(group: ShareGroup) -> Records:
    """Everything of a group without members."""
    group_id = group.group_id
    return [
        _tombstone(ShareGroupTargetAssignmentMetadataKey(group_id=group_id)),
        _tombstone(state_record.ShareGroupStatePartitionMetadataKey(group_id=group_id)),
        _tombstone(ShareGroupMetadataKey(group_id=group_id)),
    ]


def _tombstone(key: Message) -> CoordinatorRecord:
    return CoordinatorRecord(key, None)
