"""Groups change their protocol on line: classic to consumer with the first new member, and back with the last one.

Allowed by group.consumer.migration.policy. Kafka: convertToConsumerGroup, convertToClassicGroup (KIP-848).
"""

import logging
from typing import TYPE_CHECKING, Any, Final

from pykbroker.coordinator.group.classic_group import STABLE, ClassicGroup
from pykbroker.coordinator.group.classic_member import ClassicMember
from pykbroker.coordinator.group.classic_rebalance import Rebalancer, join_error
from pykbroker.coordinator.group.consumer_group import CONSUMER, ConsumerGroup
from pykbroker.coordinator.group.consumer_member import ClassicMetadata, ConsumerMember, Partitions, with_epoch
from pykbroker.coordinator.group.consumer_records import (
    current_assignment_record,
    group_epoch_record,
    group_tombstones,
    member_metadata_record,
    target_assignment_record,
    target_epoch_record,
)
from pykbroker.coordinator.group.group_records import classic_group_record, classic_group_tombstone
from pykbroker.coordinator.group.modern_group import Epochs
from pykbroker.coordinator.group.subscription import encode_assignment, parse_assignment, parse_subscription
from pykbroker.coordinator.shard import Outcome, Replies
from pykbroker.coordinator.timeline import Timeline
from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.sync_group import SyncGroupResponse
from pykbroker.protocol.persisted.group.group_metadata import GroupMetadataValue

if TYPE_CHECKING:
    from pykbroker.coordinator.group.consumer import ConsumerGroups
    from pykbroker.coordinator.shard import CoordinatorRecord

logger = logging.getLogger(__name__)

# More than a coordinator begins without storing one.
SKIPPED_GENERATIONS: Final = 1000


class Migration:
    """Both ways, for one shard."""

    __slots__ = ("_consumers", "_rebalancer")

    def __init__(self, consumers: "ConsumerGroups", rebalancer: Rebalancer) -> None:
        self._consumers = consumers
        self._rebalancer = rebalancer

    # -- classic to consumer

    def upgrade(self, classic: ClassicGroup, out: Outcome[Any]) -> ConsumerGroup:
        """The group as a consumer group, whose records are added. Raises KafkaError GROUP_ID_NOT_FOUND."""
        if classic.is_empty:
            # Replaying the tombstone removes it; its offsets stay.
            out.records.append(classic_group_tombstone(classic.group_id))
            return ConsumerGroup(classic.group_id, Timeline())
        self._check_upgrade(classic)
        group = self._converted(classic)
        for member in classic.members.values():
            self._rebalancer.reply_join(
                classic, member, join_error(member.member_id, ErrorCode.REBALANCE_IN_PROGRESS), out
            )
            self._rebalancer.reply_sync(member, SyncGroupResponse(error_code=ErrorCode.REBALANCE_IN_PROGRESS), out)
        out.records.append(classic_group_tombstone(classic.group_id))
        out.records.extend(_records(group))
        for _, row in group.members.items():
            if row.classic is not None:
                timeout = row.classic.session_timeout_ms
                self._consumers.timers.restart_session(group.group_id, row.member_id, timeout)
        logger.info("Converted the classic group %s to a consumer group", group.group_id)
        return group

    def _check_upgrade(self, classic: ClassicGroup) -> None:
        settings = self._consumers.settings
        if not settings.allows_upgrade:
            raise _cannot_upgrade(classic, "because online upgrade is disabled.")
        if not classic.uses_consumer_protocol:
            raise _cannot_upgrade(classic, "because the group does not use the consumer embedded protocol.")
        if len(classic.members) > settings.max_size:
            raise _cannot_upgrade(classic, "because the group size exceeds the consumer group maximum size.")

    def _converted(self, classic: ClassicGroup) -> ConsumerGroup:
        group = ConsumerGroup(classic.group_id, Timeline())
        given: dict[Uuid, frozenset[int]] = {}
        for member in classic.members.values():
            target = self._assigned(classic, member)
            for topic_id, partitions in target.items():
                _check_given_once(classic, topic_id, given.get(topic_id, frozenset()) & partitions)
                given[topic_id] = given.get(topic_id, frozenset()) | partitions
            try:
                group.put_member(_consumer_member(classic, member, target))
            except MalformedFrame as error:
                raise _malformed(classic) from error
            group.targets[member.member_id] = target
        topics = frozenset().union(*(member.topics for _, member in group.members.items()))
        generation = classic.generation_id
        group.epochs = Epochs(generation, self._consumers.hasher.group_hash(topics), generation, 0)
        return group

    def _assigned(self, classic: ClassicGroup, member: ClassicMember) -> Partitions:
        if not member.assignment:
            return {}
        try:
            assignment = parse_assignment(member.assignment)
        except MalformedFrame as error:
            raise _malformed(classic) from error
        if assignment.user_data:
            raise _cannot_upgrade(
                classic,
                "because an unsupported custom assignor is in use. Please refer to the documentation or switch to a "
                "default assignor before re-attempting the upgrade.",
            )
        topics = self._consumers.image().topics
        return {
            topics.by_name[row.topic].id: frozenset(row.partitions)
            for row in assignment.assigned_partitions
            if row.topic in topics
        }

    # -- consumer to classic

    def downgrade_without(self, group: ConsumerGroup, leaving: list[ConsumerMember], out: Outcome[Any]) -> bool:
        """If only classic members are left then. False: it stays a consumer group."""
        gone = {member.member_id for member in leaving}
        left = [member for _, member in group.members.items() if member.member_id not in gone]
        if not left or not all(member.uses_classic for member in left) or not self._allows_downgrade(group, len(left)):
            return False
        for member in leaving:
            self._consumers.timers.forget(group.group_id, member.member_id)
        rows = [(member, group.targets.get(member.member_id) or {}) for member in left]
        out.records.extend(group_tombstones(group))
        self._become_classic(group, rows, out, rebalance=True)
        return True

    def may_downgrade_with(self, group: ConsumerGroup, replaced: ConsumerMember) -> bool:
        """If a classic member takes the place of the last one that is not."""
        others = [member for _, member in group.members.items() if member.member_id != replaced.member_id]
        if replaced.uses_classic or not all(member.uses_classic for member in others):
            return False
        return self._allows_downgrade(group, len(group.members))

    def downgrade_with(
        self,
        group: ConsumerGroup,
        replaced: ConsumerMember,
        joining: ConsumerMember,
        out: Outcome[Any],
        *,
        rebalance: bool,
    ) -> None:
        """The records of the replacement are among `out.records` already."""
        others = [member for _, member in group.members.items() if member.member_id != replaced.member_id]
        rows = [(member, group.targets.get(member.member_id) or {}) for member in others]
        rows.append((joining, group.target(joining)))
        out.records.extend(group_tombstones(group, {replaced.member_id: joining.member_id}))
        self._become_classic(group, rows, out, rebalance=rebalance)

    def _allows_downgrade(self, group: ConsumerGroup, size: int) -> bool:
        settings = self._consumers.settings
        allowed = settings.allows_downgrade and size <= settings.classic_max_size
        if not allowed:
            logger.info("Consumer group %s can't become a classic group: too large, or disabled", group.group_id)
        return allowed

    def _become_classic(
        self,
        group: ConsumerGroup,
        rows: list[tuple[ConsumerMember, Partitions]],
        out: Outcome[Any],
        *,
        rebalance: bool,
    ) -> None:
        """State changes at once, not by replay: a rebalance goes on in memory."""
        classic = self._classic(group, rows)
        assignments = {member.member_id: member.assignment for member in classic.members.values()}
        record = classic_group_record(classic, assignments)
        if rebalance and isinstance(record.value, GroupMetadataValue):
            # If this coordinator goes before the rebalance has ended, the next one finds a generation that nobody is
            # in, so that all join again. In Kafka they would stay with what they had, and the rest with nobody.
            record.value.generation += SKIPPED_GENERATIONS
        out.records.append(record)
        out.replay = False
        self._consumers.groups.put(classic)
        for member in classic.members.values():
            self._rebalancer.restart_session(member)
        if rebalance:
            self._rebalancer.prepare(classic, "downgrade from consumer to classic", out)

        def failed(_: int) -> Replies:
            if self._consumers.groups.get(group.group_id) is not classic:
                self._rebalancer.forget(classic)
            return []

        out.on_failed = failed
        logger.info("Converted the consumer group %s to a classic group", group.group_id)

    def _classic(self, group: ConsumerGroup, rows: list[tuple[ConsumerMember, Partitions]]) -> ClassicGroup:
        classic = ClassicGroup(group.group_id, self._consumers.clock.wall_ms(), STABLE)
        classic.generation_id = group.epochs.group
        classic.protocol_type = CONSUMER
        for member, _ in rows:
            classic.add(_classic_member(group.group_id, member), CONSUMER)
        classic.protocol_name = classic.select_protocol()
        classic.subscribed_topics = classic.compute_subscribed_topics()
        topics = self._consumers.image().topics
        for member, target in rows:
            row = classic.members[member.member_id]
            row.assignment = encode_assignment(target, topics, row.metadata(classic.protocol_name) or b"")
        return classic


def _consumer_member(classic: ClassicGroup, member: ClassicMember, target: Partitions) -> ConsumerMember:
    """Raises MalformedFrame."""
    subscription = parse_subscription(member.metadata(classic.protocol_name) or b"")
    generation = classic.generation_id
    return ConsumerMember(
        member.member_id,
        generation,
        generation,
        instance_id=member.instance_id,
        rack_id=subscription.rack_id or None,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        client_id=member.client_id,
        client_host=member.client_host,
        topics=frozenset(subscription.topics),
        classic=ClassicMetadata(member.session_timeout_ms, member.protocols),
        owned=with_epoch(target, generation),
    )


def _classic_member(group_id: str, member: ConsumerMember) -> ClassicMember:
    if member.classic is None:
        raise RuntimeError(f"{member.member_id} is no classic member")
    return ClassicMember(
        group_id,
        member.member_id,
        member.instance_id,
        member.client_id,
        member.client_host,
        member.rebalance_timeout_ms,
        member.classic.session_timeout_ms,
        member.classic.protocols,
    )


def _records(group: ConsumerGroup) -> "list[CoordinatorRecord]":
    """All of a group that has just been converted."""
    group_id, epochs = group.group_id, group.epochs
    members = [member for _, member in group.members.items()]
    return [
        *(member_metadata_record(group_id, member) for member in members),
        group_epoch_record(group_id, epochs.group, epochs.metadata_hash),
        *(target_assignment_record(group_id, member_id, target) for member_id, target in group.targets.items()),
        target_epoch_record(group_id, epochs.assignment, epochs.assigned_at),
        *(current_assignment_record(group_id, member) for member in members),
    ]


def _cannot_upgrade(classic: ClassicGroup, why: str) -> KafkaError:
    return KafkaError(
        ErrorCode.GROUP_ID_NOT_FOUND, f"Cannot upgrade classic group {classic.group_id} to consumer group {why}"
    )


def _check_given_once(classic: ClassicGroup, topic_id: Uuid, twice: frozenset[int]) -> None:
    """Kafka too refuses with this error, and would not load such a group (ConsumerGroup.addPartitionEpochs)."""
    if twice:
        logger.warning(
            "Cannot upgrade classic group %s: its leader gave partitions %s of topic %s to several members; "
            "another assignor of the clients helps, or stopping all of them",
            classic.group_id,
            sorted(twice),
            topic_id,
        )
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)


def _malformed(classic: ClassicGroup) -> KafkaError:
    return _cannot_upgrade(classic, "because the embedded consumer protocol is malformed.")
