"""The target assignment of a share group: asked of the assignor, stored where it differs.

Kafka: TargetAssignmentBuilder.ShareTargetAssignmentBuilder.
"""

from typing import TYPE_CHECKING

from pykbroker.coordinator.group.assignor_simple import assign_simple
from pykbroker.coordinator.group.assignor_spec import GroupSpec, SpecMember
from pykbroker.coordinator.group.consumer_member import Partitions
from pykbroker.coordinator.group.java_order import grown_table, java_order, string_hash
from pykbroker.coordinator.group.share_group import ShareGroup
from pykbroker.coordinator.group.share_member import NOTHING, ShareMember
from pykbroker.coordinator.group.share_records import target_assignment_record, target_epoch_record
from pykbroker.coordinator.group.target_assignment import topic_ids
from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.ids import Uuid

if TYPE_CHECKING:
    from pykbroker.metadata.topics import TopicsImage


def update_share_target(
    group: ShareGroup,
    updated: ShareMember,
    epoch: int,
    topics: "TopicsImage",
    now_ms: int,
    records: list[CoordinatorRecord],
) -> Partitions:
    """The new target assignment of the updated member; `records` store that of everyone whose has changed."""
    members = dict(group.members.items())
    members[updated.member_id] = updated
    states = group.states
    initialized = {} if states is None else {key: state.partitions for key, state in states.initialized.items()}
    alike = len({member.topics for member in members.values()}) == 1
    assignment = assign_simple(_spec(group, members, topics), initialized, alike=alike)
    for member_id, rows in assignment.items():
        target = _frozen(rows)
        if group.targets.get(member_id) != target:
            records.append(target_assignment_record(group.group_id, member_id, target))
    records.append(target_epoch_record(group.group_id, epoch, now_ms))
    return _frozen(assignment[updated.member_id])


def _spec(group: ShareGroup, members: dict[str, ShareMember], topics: "TopicsImage") -> GroupSpec:
    ordered = java_order(members, string_hash, grown_table(len(members)))
    ids: dict[frozenset[str], frozenset[Uuid]] = {}
    for member in members.values():
        if member.topics not in ids:
            ids[member.topics] = topic_ids(member.topics, topics)
    names = sorted(frozenset[str]().union(*ids))
    sizes = {
        topics.by_name[name].id: len(topics.by_name[name].partitions)
        for name in java_order(names, string_hash, grown_table(len(names)))
        if name in topics
    }
    rows = {key: SpecMember(ids[members[key].topics], group.targets.get(key) or NOTHING) for key in ordered}
    return GroupSpec(rows, sizes)


def _frozen(rows: dict[Uuid, set[int]]) -> dict[Uuid, frozenset[int]]:
    return {topic_id: frozenset(partitions) for topic_id, partitions in rows.items() if partitions}
