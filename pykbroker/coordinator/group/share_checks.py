"""What Kafka refuses of members of share groups, and how it says so.

Kafka: throwIf…ShareGroup… of GroupCoordinatorService and GroupMetadataManager, KafkaApis.isMemberIdValid.
"""

from typing import TYPE_CHECKING, Final

from pykbroker.coordinator.group.consumer_member import LEAVE
from pykbroker.coordinator.group.heartbeat_checks import invalid, not_empty
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.coordinator.group.share_group import ShareGroup
    from pykbroker.coordinator.group.share_member import ShareMember
    from pykbroker.protocol.messages.share_group_heartbeat import ShareGroupHeartbeatRequest

LONGEST_MEMBER_ID: Final = 36  # UTF-16 code units, as Java counts


def is_member_id_valid(member_id: str) -> bool:
    return 0 < len(member_id.encode("utf-16-be", "surrogatepass")) // 2 <= LONGEST_MEMBER_ID


def check_share_heartbeat(request: "ShareGroupHeartbeatRequest") -> None:
    """Raises KafkaError INVALID_REQUEST."""
    if not is_member_id_valid(request.member_id):
        raise KafkaError(ErrorCode.INVALID_REQUEST)  # a message is not passed on here
    for value, name in ((request.member_id, "MemberId"), (request.group_id, "GroupId"), (request.rack_id, "RackId")):
        not_empty(value, name)
    if request.member_epoch == 0:
        if not request.subscribed_topic_names:
            invalid("SubscribedTopicNames must be set in first request.")
    elif request.member_epoch < LEAVE:
        invalid("MemberEpoch is invalid.")


def check_share_room(group: "ShareGroup", member_id: str, max_size: int) -> None:
    """Raises KafkaError GROUP_MAX_SIZE_REACHED for one member too many."""
    if len(group.members) >= max_size and member_id not in group.members:
        raise KafkaError(
            ErrorCode.GROUP_MAX_SIZE_REACHED,
            f"The share group has reached its maximum capacity of {max_size} members.",
        )


def check_share_epoch(member: "ShareMember", epoch: int) -> None:
    """Raises KafkaError FENCED_MEMBER_EPOCH. The epoch before may come again: our answer may have been lost."""
    if epoch in (0, member.epoch) or (epoch < member.epoch and epoch == member.previous_epoch):
        return
    if epoch > member.epoch:
        complaint = f"greater member epoch ({epoch}) than the one known by the group coordinator ({member.epoch})"
    else:
        complaint = (
            f"smaller member epoch ({epoch}) than the one known by the group coordinator ({member.epoch}), "
            f"and it does not match the previous member epoch ({member.previous_epoch})"
        )
    raise KafkaError(
        ErrorCode.FENCED_MEMBER_EPOCH,
        f"The share group member has a {complaint}. The member must abandon all its partitions and rejoin.",
    )
