"""The target assignment of a whole streams group: stored where it differs (streams.TargetAssignmentBuilder)."""

from pykbroker.coordinator.group.java_order import grown_table, java_order, string_hash
from pykbroker.coordinator.group.streams_assignor import StreamsSpecMember, assign_sticky
from pykbroker.coordinator.group.streams_configured_topology import ConfiguredTopology
from pykbroker.coordinator.group.streams_group import StreamsGroup
from pykbroker.coordinator.group.streams_member import StreamsMember
from pykbroker.coordinator.group.streams_records import target_assignment_record, target_epoch_record
from pykbroker.coordinator.group.streams_tasks import Tasks
from pykbroker.coordinator.shard import CoordinatorRecord


def update_target(
    group: StreamsGroup,
    updated: StreamsMember | None,
    epoch: int,
    topology: ConfiguredTopology,
    configs: tuple[tuple[str, str], ...],
    now_ms: int,
    records: list[CoordinatorRecord],
) -> dict[str, Tasks]:
    """The new target of every member, nothing while the topology is not ready; `records` store what has changed."""
    members = group.with_member(updated)
    targets = dict.fromkeys(members, Tasks())
    if topology.is_ready:
        spec = {key: StreamsSpecMember(member.process_id, group.target(key)) for key, member in members.items()}
        replicas = int(dict(configs).get("num.standby.replicas", 0))
        targets = assign_sticky(spec, topology.subtopologies or {}, replicas)
    for member_id in java_order(members, string_hash, grown_table(len(members))):
        if group.targets.get(member_id) != targets[member_id]:
            records.append(target_assignment_record(group.group_id, member_id, targets[member_id]))
    records.append(target_epoch_record(group.group_id, epoch, now_ms))
    return targets
