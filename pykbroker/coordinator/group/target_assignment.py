"""The target assignment of a whole group: asked of an assignor, stored where it differs (TargetAssignmentBuilder)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pykbroker.coordinator.group.assignor_range import assign_range
from pykbroker.coordinator.group.assignor_spec import Assignor, GroupSpec, SpecMember
from pykbroker.coordinator.group.assignor_uniform import assign_uniform
from pykbroker.coordinator.group.consumer_group import ConsumerGroup
from pykbroker.coordinator.group.consumer_member import ConsumerMember, Partitions
from pykbroker.coordinator.group.consumer_records import target_assignment_record, target_epoch_record
from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.ids import Uuid

if TYPE_CHECKING:
    from pykbroker.metadata.topics import TopicsImage

ASSIGNORS: Final[Mapping[str, Assignor]] = {"uniform": assign_uniform, "range": assign_range}


def update_target(
    group: ConsumerGroup,
    updated: ConsumerMember,
    epoch: int,
    assignor: Assignor,
    topics: "TopicsImage",
    now_ms: int,
    records: list[CoordinatorRecord],
) -> Partitions:
    """The new target assignment of the updated member; `records` store that of everyone whose has changed."""
    members = group.with_member(updated)
    spec = _spec(group, members, topics)
    assignment = assignor(spec)
    for member in members:
        target = _frozen(assignment.get(member.member_id, {}))
        if group.targets.get(member.member_id) != target:
            records.append(target_assignment_record(group.group_id, member.member_id, target))
    records.append(target_epoch_record(group.group_id, epoch, now_ms))
    return _frozen(assignment.get(updated.member_id, {}))


def _spec(group: ConsumerGroup, members: list[ConsumerMember], topics: "TopicsImage") -> GroupSpec:
    sizes: dict[Uuid, int] = {}
    rows: dict[str, SpecMember] = {}
    ids: dict[frozenset[str], frozenset[Uuid]] = {}
    for member in members:
        names = group.topics_of(member)
        if names not in ids:
            ids[names] = topic_ids(names, topics)
            sizes.update((topic_id, len(topics.ids[topic_id].partitions)) for topic_id in ids[names])
        rows[member.member_id] = SpecMember(ids[names], group.target(member), member.instance_id, member.rack_id)
    return GroupSpec(rows, sizes)


def topic_ids(names: frozenset[str], topics: "TopicsImage") -> frozenset[Uuid]:
    """Of those that exist."""
    return frozenset(topics.by_name[name].id for name in names if name in topics)


def _frozen(rows: Mapping[Uuid, set[int]]) -> dict[Uuid, frozenset[int]]:
    return {topic_id: frozenset(partitions) for topic_id, partitions in rows.items() if partitions}
