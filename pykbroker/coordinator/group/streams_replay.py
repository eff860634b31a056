"""Records of streams groups → groups (GroupMetadataManager.replay, its streams part).

Nothing is refused: after compaction the log may tell things in an order in which they never happened.
"""

from typing import TYPE_CHECKING, Any, cast

from pykbroker.coordinator.group.classic_group import ClassicGroup
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
from pykbroker.coordinator.shard import CoordinatorRecord

if TYPE_CHECKING:
    from pykbroker.coordinator.group.groups import Groups
    from pykbroker.coordinator.timeline import Timeline

NO_EPOCH = -1
_PREFIX = "StreamsGroup"


def is_streams_record(record: CoordinatorRecord) -> bool:
    return type(record.key).__name__.startswith(_PREFIX)


def replay_streams(groups: "Groups", timeline: "Timeline", record: CoordinatorRecord) -> None:
    key = cast("Any", record.key)
    group = _group(groups, timeline, key.group_id, create=record.value is not None)
    if group is None:
        return
    name = type(key).__name__.removeprefix(_PREFIX).removesuffix("Key")
    if name == "Metadata" and record.value is None:
        groups.remove(group.group_id)
    else:
        _REPLAY[name](group, key, record.value)


def _group(groups: "Groups", timeline: "Timeline", group_id: str, *, create: bool) -> StreamsGroup | None:
    existing = groups.get(group_id)
    if isinstance(existing, StreamsGroup):
        return existing
    # A classic group in the way is the simple one that an offset commit read before has made.
    if not create or (isinstance(existing, ClassicGroup) and existing.protocol_type is not None):
        return None
    group = StreamsGroup(group_id, timeline)
    groups.put(group)
    return group


def _member_metadata(group: StreamsGroup, key: Any, value: Any) -> None:
    if value is None:
        group.remove_member(key.member_id)
    else:
        group.put_member(with_metadata(group.members.get(key.member_id) or StreamsMember(key.member_id), value))


def _current_assignment(group: StreamsGroup, key: Any, value: Any) -> None:
    member = group.members.get(key.member_id)
    if value is not None:
        group.put_member(with_current_assignment(member or StreamsMember(key.member_id), value))
    elif member is not None:
        group.put_member(
            member._replace(epoch=NO_EPOCH, previous_epoch=NO_EPOCH, held=NOTHING_HELD, revoking=NOTHING_HELD)
        )


def _target_assignment(group: StreamsGroup, key: Any, value: Any) -> None:
    if value is None:
        group.targets.pop(key.member_id)
    else:
        group.targets[key.member_id] = target_of(value)


def _target_epoch(group: StreamsGroup, key: Any, value: Any) -> None:
    if value is None:
        group.epochs = group.epochs._replace(assignment=NO_EPOCH, assigned_at=0)
    else:
        group.epochs = group.epochs._replace(assignment=value.assignment_epoch, assigned_at=value.assignment_timestamp)


def _group_epoch(group: StreamsGroup, key: Any, value: Any) -> None:
    group.epochs = with_group_epoch(group.epochs, value)


def _topology(group: StreamsGroup, key: Any, value: Any) -> None:
    group.topology = None if value is None else topology_from(value)


_REPLAY = {
    "MemberMetadata": _member_metadata,
    "CurrentMemberAssignment": _current_assignment,
    "TargetAssignmentMember": _target_assignment,
    "TargetAssignmentMetadata": _target_epoch,
    "Metadata": _group_epoch,
    "Topology": _topology,
}
