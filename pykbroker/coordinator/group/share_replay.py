"""Records of share groups → groups (GroupMetadataManager.replay, its share part)."""

from typing import TYPE_CHECKING, Any

from pykbroker.coordinator.group.group_replay import (
    GroupReplay,
    current_assignment,
    group_epoch,
    member_metadata,
    target_epoch,
)
from pykbroker.coordinator.group.share_group import ShareGroup
from pykbroker.coordinator.group.share_member import ShareMember
from pykbroker.coordinator.group.share_records import states_of, target_of, with_current_assignment, with_metadata

if TYPE_CHECKING:
    from pykbroker.clock import Clock


def _target_assignment(group: ShareGroup, key: Any, value: Any) -> None:
    group.put_target(key.member_id, None if value is None else target_of(value))


def share_replay(clock: "Clock") -> GroupReplay[ShareGroup]:
    """`clock`: from the replay on an initialization of partitions may take its time."""

    def states(group: ShareGroup, key: Any, value: Any) -> None:
        group.states = None if value is None else states_of(value, clock.wall_ms())

    return GroupReplay(
        "ShareGroup",
        ShareGroup,
        {
            "MemberMetadata": member_metadata(ShareMember, with_metadata),
            "CurrentMemberAssignment": current_assignment(ShareMember, with_current_assignment, assigned={}),
            "TargetAssignmentMember": _target_assignment,
            "TargetAssignmentMetadata": target_epoch,
            "Metadata": group_epoch,
            "StatePartitionMetadata": states,
        },
        replaces_simple_groups=False,
    )
