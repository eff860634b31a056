"""State of consumer groups ↔ their records (GroupCoordinatorRecordHelpers, ConsumerGroupMember.Builder.updateWith)."""

from collections.abc import Iterable, Mapping

from pykbroker.coordinator.group.consumer_group import ConsumerGroup, ResolvedPattern
from pykbroker.coordinator.group.consumer_member import (
    ClassicMetadata,
    ConsumerMember,
    MemberState,
    OwnedPartitions,
    Partitions,
)
from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.ids import Uuid
from pykbroker.protocol.message import Message
from pykbroker.protocol.persisted.group import consumer_group_current_member_assignment as current_record
from pykbroker.protocol.persisted.group import consumer_group_member_metadata as member_record
from pykbroker.protocol.persisted.group import consumer_group_target_assignment_member as target_record
from pykbroker.protocol.persisted.group.consumer_group_metadata import (
    ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue,
)
from pykbroker.protocol.persisted.group.consumer_group_partition_metadata import ConsumerGroupPartitionMetadataKey
from pykbroker.protocol.persisted.group.consumer_group_regular_expression import (
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue,
)
from pykbroker.protocol.persisted.group.consumer_group_target_assignment_metadata import (
    ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
)

Records = list[CoordinatorRecord]


def member_metadata_record(group_id: str, member: ConsumerMember) -> CoordinatorRecord:
    value = member_record.ConsumerGroupMemberMetadataValue(
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=sorted(member.topics),
        subscribed_topic_regex=member.regex,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        server_assignor=member.assignor,
        classic_member_metadata=_classic_value(member.classic),
    )
    key = member_record.ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=member.member_id)
    return CoordinatorRecord(key, value)


def _classic_value(classic: ClassicMetadata | None) -> member_record.ClassicMemberMetadata | None:
    if classic is None:
        return None
    return member_record.ClassicMemberMetadata(
        session_timeout_ms=classic.session_timeout_ms,
        supported_protocols=[
            member_record.ClassicProtocol(name=name, metadata=data) for name, data in classic.protocols
        ],
    )


def with_metadata(member: ConsumerMember, value: member_record.ConsumerGroupMemberMetadataValue) -> ConsumerMember:
    classic = value.classic_member_metadata
    return member._replace(
        instance_id=value.instance_id,
        rack_id=value.rack_id,
        client_id=value.client_id,
        client_host=value.client_host,
        topics=frozenset(value.subscribed_topic_names),
        regex=value.subscribed_topic_regex or "",
        rebalance_timeout_ms=value.rebalance_timeout_ms,
        assignor=value.server_assignor,
        classic=None
        if classic is None
        else ClassicMetadata(
            classic.session_timeout_ms, tuple((row.name, bytes(row.metadata)) for row in classic.supported_protocols)
        ),
    )


def current_assignment_record(group_id: str, member: ConsumerMember) -> CoordinatorRecord:
    value = current_record.ConsumerGroupCurrentMemberAssignmentValue(
        member_epoch=member.epoch,
        previous_member_epoch=member.previous_epoch,
        state=member.state,
        assigned_partitions=_rows(member.owned),
        partitions_pending_revocation=_rows(member.revoking),
    )
    key = current_record.ConsumerGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member.member_id)
    return CoordinatorRecord(key, value)


def _rows(owned: OwnedPartitions) -> list[current_record.TopicPartitions]:
    return [
        current_record.TopicPartitions(topic_id=topic_id, partitions=list(rows), assignment_epochs=list(rows.values()))
        for topic_id, rows in owned.items()
    ]


def with_current_assignment(
    member: ConsumerMember, value: current_record.ConsumerGroupCurrentMemberAssignmentValue
) -> ConsumerMember:
    known = value.state in MemberState.__members__.values()
    return member._replace(
        epoch=value.member_epoch,
        previous_epoch=value.previous_member_epoch,
        state=MemberState(value.state) if known else MemberState.UNKNOWN,
        owned=_owned(value.assigned_partitions, value.member_epoch),
        revoking=_owned(value.partitions_pending_revocation, value.member_epoch),
    )


def _owned(rows: Iterable[current_record.TopicPartitions], member_epoch: int) -> dict[Uuid, dict[int, int]]:
    """Without epochs of their own, as before 4.3, the member's is taken."""
    owned: dict[Uuid, dict[int, int]] = {}
    for row in rows:
        epochs = row.assignment_epochs
        if epochs is None or len(epochs) != len(row.partitions):
            epochs = [member_epoch] * len(row.partitions)
        owned.setdefault(row.topic_id, {}).update(zip(row.partitions, epochs, strict=True))
    return owned


def target_assignment_record(group_id: str, member_id: str, target: Partitions) -> CoordinatorRecord:
    rows = [
        target_record.TopicPartition(topic_id=topic_id, partitions=sorted(partitions))
        for topic_id, partitions in target.items()
    ]
    key = target_record.ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id)
    return CoordinatorRecord(key, target_record.ConsumerGroupTargetAssignmentMemberValue(topic_partitions=rows))


def target_of(value: target_record.ConsumerGroupTargetAssignmentMemberValue) -> Partitions:
    return {row.topic_id: frozenset(row.partitions) for row in value.topic_partitions}


def target_epoch_record(group_id: str, epoch: int, timestamp: int) -> CoordinatorRecord:
    value = ConsumerGroupTargetAssignmentMetadataValue(assignment_epoch=epoch, assignment_timestamp=timestamp)
    return CoordinatorRecord(ConsumerGroupTargetAssignmentMetadataKey(group_id=group_id), value)


def group_epoch_record(group_id: str, epoch: int, metadata_hash: int) -> CoordinatorRecord:
    value = ConsumerGroupMetadataValue(epoch=epoch, metadata_hash=metadata_hash)
    return CoordinatorRecord(ConsumerGroupMetadataKey(group_id=group_id), value)


def pattern_record(group_id: str, regex: str, pattern: ResolvedPattern) -> CoordinatorRecord:
    value = ConsumerGroupRegularExpressionValue(
        topics=sorted(pattern.topics), version=pattern.version, timestamp=pattern.timestamp
    )
    return CoordinatorRecord(ConsumerGroupRegularExpressionKey(group_id=group_id, regular_expression=regex), value)


def pattern_tombstone(group_id: str, regex: str) -> CoordinatorRecord:
    return _tombstone(ConsumerGroupRegularExpressionKey(group_id=group_id, regular_expression=regex))


def partition_metadata_tombstone(group_id: str) -> CoordinatorRecord:
    return _tombstone(ConsumerGroupPartitionMetadataKey(group_id=group_id))


def member_tombstones(group_id: str, member_id: str) -> Records:
    """The order matters: the member is removed by the last one."""
    return [
        _tombstone(current_record.ConsumerGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member_id)),
        _tombstone(target_record.ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id)),
        _tombstone(member_record.ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=member_id)),
    ]


def group_tombstones(group: ConsumerGroup, renamed: Mapping[str, str] | None = None) -> Records:
    """Everything of a group; `renamed`: member ids that have been replaced in this very batch, old → new."""
    group_id = group.group_id
    ids = [(renamed or {}).get(member_id, member_id) for member_id in group.members]
    current, target, member = zip(*(member_tombstones(group_id, one) for one in ids), strict=True) if ids else ((),) * 3
    return [
        *current,
        *target,
        _tombstone(ConsumerGroupTargetAssignmentMetadataKey(group_id=group_id)),
        *member,
        *(pattern_tombstone(group_id, regex) for regex in group.patterns),
        partition_metadata_tombstone(group_id),
        _tombstone(ConsumerGroupMetadataKey(group_id=group_id)),
    ]


def _tombstone(key: Message) -> CoordinatorRecord:
    return CoordinatorRecord(key, None)
