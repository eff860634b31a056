"""State of streams groups ↔ their records (StreamsCoordinatorRecordHelpers, StreamsGroupMember.Builder.updateWith)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pykbroker.coordinator.group.streams_group import StreamsEpochs, StreamsGroup
from pykbroker.coordinator.group.streams_member import Endpoint, MemberState, StreamsMember
from pykbroker.coordinator.group.streams_tasks import ActiveTasks, HeldTasks, Tasks, TaskSet, task_set
from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.protocol.message import Message
from pykbroker.protocol.persisted.group import streams_group_current_member_assignment as current_record
from pykbroker.protocol.persisted.group import streams_group_member_metadata as member_record
from pykbroker.protocol.persisted.group import streams_group_target_assignment_member as target_record
from pykbroker.protocol.persisted.group import streams_group_topology as topology_record
from pykbroker.protocol.persisted.group.streams_group_metadata import (
    LastAssignmentConfig,
    StreamsGroupMetadataKey,
    StreamsGroupMetadataValue,
)
from pykbroker.protocol.persisted.group.streams_group_target_assignment_metadata import (
    StreamsGroupTargetAssignmentMetadataKey,
    StreamsGroupTargetAssignmentMetadataValue,
)

if TYPE_CHECKING:
    from pykbroker.coordinator.group.streams_topology import InternalTopic, Topology

Records = list[CoordinatorRecord]


def member_metadata_record(group_id: str, member: StreamsMember) -> CoordinatorRecord:
    endpoint = member.user_endpoint
    value = member_record.StreamsGroupMemberMetadataValue(
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        client_id=member.client_id,
        client_host=member.client_host,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        topology_epoch=member.topology_epoch,
        process_id=member.process_id,
        user_endpoint=None if endpoint is None else member_record.Endpoint(host=endpoint.host, port=endpoint.port),
        client_tags=[member_record.KeyValue(key=key, value=tag) for key, tag in member.client_tags],
    )
    key = member_record.StreamsGroupMemberMetadataKey(group_id=group_id, member_id=member.member_id)
    return CoordinatorRecord(key, value)


def with_metadata(member: StreamsMember, value: member_record.StreamsGroupMemberMetadataValue) -> StreamsMember:
    endpoint = value.user_endpoint
    return member._replace(
        instance_id=value.instance_id,
        rack_id=value.rack_id,
        client_id=value.client_id,
        client_host=value.client_host,
        rebalance_timeout_ms=value.rebalance_timeout_ms,
        topology_epoch=value.topology_epoch,
        process_id=value.process_id,
        user_endpoint=None if endpoint is None else Endpoint(endpoint.host, endpoint.port),
        client_tags=tuple(sorted((row.key, row.value) for row in value.client_tags)),
    )


def current_assignment_record(group_id: str, member: StreamsMember) -> CoordinatorRecord:
    value = current_record.StreamsGroupCurrentMemberAssignmentValue(
        member_epoch=member.epoch,
        previous_member_epoch=member.previous_epoch,
        state=member.state,
        active_tasks=_active_rows(member.held.active),
        standby_tasks=_rows(member.held.standby),
        warmup_tasks=_rows(member.held.warmup),
        active_tasks_pending_revocation=_active_rows(member.revoking.active),
        standby_tasks_pending_revocation=_rows(member.revoking.standby),
        warmup_tasks_pending_revocation=_rows(member.revoking.warmup),
    )
    key = current_record.StreamsGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member.member_id)
    return CoordinatorRecord(key, value)


def _active_rows(tasks: ActiveTasks) -> list[current_record.TaskIds]:
    return [
        current_record.TaskIds(
            subtopology_id=key,
            partitions=sorted(tasks[key]),
            assignment_epochs=[tasks[key][partition] for partition in sorted(tasks[key])],
        )
        for key in sorted(tasks)
    ]


def _rows(tasks: TaskSet) -> list[current_record.TaskIds]:
    return [current_record.TaskIds(subtopology_id=key, partitions=sorted(tasks[key])) for key in sorted(tasks)]


def with_current_assignment(
    member: StreamsMember, value: current_record.StreamsGroupCurrentMemberAssignmentValue
) -> StreamsMember:
    epoch = value.member_epoch
    known = value.state in MemberState.__members__.values()
    return member._replace(
        epoch=epoch,
        previous_epoch=value.previous_member_epoch,
        state=MemberState(value.state) if known else MemberState.UNKNOWN,
        held=HeldTasks(_active(value.active_tasks, epoch), task_set(value.standby_tasks), task_set(value.warmup_tasks)),
        revoking=HeldTasks(
            _active(value.active_tasks_pending_revocation, epoch),
            task_set(value.standby_tasks_pending_revocation),
            task_set(value.warmup_tasks_pending_revocation),
        ),
    )


def _active(rows: Iterable[current_record.TaskIds], member_epoch: int) -> ActiveTasks:
    """Without epochs of their own, as before 4.3, the member's is taken."""
    active: dict[str, dict[int, int]] = {}
    for row in rows:
        epochs = row.assignment_epochs
        if epochs is None or len(epochs) != len(row.partitions):
            epochs = [member_epoch] * len(row.partitions)
        active[row.subtopology_id] = dict(zip(row.partitions, epochs, strict=True))
    return active


def target_assignment_record(group_id: str, member_id: str, target: Tasks) -> CoordinatorRecord:
    value = target_record.StreamsGroupTargetAssignmentMemberValue(
        active_tasks=_target_rows(target.active),
        standby_tasks=_target_rows(target.standby),
        warmup_tasks=_target_rows(target.warmup),
    )
    key = target_record.StreamsGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id)
    return CoordinatorRecord(key, value)


def _target_rows(tasks: TaskSet) -> list[target_record.TaskIds]:
    return [target_record.TaskIds(subtopology_id=key, partitions=sorted(tasks[key])) for key in sorted(tasks)]


def target_of(value: target_record.StreamsGroupTargetAssignmentMemberValue) -> Tasks:
    return Tasks(task_set(value.active_tasks), task_set(value.standby_tasks), task_set(value.warmup_tasks))


def target_epoch_record(group_id: str, epoch: int, timestamp: int) -> CoordinatorRecord:
    value = StreamsGroupTargetAssignmentMetadataValue(assignment_epoch=epoch, assignment_timestamp=timestamp)
    return CoordinatorRecord(StreamsGroupTargetAssignmentMetadataKey(group_id=group_id), value)


def group_epoch_record(group_id: str, epochs: StreamsEpochs) -> CoordinatorRecord:
    """Its group epoch, metadata hash, validated topology epoch and configs."""
    value = StreamsGroupMetadataValue(
        epoch=epochs.group,
        metadata_hash=epochs.metadata_hash,
        validated_topology_epoch=epochs.validated,
        last_assignment_configs=[LastAssignmentConfig(key=key, value=value) for key, value in epochs.configs],
    )
    return CoordinatorRecord(StreamsGroupMetadataKey(group_id=group_id), value)


def with_group_epoch(epochs: StreamsEpochs, value: StreamsGroupMetadataValue) -> StreamsEpochs:
    return epochs._replace(
        group=value.epoch,
        metadata_hash=value.metadata_hash,
        validated=value.validated_topology_epoch,
        configs=tuple(sorted((row.key, row.value) for row in value.last_assignment_configs or ())),
    )


def topology_value_record(group_id: str, topology: "Topology") -> CoordinatorRecord:
    rows = [
        topology_record.Subtopology(
            subtopology_id=row.subtopology_id,
            source_topics=list(row.source_topics),
            source_topic_regex=list(row.source_topic_regex),
            state_changelog_topics=[_topic_row(topic) for topic in row.changelogs],
            repartition_sink_topics=list(row.repartition_sinks),
            repartition_source_topics=[_topic_row(topic) for topic in row.repartition_sources],
            copartition_groups=[
                topology_record.CopartitionGroup(
                    source_topics=list(group.source_topics),
                    source_topic_regex=list(group.source_topic_regex),
                    repartition_source_topics=list(group.repartition_source_topics),
                )
                for group in row.copartition_groups
            ],
        )
        for row in topology.subtopologies.values()
    ]
    value = topology_record.StreamsGroupTopologyValue(epoch=topology.epoch, subtopologies=rows)
    return CoordinatorRecord(topology_record.StreamsGroupTopologyKey(group_id=group_id), value)


def _topic_row(topic: "InternalTopic") -> topology_record.TopicInfo:
    return topology_record.TopicInfo(
        name=topic.name,
        partitions=topic.partitions,
        replication_factor=topic.replication_factor,
        topic_configs=[topology_record.TopicConfig(key=key, value=value) for key, value in topic.configs],
    )


def member_tombstones(group_id: str, member_id: str) -> Records:
    """The order matters: the member is removed by the last one."""
    return [
        _tombstone(current_record.StreamsGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member_id)),
        _tombstone(target_record.StreamsGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id)),
        _tombstone(member_record.StreamsGroupMemberMetadataKey(group_id=group_id, member_id=member_id)),
    ]


def group_tombstones(group: StreamsGroup) -> Records:
    """Everything of a group without members."""
    group_id = group.group_id
    return [
        _tombstone(StreamsGroupTargetAssignmentMetadataKey(group_id=group_id)),
        _tombstone(StreamsGroupMetadataKey(group_id=group_id)),
        _tombstone(topology_record.StreamsGroupTopologyKey(group_id=group_id)),
    ]


def _tombstone(key: Message) -> CoordinatorRecord:
    return CoordinatorRecord(key, None)
