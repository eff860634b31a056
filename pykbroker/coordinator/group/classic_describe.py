"""How a classic group looks in DescribeGroups (ClassicGroup.describe)."""

from pykbroker.coordinator.group.classic_group import STABLE, ClassicGroup
from pykbroker.protocol.messages.describe_groups import DescribedGroup, DescribedGroupMember


def described(group: ClassicGroup) -> DescribedGroup:
    """Protocol and subscriptions are told of a stable group only."""
    stable = group.state == STABLE
    return DescribedGroup(
        group_id=group.group_id,
        group_state=group.state,
        protocol_type=group.protocol_type or "",
        protocol_data=(group.protocol_name or "") if stable else "",
        members=[
            DescribedGroupMember(
                member_id=member.member_id,
                group_instance_id=member.instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                member_metadata=(member.metadata(group.protocol_name) or b"") if stable else b"",
                member_assignment=member.assignment,
            )
            for member in group.members.values()
        ],
    )
