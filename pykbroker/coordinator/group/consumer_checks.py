"""What Kafka refuses of members of consumer groups, and how it says so.

Kafka: throwIf… of GroupCoordinatorService and GroupMetadataManager, validateOffset… of ConsumerGroup.
"""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final

from pykbroker.coordinator.group.consumer_group import ConsumerGroup
from pykbroker.coordinator.group.consumer_member import LEAVE, LEAVE_STATIC, ConsumerMember, Partitions
from pykbroker.coordinator.group.heartbeat_checks import invalid, not_empty
from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest

FIRST_VERSION_WITH_CLIENT_IDS: Final = 1


def check_heartbeat(request: "ConsumerGroupHeartbeatRequest", version: int, assignors: Collection[str]) -> None:
    """Raises KafkaError INVALID_REQUEST, UNSUPPORTED_ASSIGNOR."""
    if version >= FIRST_VERSION_WITH_CLIENT_IDS or request.member_epoch > 0 or request.member_epoch == LEAVE:
        not_empty(request.member_id, "MemberId")
    not_empty(request.group_id, "GroupId")
    not_empty(request.instance_id, "InstanceId")
    not_empty(request.rack_id, "RackId")
    if request.member_epoch == 0:
        _check_join(request)
    elif request.member_epoch == LEAVE_STATIC and request.instance_id is None:
        invalid("InstanceId can't be null.")
    elif request.member_epoch < LEAVE_STATIC:
        invalid("MemberEpoch is invalid.")
    if request.server_assignor is not None and request.server_assignor not in assignors:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_ASSIGNOR,
            f"ServerAssignor {request.server_assignor} is not supported. Supported assignors: {', '.join(assignors)}.",
        )


def _check_join(request: "ConsumerGroupHeartbeatRequest") -> None:
    if request.rebalance_timeout_ms == -1:
        invalid("RebalanceTimeoutMs must be provided in first request.")
    if request.topic_partitions is None or request.topic_partitions:
        invalid("TopicPartitions must be empty when (re-)joining.")
    if request.subscribed_topic_names is None and request.subscribed_topic_regex is None:
        invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")


def check_room(group: ConsumerGroup, member_id: str, max_size: int) -> None:
    """Raises KafkaError GROUP_MAX_SIZE_REACHED for one member too many."""
    if len(group.members) >= max_size and member_id not in group.members:
        raise KafkaError(
            ErrorCode.GROUP_MAX_SIZE_REACHED,
            f"The consumer group has reached its maximum capacity of {max_size} members.",
        )


def check_epoch(member: ConsumerMember, epoch: int, reported: Partitions | None) -> None:
    """Raises KafkaError FENCED_MEMBER_EPOCH. The epoch before may come again: our answer may have been lost."""
    if epoch in (0, member.epoch):
        return
    if epoch < member.epoch and epoch == member.previous_epoch and _owns_all(member, reported):
        return
    kind = "greater" if epoch > member.epoch else "smaller"
    raise KafkaError(
        ErrorCode.FENCED_MEMBER_EPOCH,
        f"The consumer group member has a {kind} member epoch ({epoch}) than the one known by the group coordinator "
        f"({member.epoch}). The member must abandon all its partitions and rejoin.",
    )


def _owns_all(member: ConsumerMember, reported: Partitions | None) -> bool:
    if reported is None:
        return False
    return all(
        topic_id in member.owned and rows <= member.owned[topic_id].keys() for topic_id, rows in reported.items()
    )


def known_static_member(group: ConsumerGroup, instance_id: str, member_id: str) -> ConsumerMember:
    """Raises KafkaError UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID."""
    member = group.static_member(instance_id)
    if member is None:
        raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID, f"Instance id {instance_id} is unknown.")
    if member.member_id != member_id:
        raise KafkaError(
            ErrorCode.FENCED_INSTANCE_ID,
            f"Static member {member_id} with instance id {instance_id} was fenced by member {member.member_id}.",
        )
    return member


def check_released(member: ConsumerMember, member_id: str, instance_id: str) -> None:
    """Raises KafkaError UNRELEASED_INSTANCE_ID while the member before has not left."""
    if member.epoch != LEAVE_STATIC:
        raise KafkaError(
            ErrorCode.UNRELEASED_INSTANCE_ID,
            f"Static member {member_id} with instance id {instance_id} cannot join the group because the instance id "
            f"is owned by {member.member_id} member.",
        )


# -- offsets


def check_fetch(group: ConsumerGroup, member_id: str | None, epoch: int, *, committed: bool) -> None:
    """OffsetFetch by a member, or by an administrator who says nothing. Raises KafkaError."""
    if member_id is None and epoch < 0:
        return
    member = group.members.committed_get(member_id or "") if committed else group.members.get(member_id or "")
    if member is None:
        raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member_id} is not a member of group {group.group_id}.")
    if epoch != member.epoch:
        raise _stale(
            member, f"The received {_name(member)} {epoch} does not match the expected member epoch {member.epoch}."
        )


def check_commit(
    group: ConsumerGroup,
    member_id: str,
    instance_id: str | None,
    epoch: int,
    partitions: Iterable[tuple[str, Uuid, int]],
    *,
    transactional: bool,
    version: int,
) -> None:
    """An older epoch will do for what the member has held since then. `partitions`: (topic, its id, partition).

    Raises KafkaError UNKNOWN_MEMBER_ID, UNSUPPORTED_VERSION, STALE_MEMBER_EPOCH, ILLEGAL_GENERATION (KIP-1251).
    """
    if epoch < 0 and group.is_empty:
        return
    if transactional and epoch == -1 and not member_id and instance_id is None:
        return
    member = group.member(member_id)
    if not transactional and not member.uses_classic and version < 9:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_VERSION,
            "OffsetCommit version 9 or above must be used by members using the consumer group protocol",
        )
    if epoch == member.epoch:
        return
    if epoch > member.epoch:
        raise _stale(member, f"Received {_name(member)} {epoch} is newer than current member epoch {member.epoch}.")
    for topic, topic_id, partition in partitions:
        _check_partition(member, epoch, topic, topic_id, partition)


def _check_partition(member: ConsumerMember, epoch: int, topic: str, topic_id: Uuid, partition: int) -> None:
    since = member.assignment_epoch(topic_id, partition)
    if since is None:
        raise _stale(member, f"Partition {topic}-{partition} is not assigned or pending revocation for member.")
    if epoch < since:
        raise _stale(
            member,
            f"Received {_name(member)} {epoch} is older than assignment epoch {since} for partition "
            f"{topic}-{partition}.",
        )


def _name(member: ConsumerMember) -> str:
    return "generation id" if member.uses_classic else "member epoch"


def _stale(member: ConsumerMember, message: str) -> KafkaError:
    return KafkaError(ErrorCode.ILLEGAL_GENERATION if member.uses_classic else ErrorCode.STALE_MEMBER_EPOCH, message)
