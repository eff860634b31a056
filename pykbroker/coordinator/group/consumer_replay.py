"""Records of consumer groups → groups (GroupMetadataManager.replay, its consumer part).

Nothing is refused: after compaction the log may tell things in an order in which they never happened.
"""

from typing import TYPE_CHECKING, Any, cast

from pykbroker.coordinator.group.classic_group import ClassicGroup
from pykbroker.coordinator.group.consumer_group import ConsumerGroup, Epochs, ResolvedPattern
from pykbroker.coordinator.group.consumer_member import ConsumerMember
from pykbroker.coordinator.group.consumer_records import target_of, with_current_assignment, with_metadata
from pykbroker.coordinator.shard import CoordinatorRecord

if TYPE_CHECKING:
    from pykbroker.coordinator.group.groups import Groups
    from pykbroker.coordinator.timeline import Timeline

NO_EPOCH = -1
_PREFIX = "ConsumerGroup"


def is_consumer_record(record: CoordinatorRecord) -> bool:
    return type(record.key).__name__.startswith(_PREFIX)


def replay_consumer(groups: "Groups", timeline: "Timeline", record: CoordinatorRecord) -> None:
    key = cast("Any", record.key)
    group = _group(groups, timeline, key.group_id, create=record.value is not None)
    if group is None:
        return
    name = type(key).__name__.removeprefix(_PREFIX).removesuffix("Key")
    if name == "Metadata" and record.value is None:
        groups.remove(group.group_id)
    else:
        _REPLAY[name](group, key, record.value)


def _group(groups: "Groups", timeline: "Timeline", group_id: str, *, create: bool) -> ConsumerGroup | None:
    existing = groups.get(group_id)
    if isinstance(existing, ConsumerGroup):
        return existing
    # A classic group in the way is the simple one that an offset commit read before has made.
    if not create or (isinstance(existing, ClassicGroup) and existing.protocol_type is not None):
        return None
    group = ConsumerGroup(group_id, timeline)
    groups.put(group)
    return group


def _member_metadata(group: ConsumerGroup, key: Any, value: Any) -> None:
    if value is None:
        group.remove_member(key.member_id)
    else:
        member = group.members.get(key.member_id) or ConsumerMember(key.member_id)
        group.put_member(with_metadata(member, value))


def _current_assignment(group: ConsumerGroup, key: Any, value: Any) -> None:
    member = group.members.get(key.member_id)
    if value is not None:
        group.put_member(with_current_assignment(member or ConsumerMember(key.member_id), value))
    elif member is not None:
        group.put_member(member._replace(epoch=NO_EPOCH, previous_epoch=NO_EPOCH, owned={}, revoking={}))


def _target_assignment(group: ConsumerGroup, key: Any, value: Any) -> None:
    if value is None:
        group.targets.pop(key.member_id)
    else:
        group.targets[key.member_id] = target_of(value)


def _target_epoch(group: ConsumerGroup, key: Any, value: Any) -> None:
    if value is None:
        group.epochs = group.epochs._replace(assignment=NO_EPOCH, assigned_at=0)
    else:
        group.epochs = group.epochs._replace(assignment=value.assignment_epoch, assigned_at=value.assignment_timestamp)


def _group_epoch(group: ConsumerGroup, key: Any, value: Any) -> None:
    epochs: Epochs = group.epochs
    group.epochs = epochs._replace(group=value.epoch, metadata_hash=value.metadata_hash)


def _partition_metadata(group: ConsumerGroup, key: Any, value: Any) -> None:
    group.has_partition_metadata = value is not None


def _pattern(group: ConsumerGroup, key: Any, value: Any) -> None:
    if value is None:
        group.patterns.pop(key.regular_expression)
    else:
        group.patterns[key.regular_expression] = ResolvedPattern(
            frozenset(value.topics), value.version, value.timestamp
        )


_REPLAY = {
    "MemberMetadata": _member_metadata,
    "CurrentMemberAssignment": _current_assignment,
    "TargetAssignmentMember": _target_assignment,
    "TargetAssignmentMetadata": _target_epoch,
    "Metadata": _group_epoch,
    "PartitionMetadata": _partition_metadata,
    "RegularExpression": _pattern,
}
