"""Records of streams groups → groups (GroupMetadataManager.replay, its streams part)."""

from typing import Any

from pykbroker.coordinator.group.group_replay import (
    GroupReplay,
    current_assignment,
    member_metadata,
    target_assignment,
    target_epoch,
)
from pykbroker.coordinator.group.streams_group import StreamsGroup
from pykbroker.coordinator.group.streams_member import StreamsMember
from pykbroker.coordinator.group.streams_records import (
    target_of,
    with_current_assignment,
    with_group_epoch,
    with_metadata,
)
from pykbroker.coordinator.group.streams_tasks import NOTHING_HELD
from pykbroker.coordinator.group.streams_topology import topology_from


def _group_epoch(group: StreamsGroup, key: Any, value: Any) -> None:
    group.epochs = with_group_epoch(group.epochs, value)


def _topology(group: StreamsGroup, key: Any, value: Any) -> None:
    group.topology = None if value is None else topology_from(value)


STREAMS_REPLAY = GroupReplay(
    "StreamsGroup",
    StreamsGroup,
    {
        "MemberMetadata": member_metadata(StreamsMember, with_metadata),
        "CurrentMemberAssignment": current_assignment(
            StreamsMember, with_current_assignment, held=NOTHING_HELD, revoking=NOTHING_HELD
        ),
        "TargetAssignmentMember": target_assignment(target_of),
        "TargetAssignmentMetadata": target_epoch,
        "Metadata": _group_epoch,
        "Topology": _topology,
    },
)
