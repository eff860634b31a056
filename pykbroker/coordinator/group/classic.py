"""Classic groups: join, sync, heartbeat, leave, describe (GroupMetadataManager, classic part). KIP-62, 345, 394, 814.

The states and their table are in `classic_group.py`, what moves a group through them in `classic_rebalance.py`,
JoinGroup in `classic_join.py`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pykbroker.coordinator.errors import client_error
from pykbroker.coordinator.group.classic_group import (
    COMPLETING_REBALANCE,
    DEAD,
    EMPTY,
    PREPARING_REBALANCE,
    STABLE,
    ClassicGroup,
)
from pykbroker.coordinator.group.classic_join import Join, Joiner
from pykbroker.coordinator.group.classic_member import ClassicMember
from pykbroker.coordinator.group.classic_rebalance import Rebalancer, join_error
from pykbroker.coordinator.group.consumer_group import ConsumerGroup
from pykbroker.coordinator.group.group_records import classic_group_record, new_classic_group_record
from pykbroker.coordinator.group.group_types import SHARE, STREAMS
from pykbroker.coordinator.shard import CoordinatorRecord, Outcome, Replies, Reply
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from pykbroker.protocol.messages.leave_group import (
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberIdentity,
    MemberResponse,
)
from pykbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.coordinator.group.consumer_classic import ClassicSide
    from pykbroker.coordinator.group.groups import Group, Groups
    from pykbroker.coordinator.timers import Timers
    from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
    from pykbroker.protocol.persisted.group.group_metadata import GroupMetadataValue
    from pykbroker.request import RequestContext


class ClassicGroups:
    """The classic groups of one shard. `consumer_side` comes with the first consumer group."""

    __slots__ = ("_clock", "_groups", "_joiner", "_max_size", "_tombstones", "consumer_side", "rebalancer")

    def __init__(
        self,
        clock: "Clock",
        timers: "Timers",
        groups: "Groups",
        *,
        initial_delay_ms: int,
        max_size: int,
        new_id: Callable[[], str],
        tombstones: "Callable[[Group], list[CoordinatorRecord]]",
    ) -> None:
        """`new_id` makes the random part of member ids; `tombstones` ends a group of another kind."""
        self._clock = clock
        self._groups = groups
        self._max_size = max_size
        self._tombstones = tombstones
        self.rebalancer = Rebalancer(clock, timers, initial_delay_ms)
        self._joiner = Joiner(clock, timers, self.rebalancer, max_size, new_id)
        self.consumer_side: ClassicSide

    # -- JoinGroup

    def join(
        self, ctx: "RequestContext", request: "JoinGroupRequest", reply: "Reply[JoinGroupResponse]"
    ) -> Outcome[None]:
        """Raises KafkaError for a consumer group."""
        out: Outcome[None] = Outcome()
        group_id = request.group_id
        existing = self._groups.get(group_id)
        if isinstance(existing, ConsumerGroup) and not existing.is_empty:
            return self.consumer_side.join(existing, ctx, request, reply)
        has_streams = existing is not None and existing.group_type == STREAMS and not existing.is_empty
        if has_streams or (existing is not None and existing.group_type == SHARE):
            out.reply(reply, join_error("", ErrorCode.INCONSISTENT_GROUP_PROTOCOL))
            return out
        join = Join(ctx, request, reply)
        if isinstance(existing, ClassicGroup):
            self._joiner.join(existing, join, out)
        elif request.member_id:
            out.reply(reply, join_error(request.member_id, ErrorCode.UNKNOWN_MEMBER_ID))
        else:
            self._join_new_group(existing, group_id, join, out)
        return out

    def _join_new_group(self, replaced: "Group | None", group_id: str, join: Join, out: Outcome[None]) -> None:
        """The group is stored at once, without members, so that it is there when its offsets are."""
        group = ClassicGroup(group_id, self._clock.wall_ms())
        self._groups.put(group)
        if replaced is not None:
            out.records.extend(self._tombstones(replaced))
        self._joiner.join(group, join, out)
        out.records.append(new_classic_group_record(group))
        out.replay = False

        def failed(code: int) -> Replies:
            if self._groups.get(group_id) is not group:
                self.rebalancer.forget(group)
            return [(join.reply, join_error("", client_error(code)))]

        out.on_failed = failed

    # -- SyncGroup

    def sync(self, request: SyncGroupRequest, reply: Reply[SyncGroupResponse]) -> Outcome[None]:
        """Raises KafkaError for a consumer group."""
        existing = self._groups.get(request.group_id)
        if isinstance(existing, ConsumerGroup) and not existing.is_empty:
            return self.consumer_side.sync(existing, request, reply)
        out: Outcome[None] = Outcome()
        group = self._groups.classic(request.group_id)
        try:
            if group is None or group.state == EMPTY:
                raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
            self._sync(group, self._validate_sync(group, request), request, reply, out)
        except KafkaError as error:
            out.reply(reply, SyncGroupResponse(error_code=error.code))
        return out

    def _validate_sync(self, group: ClassicGroup, request: SyncGroupRequest) -> ClassicMember:
        member = group.validate_member(request.member_id, request.group_instance_id)
        if request.generation_id != group.generation_id:
            raise KafkaError(ErrorCode.ILLEGAL_GENERATION)
        for asked, actual in (
            (request.protocol_type, group.protocol_type),
            (request.protocol_name, group.protocol_name),
        ):
            if asked is not None and actual is not None and asked != actual:
                raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        return member

    def _sync(
        self,
        group: ClassicGroup,
        member: ClassicMember,
        request: SyncGroupRequest,
        reply: Reply[SyncGroupResponse],
        out: Outcome[None],
    ) -> None:
        if group.state == PREPARING_REBALANCE:
            raise KafkaError(ErrorCode.REBALANCE_IN_PROGRESS)
        self.rebalancer.synced(group, member.member_id)
        # An earlier SyncGroup of the same member, from a connection that it gave up, must not wait for ever.
        self.rebalancer.reply_sync(member, SyncGroupResponse(error_code=ErrorCode.REBALANCE_IN_PROGRESS), out)
        if group.state == STABLE:
            answer = SyncGroupResponse(
                protocol_type=group.protocol_type, protocol_name=group.protocol_name, assignment=member.assignment
            )
            out.reply(reply, answer)
            return
        member.awaiting_sync = reply
        if member.member_id == group.leader_id:
            self._store_assignment(group, request, out)

    def _store_assignment(self, group: ClassicGroup, request: SyncGroupRequest, out: Outcome[None]) -> None:
        given = {row.member_id: bytes(row.assignment) for row in request.assignments}
        assignments = {member_id: given.get(member_id, b"") for member_id in group.members}
        out.records.append(classic_group_record(group, assignments))
        out.replay = False

        def is_current() -> bool:
            return group.state == COMPLETING_REBALANCE and request.generation_id == group.generation_id

        def committed() -> Replies:
            done: Outcome[None] = Outcome()
            if is_current():
                for member in group.members.values():
                    member.assignment = assignments.get(member.member_id, b"")
                self.rebalancer.propagate_assignment(group, done)
                group.transition(STABLE, self._clock.wall_ms())
            return done.replies

        def failed(code: int) -> Replies:
            done: Outcome[None] = Outcome()
            if is_current():
                self.rebalancer.reset_assignment(group, client_error(code), done)
                self.rebalancer.maybe_prepare(group, f"error {code} when storing group assignment", done)
            return done.replies

        out.on_committed, out.on_failed = committed, failed

    # -- Heartbeat

    def heartbeat(self, request: HeartbeatRequest) -> Outcome[HeartbeatResponse]:
        """Raises KafkaError UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION."""
        existing = self._groups.get(request.group_id)
        if isinstance(existing, ConsumerGroup):
            return self.consumer_side.heartbeat(existing, request)
        group = self._groups.classic(request.group_id)
        if group is None:
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID, f"Group {request.group_id} not found.")
        member = group.validate_member(request.member_id, request.group_instance_id)
        if request.generation_id != group.generation_id:
            raise KafkaError(ErrorCode.ILLEGAL_GENERATION)
        self.rebalancer.restart_session(member)
        preparing = group.state == PREPARING_REBALANCE
        return Outcome(HeartbeatResponse(error_code=ErrorCode.REBALANCE_IN_PROGRESS if preparing else ErrorCode.NONE))

    # -- LeaveGroup

    def leave(self, request: LeaveGroupRequest) -> Outcome[LeaveGroupResponse]:
        """Raises KafkaError UNKNOWN_MEMBER_ID when there is no such group."""
        existing = self._groups.get(request.group_id)
        if isinstance(existing, ConsumerGroup):
            return self.consumer_side.leave(existing, request)
        group = self._groups.classic(request.group_id)
        if group is None:
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID, f"Group {request.group_id} not found.")
        out: Outcome[LeaveGroupResponse] = Outcome()
        rows = [self._leave_one(group, identity, out) for identity in request.members]
        out.response = LeaveGroupResponse(members=rows)
        left = [row.member_id for row in rows if not row.error_code]
        if left and group.state in (STABLE, COMPLETING_REBALANCE):
            self.rebalancer.maybe_prepare(group, f"explicit LeaveGroup request of {left}", out)
        elif left:
            self.rebalancer.maybe_complete(group, out)
        return out

    def _leave_one(self, group: ClassicGroup, identity: MemberIdentity, out: Outcome[Any]) -> MemberResponse:
        row = MemberResponse(member_id=identity.member_id, group_instance_id=identity.group_instance_id)
        try:
            if identity.member_id in group.pending_join:
                self.rebalancer.end_session(group, identity.member_id)
                group.remove(identity.member_id)
            else:
                self._remove(group, self._leaving_member(group, identity), out)
        except KafkaError as error:
            row.error_code = error.code
        return row

    def _leaving_member(self, group: ClassicGroup, identity: MemberIdentity) -> ClassicMember:
        if identity.member_id:
            return group.validate_member(identity.member_id, identity.group_instance_id)
        # An administrator removes a static member, whose member id he need not know.
        member_id = group.static_member_id(identity.group_instance_id)
        if member_id is None:
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
        return group.members[member_id]

    def _remove(self, group: ClassicGroup, member: ClassicMember, out: Outcome[Any]) -> None:
        self.rebalancer.end_session(group, member.member_id)
        self.rebalancer.reply_join(group, member, join_error("", ErrorCode.UNKNOWN_MEMBER_ID), out)
        self.rebalancer.reply_sync(member, SyncGroupResponse(error_code=ErrorCode.UNKNOWN_MEMBER_ID), out)
        group.remove(member.member_id)

    # -- loading and unloading

    def replay(self, group_id: str, value: "GroupMetadataValue | None") -> None:
        if value is None:
            group = self._groups.classic(group_id)
            if group is not None:
                self.rebalancer.forget(group)
                self._groups.remove(group_id)
            return
        self._groups.put(loaded_group(group_id, value))

    def on_loaded(self) -> list[Outcome[None]]:
        """Sessions begin when the group is loaded. A group beyond the limit must rebalance."""
        outcomes = []
        for group in self._groups:
            if not isinstance(group, ClassicGroup):
                continue
            for member in group.members.values():
                self.rebalancer.restart_session(member)
            if len(group.members) > self._max_size:
                out: Outcome[None] = Outcome()
                self.rebalancer.prepare(group, f"freshly loaded with more than {self._max_size} members", out)
                outcomes.append(out)
        return outcomes

    def on_unloaded(self) -> Replies:
        """Everyone who waits must ask another coordinator."""
        out: Outcome[None] = Outcome()
        for group in self._groups:
            if not isinstance(group, ClassicGroup):
                continue
            group.transition(DEAD, self._clock.wall_ms())
            for member in group.members.values():
                self.rebalancer.reply_join(group, member, join_error(member.member_id, ErrorCode.NOT_COORDINATOR), out)
                self.rebalancer.reply_sync(member, SyncGroupResponse(error_code=ErrorCode.NOT_COORDINATOR), out)
        return out.replies


def loaded_group(group_id: str, value: "GroupMetadataValue") -> ClassicGroup:
    """The group that a record describes: Stable, or Empty without members."""
    group = ClassicGroup(group_id, value.current_state_timestamp, STABLE if value.members else EMPTY)
    group.generation_id = value.generation
    group.protocol_type = value.protocol_type or None
    group.protocol_name = value.protocol
    group.leader_id = value.leader
    for row in value.members:
        member = ClassicMember(
            group_id,
            row.member_id,
            row.group_instance_id,
            row.client_id,
            row.client_host,
            row.session_timeout if row.rebalance_timeout == -1 else row.rebalance_timeout,
            row.session_timeout,
            ((value.protocol or "", bytes(row.subscription)),),
            bytes(row.assignment),
        )
        group.add(member, value.protocol_type)
    group.subscribed_topics = group.compute_subscribed_topics()
    return group
