"""Group state → records, in the versions of metadata.version 4.3 (GroupCoordinatorRecordHelpers)."""

from collections.abc import Mapping
from typing import Final

from pykbroker.coordinator.group.classic_group import ClassicGroup
from pykbroker.coordinator.group.offset_and_metadata import NO_EPOCH, NO_EXPIRATION
from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.ids import ZERO_UUID, Uuid
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


def offset_record(
    group_id: str,
    topic: str,
    partition: int,
    *,
    offset: int,
    leader_epoch: int,
    metadata: str,
    committed_at: int,
    expires_at: int = NO_EXPIRATION,
    topic_id: Uuid = ZERO_UUID,
) -> CoordinatorRecord:
    """What OffsetAndMetadata is of it; milliseconds of wall time."""
    version = OFFSET_COMMIT_VERSION
    if expires_at != NO_EXPIRATION:
        # The version that can expire has no room for these; memory shall not know more than the log.
        version, leader_epoch, topic_id = OFFSET_COMMIT_EXPIRING_VERSION, NO_EPOCH, ZERO_UUID
    # Not by keywords, which messages take at twice the cost: clients commit all the time.
    value = OffsetCommitValue(offset, leader_epoch, metadata, committed_at, expires_at, topic_id)
    return CoordinatorRecord(OffsetCommitKey(group_id, topic, partition), value, version)


def offset_tombstone(group_id: str, topic: str, partition: int) -> CoordinatorRecord:
    return CoordinatorRecord(OffsetCommitKey(group=group_id, topic=topic, partition=partition), None)
