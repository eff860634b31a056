"""ConsumerGroupHeartbeat: members join, say what they own, are told what to consume, and leave (KIP-848).

Three steps per heartbeat: the member changes, and the group's epoch with its subscription; the target assignment
follows the epoch, not more often than the assignment interval allows; the member moves towards its own part of it.
Kafka: GroupMetadataManager.consumerGroupHeartbeat.
"""

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pykbroker.coordinator.group.classic_group import ClassicGroup
from pykbroker.coordinator.group.consumer_checks import (
    check_epoch,
    check_heartbeat,
    check_released,
    check_room,
    known_static_member,
)
from pykbroker.coordinator.group.consumer_group import ConsumerGroup
from pykbroker.coordinator.group.consumer_member import (
    LEAVE,
    LEAVE_STATIC,
    ConsumerMember,
    MemberState,
    Partitions,
    with_epoch,
    without_epochs,
)
from pykbroker.coordinator.group.consumer_patterns import PATTERNS, Change, Patterns
from pykbroker.coordinator.group.consumer_records import (
    current_assignment_record,
    group_epoch_record,
    member_metadata_record,
    member_tombstones,
    partition_metadata_tombstone,
    pattern_tombstone,
    target_assignment_record,
)
from pykbroker.coordinator.group.consumer_settings import ConsumerSettings
from pykbroker.coordinator.group.consumer_timers import MEMBER_TIMERS, REBALANCE, MemberTimers
from pykbroker.coordinator.group.metadata_hash import MetadataHasher
from pykbroker.coordinator.group.reconciliation import Step, reconcile
from pykbroker.coordinator.group.target_assignment import topic_ids, update_target
from pykbroker.coordinator.shard import TIMER_RETRY_MS, Outcome
from pykbroker.coordinator.timeline import Timeline
from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.coordinator.group.consumer_migration import Migration
    from pykbroker.coordinator.group.groups import Groups
    from pykbroker.coordinator.timers import Timers
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.protocol.messages.consumer_group_heartbeat import (
        ConsumerGroupHeartbeatRequest,
        ConsumerGroupHeartbeatResponse,
    )
    from pykbroker.request import RequestContext

logger = logging.getLogger(__name__)


class ConsumerGroups:
    """The consumer groups of one shard. `migration` is set right after. TIMERS: the first parts of its timers' keys."""

    TIMERS = frozenset((*MEMBER_TIMERS, PATTERNS))

    def __init__(
        self,
        settings: ConsumerSettings,
        clock: "Clock",
        timers: "Timers",
        groups: "Groups",
        image: "Callable[[], MetadataImage]",
    ) -> None:
        self.clock = clock
        self.groups = groups
        self.image = image
        self.settings = settings
        self.timers = MemberTimers(clock, timers)
        self.hasher = MetadataHasher(image)
        self.patterns = Patterns(clock, timers, groups, image, self.hasher, self.settings)
        self.migration: Migration

    # -- ConsumerGroupHeartbeat

    def heartbeat(
        self, ctx: "RequestContext", request: "ConsumerGroupHeartbeatRequest"
    ) -> "Outcome[ConsumerGroupHeartbeatResponse]":
        """Raises KafkaError."""
        if request.member_epoch in (LEAVE, LEAVE_STATIC):
            return self._leave(request)
        out: Outcome[ConsumerGroupHeartbeatResponse] = Outcome()
        group = self._group(request.group_id, request.member_epoch == 0, out)
        check_room(group, request.member_id, self.settings.max_size)
        reported = _reported(request)
        member = self._member(group, request, reported, out)
        updated, changed, target_epoch, target = self.subscribe(group, member, _updated(member, ctx, request), out)
        updated = self.step(group, updated, target_epoch, target, reported, changed=changed, out=out)
        self.timers.restart_session(group.group_id, updated.member_id, self.settings.session_timeout_ms(group.group_id))
        out.response = self._response(group.group_id, request, member, updated)
        return out

    def _response(
        self, group_id: str, request: "ConsumerGroupHeartbeatRequest", old: ConsumerMember, new: ConsumerMember
    ) -> "ConsumerGroupHeartbeatResponse":
        """The assignment is told when it changed, or when the member tells everything about itself."""
        from pykbroker.protocol.messages.consumer_group_heartbeat import (
            Assignment,
            ConsumerGroupHeartbeatResponse,
            TopicPartitions,
        )

        response = ConsumerGroupHeartbeatResponse(
            member_id=new.member_id,
            member_epoch=new.epoch,
            heartbeat_interval_ms=self.settings.heartbeat_interval_ms(group_id),
        )
        if request.member_epoch == 0 or _is_full(request) or old.owned != new.owned:
            rows = [TopicPartitions(topic_id=key, partitions=sorted(owned)) for key, owned in new.owned.items()]
            response.assignment = Assignment(topic_partitions=rows)
        return response

    def _group(self, group_id: str, create: bool, out: Outcome[Any]) -> ConsumerGroup:
        """Raises KafkaError GROUP_ID_NOT_FOUND. A new group comes into being by replaying its records."""
        existing = self.groups.get(group_id)
        if isinstance(existing, ConsumerGroup):
            return existing
        if existing is None:
            if not create:
                raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Consumer group {group_id} not found.")
            return ConsumerGroup(group_id, Timeline())
        if create and isinstance(existing, ClassicGroup):
            return self.migration.upgrade(existing, out)
        raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} is not a consumer group.")

    # -- the member

    def _member(
        self,
        group: ConsumerGroup,
        request: "ConsumerGroupHeartbeatRequest",
        reported: Partitions | None,
        out: Outcome[Any],
    ) -> ConsumerMember:
        if request.instance_id is not None:
            member_id = request.member_id or str(Uuid.random())
            if request.member_epoch == 0:
                return self.join_static(group, member_id, request.instance_id, out, classic=False)
            member = known_static_member(group, request.instance_id, member_id)
        elif request.member_epoch == 0:
            member_id = request.member_id or str(Uuid.random())
            member = group.members.get(member_id) or ConsumerMember(member_id)
        else:
            member = group.member(request.member_id)
        check_epoch(member, request.member_epoch, reported)
        return member

    def join_static(
        self, group: ConsumerGroup, member_id: str, instance_id: str, out: Outcome[Any], *, classic: bool
    ) -> ConsumerMember:
        """A new static member, or one under a new id in the place of the old one, with what that had."""
        existing = group.static_member(instance_id)
        if existing is None:
            return group.members.get(member_id) or ConsumerMember(member_id)
        if not classic and not existing.uses_classic:
            check_released(existing, member_id, instance_id)
        member = existing._replace(member_id=member_id, epoch=0, previous_epoch=0)
        group_id = group.group_id
        # The old one's timers stay in case this can't be written; they find nobody when they come.
        out.records.extend(member_tombstones(group_id, existing.member_id))
        out.records.append(member_metadata_record(group_id, member))
        out.records.append(target_assignment_record(group_id, member_id, group.target(existing)))
        out.records.append(current_assignment_record(group_id, member))
        return member

    def subscribe(
        self, group: ConsumerGroup, old: ConsumerMember, new: ConsumerMember, out: Outcome[Any]
    ) -> tuple[ConsumerMember, bool, int, Partitions]:
        """The member, whether its subscription changed, and the target assignment that it should move to now."""
        changed, epoch = self.change(group, old, new, out)
        target_epoch, target = self._update_target(group, new, epoch, out)
        return new, changed, target_epoch, target

    def change(
        self, group: ConsumerGroup, old: ConsumerMember, new: ConsumerMember, out: Outcome[Any]
    ) -> tuple[bool, int]:
        """Stores what is new about a member: whether that is its subscription, and the epoch of the group then."""
        if new != old:
            out.records.append(member_metadata_record(group.group_id, new))
        names_changed = new.topics != old.topics
        pattern = self.patterns.update(group, old, new, out)
        changed = names_changed or pattern is not Change.NONE
        # A pattern that must be resolved first changes the epoch when it is.
        bump = (changed and new.uses_classic) or names_changed or pattern is Change.RESOLVED
        return changed, self._refresh(group, new, bump, out)

    def _refresh(self, group: ConsumerGroup, updated: ConsumerMember, bump: bool, out: Outcome[Any]) -> int:
        """The epoch of the group, a new one if its subscription or one of its topics has changed."""
        epochs = group.epochs
        topics = self.image().topics
        seen = group.refreshed_for
        if not bump and seen is not None and seen[0] is topics and seen[1] <= epochs.group:
            return epochs.group
        metadata_hash = self._hash(group, group.with_member(updated))
        epoch = epochs.group
        if bump or metadata_hash != epochs.metadata_hash:
            epoch += 1
            out.records.append(group_epoch_record(group.group_id, epoch, metadata_hash))
            logger.info("Bumped epoch of group %s to %d with metadata hash %d", group.group_id, epoch, metadata_hash)
        group.refreshed_for = topics, epoch
        if group.has_partition_metadata:
            out.records.append(partition_metadata_tombstone(group.group_id))
        return epoch

    def _hash(self, group: ConsumerGroup, members: Iterable[ConsumerMember]) -> int:
        subscriptions = {group.topics_of(member) for member in members}
        return self.hasher.group_hash(frozenset().union(*subscriptions))

    # -- the target assignment

    def _update_target(
        self, group: ConsumerGroup, member: ConsumerMember, epoch: int, out: Outcome[Any]
    ) -> tuple[int, Partitions]:
        epochs = group.epochs
        now_ms = self.clock.wall_ms()
        interval = self.settings.assignment_interval_ms(group.group_id)
        too_soon = epochs.assigned_at and interval and now_ms < epochs.assigned_at + interval
        if epoch <= epochs.assignment or too_soon:
            return epochs.assignment, group.target(member)
        name = group.preferred_assignor(group.with_member(member)) or ""
        assignors = self.settings.assignors
        # A name that is not configured any more may stand in a record.
        assignor = assignors.get(name) or assignors[self.settings.default_assignor]
        return epoch, update_target(group, member, epoch, assignor, self.image().topics, now_ms, out.records)

    # -- the member's part of it

    def step(
        self,
        group: ConsumerGroup,
        member: ConsumerMember,
        target_epoch: int,
        target: Partitions,
        reported: Partitions | None,
        *,
        changed: bool,
        out: Outcome[Any],
    ) -> ConsumerMember:
        """The member after one step towards its target. Raises KafkaError FENCED_MEMBER_EPOCH."""
        if not changed and member.is_reconciled_to(target_epoch):
            return member
        subscribed = topic_ids(group.topics_of(member), self.image().topics)
        step = Step(target_epoch, target, subscribed, group.partition_epochs, reported, changed)
        moved = reconcile(member, step)
        if moved != member:
            out.records.append(current_assignment_record(group.group_id, moved))
            self.timers.after_step(group.group_id, moved)
        return moved

    # -- leaving

    def _leave(self, request: "ConsumerGroupHeartbeatRequest") -> "Outcome[ConsumerGroupHeartbeatResponse]":
        from pykbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatResponse

        group = self.groups.require(request.group_id)
        if not isinstance(group, ConsumerGroup):
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {request.group_id} is not a consumer group.")
        response = ConsumerGroupHeartbeatResponse(member_id=request.member_id, member_epoch=request.member_epoch)
        out: Outcome[ConsumerGroupHeartbeatResponse] = Outcome(response)
        if request.instance_id is None:
            self.fence(group, [group.member(request.member_id)], out)
            return out
        member = known_static_member(group, request.instance_id, request.member_id)
        if request.member_epoch == LEAVE:
            self.fence(group, [member], out)
            return out
        # A static member will be back, or its session ends; until then it keeps what it has.
        away = member._replace(epoch=LEAVE_STATIC, owned=with_epoch(without_epochs(member.owned), 0), revoking={})
        out.records.append(current_assignment_record(group.group_id, away))
        return out

    def fence(
        self, group: ConsumerGroup, members: list[ConsumerMember], out: Outcome[Any], *, is_timed_out: bool = False
    ) -> None:
        """Members go; the group may become a classic one if only classic members are left. Who stays because that
        cannot be written has a session again: nobody stays who is not there."""
        if not members:
            return
        if not self.migration.downgrade_without(group, members, out):
            self._fence(group, members, out)
        timeout = TIMER_RETRY_MS if is_timed_out else self.settings.session_timeout_ms(group.group_id)

        def keep() -> None:
            for member in members:
                self.timers.restart_session(group.group_id, member.member_id, timeout)

        out.when_failed(keep)

    def _fence(self, group: ConsumerGroup, members: list[ConsumerMember], out: Outcome[Any]) -> None:
        gone = {member.member_id for member in members}
        for member in members:
            out.records.extend(member_tombstones(group.group_id, member.member_id))
            self.timers.forget(group.group_id, member.member_id)
        left = [member for _, member in group.members.items() if member.member_id not in gone]
        unused = {member.regex for member in members if member.regex} - {member.regex for member in left}
        out.records.extend(pattern_tombstone(group.group_id, regex) for regex in sorted(unused))
        epoch = group.epochs.group + 1
        out.records.append(group_epoch_record(group.group_id, epoch, self._hash(group, left)))
        logger.info("Group %s goes on in epoch %d without %s", group.group_id, epoch, sorted(gone))

    # -- deadlines and loading

    def on_deadline(self, key: tuple[str, ...], out: Outcome[Any]) -> None:
        if key[0] == PATTERNS:
            self.patterns.on_deadline(key[1], out)
            return
        name, group_id, member_id = key
        expected = self.timers.rebalance_epoch(group_id, member_id) if name == REBALANCE else None
        group = self.groups.get(group_id)
        member = group.members.get(member_id) if isinstance(group, ConsumerGroup) else None
        if not isinstance(group, ConsumerGroup) or not isinstance(member, ConsumerMember):
            return
        if name != REBALANCE or member.epoch == expected:
            logger.info("Member %s of group %s is fenced: its %s timed out", member_id, group_id, name)
            self.fence(group, [member], out, is_timed_out=True)

    def on_loaded(self) -> None:
        """Sessions begin when the group is loaded."""
        for group in self.groups:
            if not isinstance(group, ConsumerGroup):
                continue
            timeout = self.settings.session_timeout_ms(group.group_id)
            for _, member in group.members.items():
                self.timers.restart_session(group.group_id, member.member_id, timeout)
                if member.state == MemberState.UNREVOKED_PARTITIONS:
                    self.timers.after_step(group.group_id, member)

    def check(self, request: "ConsumerGroupHeartbeatRequest", version: int) -> None:
        """Raises KafkaError INVALID_REQUEST, UNSUPPORTED_ASSIGNOR."""
        check_heartbeat(request, version, self.settings.assignors)


def _reported(request: "ConsumerGroupHeartbeatRequest") -> Partitions | None:
    if request.topic_partitions is None:
        return None
    reported: dict[Uuid, frozenset[int]] = {}
    for row in request.topic_partitions:
        reported[row.topic_id] = reported.get(row.topic_id, frozenset()).union(row.partitions)
    return reported


def _is_full(request: "ConsumerGroupHeartbeatRequest") -> bool:
    subscribes = request.subscribed_topic_names is not None or request.subscribed_topic_regex is not None
    return request.rebalance_timeout_ms != -1 and subscribes and request.topic_partitions is not None


def _updated(member: ConsumerMember, ctx: "RequestContext", request: "ConsumerGroupHeartbeatRequest") -> ConsumerMember:
    """What the request does not mention stays."""
    names, regex = request.subscribed_topic_names, request.subscribed_topic_regex
    return member._replace(
        instance_id=member.instance_id if request.instance_id is None else request.instance_id,
        rack_id=member.rack_id if request.rack_id is None else request.rack_id,
        rebalance_timeout_ms=member.rebalance_timeout_ms
        if request.rebalance_timeout_ms == -1
        else request.rebalance_timeout_ms,
        assignor=member.assignor if request.server_assignor is None else request.server_assignor,
        topics=member.topics if names is None else frozenset(names),
        regex=member.regex if regex is None else regex,
        client_id=ctx.client_id or "",
        client_host="/" + ctx.client_host,
        classic=None,
    )
