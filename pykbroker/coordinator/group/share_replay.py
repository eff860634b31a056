"""Records of share groups → groups (GroupMetadataManager.replay, its share part).

Nothing is refused: after compaction the log may tell things in an order in which they never happened.
"""

import logging
from typing import TYPE_CHECKING, Any, cast

from pykbroker.coordinator.group.consumer_replay import NO_EPOCH
from pykbroker.coordinator.group.share_group import ShareGroup
from pykbroker.coordinator.group.share_member import ShareMember
from pykbroker.coordinator.group.share_records import states_of, target_of, with_current_assignment, with_metadata
from pykbroker.coordinator.shard import CoordinatorRecord

if TYPE_CHECKING:
    from pykbroker.coordinator.group.groups import Groups
    from pykbroker.coordinator.timeline import Timeline

logger = logging.getLogger(__name__)

_PREFIX = "ShareGroup"


def is_share_record(record: CoordinatorRecord) -> bool:
    return type(record.key).__name__.startswith(_PREFIX)


def replay_share(groups: "Groups", timeline: "Timeline", record: CoordinatorRecord, now_ms: int) -> None:
    """`now_ms`: wall milliseconds; from then on an initialization may take its time."""
    key = cast("Any", record.key)
    group = _group(groups, timeline, key.group_id, create=record.value is not None)
    if group is None:
        return
    name = type(key).__name__.removeprefix(_PREFIX).removesuffix("Key")
    if name == "Metadata" and record.value is None:
        groups.remove(group.group_id)
    elif name == "StatePartitionMetadata":
        value = cast("Any", record.value)
        group.states = None if value is None else states_of(value, now_ms)
    else:
        _REPLAY[name](group, key, record.value)


def _group(groups: "Groups", timeline: "Timeline", group_id: str, *, create: bool) -> ShareGroup | None:
    existing = groups.get(group_id)
    if isinstance(existing, ShareGroup):
        return existing
    if existing is not None or not create:
        if create:
            logger.error("A record of share group %s is passed over: it is a %s group", group_id, existing)
        return None
    group = ShareGroup(group_id, timeline)
    groups.put(group)
    return group


def _member_metadata(group: ShareGroup, key: Any, value: Any) -> None:
    if value is None:
        group.remove_member(key.member_id)
    else:
        member = group.members.get(key.member_id) or ShareMember(key.member_id)
        group.put_member(with_metadata(member, value))


def _current_assignment(group: ShareGroup, key: Any, value: Any) -> None:
    member = group.members.get(key.member_id)
    if value is not None:
        group.put_member(with_current_assignment(member or ShareMember(key.member_id), value))
    elif member is not None:
        group.put_member(member._replace(epoch=NO_EPOCH, previous_epoch=NO_EPOCH, assigned={}))


def _target_assignment(group: ShareGroup, key: Any, value: Any) -> None:
    group.put_target(key.member_id, None if value is None else target_of(value))


def _target_epoch(group: ShareGroup, key: Any, value: Any) -> None:
    if value is None:
        group.epochs = group.epochs._replace(assignment=NO_EPOCH, assigned_at=0)
    else:
        group.epochs = group.epochs._replace(assignment=value.assignment_epoch, assigned_at=value.assignment_timestamp)


def _group_epoch(group: ShareGroup, key: Any, value: Any) -> None:
    group.epochs = group.epochs._replace(group=value.epoch, metadata_hash=value.metadata_hash)


_REPLAY = {
    "MemberMetadata": _member_metadata,
    "CurrentMemberAssignment": _current_assignment,
    "TargetAssignmentMember": _target_assignment,
    "TargetAssignmentMetadata": _target_epoch,
    "Metadata": _group_epoch,
}
