"""Group state → records, in the versions of metadata.version 4.3 (GroupCoordinatorRecordHelpers)."""

from collections.abc import Mapping
from typing import Final

from pykbroker.coordinator.group.classic_group import ClassicGroup
from pykbroker.coordinator.group.offset_and_metadata import NO_EPOCH, NO_EXPIRATION, OffsetAndMetadata
from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.ids import ZERO_UUID
from pykbroker.protocol.persisted.group.group_metadata import GroupMetadataKey, GroupMetadataValue, MemberMetadata
from pykbroker.protocol.persisted.group.offset_commit import OffsetCommitKey, OffsetCommitValue

GROUP_METADATA_VERSION: Final = 3
OFFSET_COMMIT_VERSION: Final = 4
# Only this version has room for an expire timestamp, which OffsetCommit 2–4 may ask for.
OFFSET_COMMIT_EXPIRING_VERSION: Final = 1


def classic_group_record(group: ClassicGroup, assignments: Mapping[str, bytes]) -> CoordinatorRecord:
    """The whole group as it shall be loaded; `assignments` by member id."""
    members = [
        MemberMetadata(
            member_id=member.member_id,
            group_instance_id=member.instance_id,
            client_id=member.client_id,
            client_host=member.client_host,
            rebalance_timeout=member.rebalance_timeout_ms,
            session_timeout=member.session_timeout_ms,
            subscription=member.metadata(group.protocol_name) or b"",
            assignment=assignments[member.member_id],
        )
        for member in group.members.values()
    ]
    value = GroupMetadataValue(
        protocol_type=group.protocol_type or "",
        generation=group.generation_id,
        protocol=group.protocol_name,
        leader=group.leader_id,
        current_state_timestamp=group.state_timestamp,
        members=members,
    )
    return CoordinatorRecord(GroupMetadataKey(group=group.group_id), value, GROUP_METADATA_VERSION)


def new_classic_group_record(group: ClassicGroup) -> CoordinatorRecord:
    """A group that exists since now, without members whatever it has in memory."""
    value = GroupMetadataValue(
        protocol_type="",
        generation=0,
        protocol=None,
        leader=None,
        current_state_timestamp=group.state_timestamp,
        members=[],
    )
    return CoordinatorRecord(GroupMetadataKey(group=group.group_id), value, GROUP_METADATA_VERSION)


def classic_group_tombstone(group_id: str) -> CoordinatorRecord:
    return CoordinatorRecord(GroupMetadataKey(group=group_id), None)


def offset_record(group_id: str, topic: str, partition: int, offset: OffsetAndMetadata) -> CoordinatorRecord:
    expires = offset.expire_timestamp != NO_EXPIRATION
    if expires:
        # The version that can expire has no room for these; memory shall not know more than the log.
        offset = offset._replace(leader_epoch=NO_EPOCH, topic_id=ZERO_UUID)
    value = OffsetCommitValue(
        offset=offset.offset,
        leader_epoch=offset.leader_epoch,
        metadata=offset.metadata,
        commit_timestamp=offset.commit_timestamp,
        expire_timestamp=offset.expire_timestamp,
        topic_id=offset.topic_id,
    )
    version = OFFSET_COMMIT_EXPIRING_VERSION if expires else OFFSET_COMMIT_VERSION
    return CoordinatorRecord(OffsetCommitKey(group=group_id, topic=topic, partition=partition), value, version)


def offset_tombstone(group_id: str, topic: str, partition: int) -> CoordinatorRecord:
    return CoordinatorRecord(OffsetCommitKey(group=group_id, topic=topic, partition=partition), None)
