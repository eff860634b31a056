"""What Kafka refuses of members of streams groups, and how it says so.

Kafka: throwIf… of GroupCoordinatorService and GroupMetadataManager, validateOffset… of StreamsGroup.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from pykbroker.coordinator.group.heartbeat_checks import invalid, not_empty
from pykbroker.coordinator.group.streams_configured_topology import ConfiguredTopology
from pykbroker.coordinator.group.streams_group import StreamsGroup
from pykbroker.coordinator.group.streams_member import LEAVE_STATIC, StreamsMember
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.coordinator.group.streams_tasks import TaskRow, TaskSet
    from pykbroker.protocol.messages.streams_group_heartbeat import StreamsGroupHeartbeatRequest, Topology

FIRST_COMMIT_VERSION_WITH_EPOCHS: Final = 9


def check_heartbeat(request: "StreamsGroupHeartbeatRequest") -> None:
    """Raises KafkaError INVALID_REQUEST, STREAMS_INVALID_TOPOLOGY."""
    _check_features(request)
    not_empty(request.member_id, "MemberId")
    not_empty(request.group_id, "GroupId")
    not_empty(request.instance_id, "InstanceId")
    not_empty(request.rack_id, "RackId")
    if request.member_epoch == 0:
        _check_join(request)
    elif request.member_epoch == LEAVE_STATIC and request.instance_id is None:
        invalid("InstanceId can't be null.")
    elif request.member_epoch < LEAVE_STATIC:
        invalid(f"MemberEpoch is {request.member_epoch}, but must be greater than or equal to -2.")
    kinds = (request.active_tasks, request.standby_tasks, request.warmup_tasks)
    if any(rows is not None for rows in kinds) and any(rows is None for rows in kinds):
        invalid("If one task-type is non-null, all must be non-null.")
    if request.member_epoch != 0 and request.topology is not None:
        invalid("Topology can only be provided when (re-)joining.")


def _check_features(request: "StreamsGroupHeartbeatRequest") -> None:
    """What KIP-1071 has, and Kafka 4.3 not yet."""
    if request.instance_id is not None:
        invalid("Static membership is not yet supported.")
    if request.task_offsets is not None:
        invalid("TaskOffsets are not supported yet.")
    if request.task_end_offsets is not None:
        invalid("TaskEndOffsets are not supported yet.")
    if request.warmup_tasks:
        invalid("WarmupTasks are not supported yet.")
    if request.topology is not None and any(row.source_topic_regex for row in request.topology.subtopologies):
        invalid("Regular expressions for source topics are not supported yet.")


def _check_join(request: "StreamsGroupHeartbeatRequest") -> None:
    if request.rebalance_timeout_ms == -1:
        invalid("RebalanceTimeoutMs must be provided in first request.")
    for name, rows in (
        ("ActiveTasks", request.active_tasks),
        ("StandbyTasks", request.standby_tasks),
        ("WarmupTasks", request.warmup_tasks),
    ):
        if rows is None or rows:
            invalid(f"{name} must be empty when (re-)joining.")
    if request.topology is None:
        invalid("Topology must be non-null when (re-)joining.")
    _check_changelogs(request.topology)


def _check_changelogs(topology: "Topology") -> None:
    for row in topology.subtopologies:
        for topic in row.state_changelog_topics:
            if topic.partitions:
                raise KafkaError(
                    ErrorCode.STREAMS_INVALID_TOPOLOGY,
                    f"Changelog topic {topic.name} must have an undefined partition count, but it is set to "
                    f"{topic.partitions}.",
                )


def check_room(group: StreamsGroup, max_size: int) -> None:
    """Raises KafkaError GROUP_MAX_SIZE_REACHED; even for who is a member already, as Kafka."""
    if len(group.members) >= max_size:
        raise KafkaError(
            ErrorCode.GROUP_MAX_SIZE_REACHED,
            f"The streams group has reached its maximum capacity of {max_size} members.",
        )


def check_epoch(member: StreamsMember, request: "StreamsGroupHeartbeatRequest") -> None:
    """Raises KafkaError FENCED_MEMBER_EPOCH. The epoch before may come again: our answer may have been lost."""
    epoch = request.member_epoch
    if epoch in (0, member.epoch):
        return
    if epoch < member.epoch and epoch == member.previous_epoch and _has_all(member, request):
        return
    kind = "greater" if epoch > member.epoch else "smaller"
    raise KafkaError(
        ErrorCode.FENCED_MEMBER_EPOCH,
        f"The streams group member has a {kind} member epoch ({epoch}) than the one known by the group coordinator "
        f"({member.epoch}). The member must abandon all its partitions and rejoin.",
    )


def _has_all(member: StreamsMember, request: "StreamsGroupHeartbeatRequest") -> bool:
    active: TaskSet = {key: frozenset(rows) for key, rows in member.held.active.items()}
    return (
        _contained(request.active_tasks, active)
        and _contained(request.standby_tasks, member.held.standby)
        and _contained(request.warmup_tasks, member.held.warmup)
    )


def _contained(rows: "Iterable[TaskRow] | None", tasks: "TaskSet") -> bool:
    if rows is None:
        return False
    return all(row.subtopology_id in tasks and tasks[row.subtopology_id].issuperset(row.partitions) for row in rows)


def check_tasks(topology: ConfiguredTopology, request: "StreamsGroupHeartbeatRequest") -> None:
    """What a member has must be tasks of the topology. Raises KafkaError INVALID_REQUEST."""
    subtopologies = topology.subtopologies or {}
    for rows in (request.active_tasks, request.standby_tasks, request.warmup_tasks):
        for row in rows or ():
            subtopology = subtopologies.get(row.subtopology_id)
            if subtopology is None:
                invalid(f"Subtopology {row.subtopology_id} does not exist in the topology.")
            for partition in row.partitions:
                if not 0 <= partition < subtopology.tasks:
                    invalid(
                        f"Task {partition} for subtopology {row.subtopology_id} is invalid. Number of tasks for this "
                        f"subtopology: {subtopology.tasks}"
                    )


# -- offsets


def check_fetch(group: StreamsGroup, member_id: str | None, epoch: int, *, committed: bool) -> None:
    """OffsetFetch by a member, or by an administrator who says nothing. Raises KafkaError."""
    if member_id is None and epoch < 0:
        return
    member = group.members.committed_get(member_id or "") if committed else group.members.get(member_id or "")
    if member is None:
        raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member_id} is not a member of group {group.group_id}.")
    if epoch != member.epoch:
        raise _stale(f"The received member epoch {epoch} does not match the expected member epoch {member.epoch}.")


def check_commit(
    group: StreamsGroup,
    member_id: str,
    instance_id: str | None,
    epoch: int,
    partitions: Iterable[tuple[str, int]],
    *,
    transactional: bool,
    version: int,
) -> None:
    """An older epoch will do for tasks that the member has had since then. `partitions`: (topic, partition).

    Raises KafkaError UNKNOWN_MEMBER_ID, UNSUPPORTED_VERSION, STALE_MEMBER_EPOCH (KIP-1251).
    """
    if epoch < 0 and group.is_empty:
        return
    if transactional and epoch == -1 and not member_id and instance_id is None:
        return
    member = group.member(member_id)
    if not transactional and version < FIRST_COMMIT_VERSION_WITH_EPOCHS:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_VERSION,
            "OffsetCommit version 9 or above must be used by members using the streams group protocol",
        )
    if epoch == member.epoch:
        return
    if epoch > member.epoch:
        raise _stale(f"Received member epoch {epoch} is newer than current member epoch {member.epoch}.")
    if group.topology is None:
        raise _stale("Topology is not available for offset commit validation.")
    for topic, partition in partitions:
        _check_partition(group, member, epoch, topic, partition)


def _check_partition(group: StreamsGroup, member: StreamsMember, epoch: int, topic: str, partition: int) -> None:
    subtopology = group.topology.reader_of(topic) if group.topology is not None else None
    if subtopology is None:
        raise _stale(f"Topic {topic} is not in the topology.")
    task = f"{subtopology.subtopology_id}-{partition}"
    since = member.assignment_epoch(subtopology.subtopology_id, partition)
    if since is None:
        raise _stale(f"Task {task} is not assigned or pending revocation for member.")
    if epoch < since:
        raise _stale(f"Received member epoch {epoch} is older than assignment epoch {since} for task {task}.")


def _stale(message: str) -> KafkaError:
    return KafkaError(ErrorCode.STALE_MEMBER_EPOCH, message)
