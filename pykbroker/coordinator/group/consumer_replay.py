"""Records of consumer groups → groups (GroupMetadataManager.replay, its consumer part)."""

from typing import Any

from pykbroker.coordinator.group.consumer_group import ConsumerGroup, ResolvedPattern
from pykbroker.coordinator.group.consumer_member import ConsumerMember
from pykbroker.coordinator.group.consumer_records import target_of, with_current_assignment, with_metadata
from pykbroker.coordinator.group.group_replay import (
    GroupReplay,
    current_assignment,
    group_epoch,
    member_metadata,
    target_assignment,
    target_epoch,
)


def _partition_metadata(group: ConsumerGroup, key: Any, value: Any) -> None:
    group.has_partition_metadata = value is not None


def _pattern(group: ConsumerGroup, key: Any, value: Any) -> None:
    if value is None:
        group.patterns.pop(key.regular_expression)
    else:
        group.patterns[key.regular_expression] = ResolvedPattern(
            frozenset(value.topics), value.version, value.timestamp
        )


CONSUMER_REPLAY = GroupReplay(
    "ConsumerGroup",
    ConsumerGroup,
    {
        "MemberMetadata": member_metadata(ConsumerMember, with_metadata),
        "CurrentMemberAssignment": current_assignment(ConsumerMember, with_current_assignment, owned={}, revoking={}),
        "TargetAssignmentMember": target_assignment(target_of),
        "TargetAssignmentMetadata": target_epoch,
        "Metadata": group_epoch,
        "PartitionMetadata": _partition_metadata,
        "RegularExpression": _pattern,
    },
)
