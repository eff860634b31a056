"""JoinGroup of a classic group: new and known, dynamic and static members. KIP-345, 394, 814."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pykbroker.coordinator.errors import client_error
from pykbroker.coordinator.group.classic_group import (
    COMPLETING_REBALANCE,
    EMPTY,
    PREPARING_REBALANCE,
    STABLE,
    ClassicGroup,
)
from pykbroker.coordinator.group.classic_member import ClassicMember, Protocols, heartbeat_timer
from pykbroker.coordinator.group.classic_rebalance import (
    NEW_MEMBER_JOIN_TIMEOUT_MS,
    Rebalancer,
    join_error,
    joined,
)
from pykbroker.coordinator.group.group_records import classic_group_record
from pykbroker.coordinator.shard import Outcome, Replies, Reply
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.sync_group import SyncGroupResponse

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.coordinator.timers import Timers
    from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
    from pykbroker.request import RequestContext

logger = logging.getLogger(__name__)

FIRST_VERSION_REQUIRING_MEMBER_ID: Final = 4
FIRST_VERSION_SKIPPING_ASSIGNMENT: Final = 9
MAX_PENDING_JOIN: Final = 10_000
_MAX_REASON: Final = 255
_MAX_STRING: Final = 32767


class Join:
    """One JoinGroup request, on its way to one group."""

    __slots__ = ("client_host", "client_id", "protocols", "rebalance_timeout_ms", "reply", "request", "version")

    def __init__(self, ctx: "RequestContext", request: "JoinGroupRequest", reply: "Reply[JoinGroupResponse]") -> None:
        self.version = ctx.api_version
        self.client_id = ctx.client_id or ""
        self.client_host = "/" + ctx.client_host
        self.request = request
        self.reply = reply
        self.protocols: Protocols = tuple((row.name, bytes(row.metadata)) for row in request.protocols)
        # Version 0 has no rebalance timeout of its own.
        self.rebalance_timeout_ms = request.rebalance_timeout_ms if ctx.api_version else request.session_timeout_ms

    @property
    def reason(self) -> str:
        return (self.request.reason or "not provided")[:_MAX_REASON]


class Joiner:
    """Decides JoinGroup requests. Stateless."""

    __slots__ = ("_clock", "_max_size", "_new_id", "_rebalancer", "_timers")

    def __init__(
        self, clock: "Clock", timers: "Timers", rebalancer: Rebalancer, max_size: int, new_id: Callable[[], str]
    ) -> None:
        self._clock = clock
        self._timers = timers
        self._rebalancer = rebalancer
        self._max_size = max_size
        self._new_id = new_id

    def join(self, group: ClassicGroup, join: Join, out: Outcome[Any]) -> None:
        member_id = join.request.member_id
        if not self._has_room(group, member_id):
            group.remove(member_id)
            out.reply(join.reply, join_error("", ErrorCode.GROUP_MAX_SIZE_REACHED))
            # It may have been the last one that the others waited for; in Kafka they wait for their timeout then.
            self._rebalancer.maybe_complete(group, out)
        elif not group.supports(join.request.protocol_type, [name for name, _ in join.protocols]):
            out.reply(join.reply, join_error(member_id, ErrorCode.INCONSISTENT_GROUP_PROTOCOL))
        elif not member_id:
            self._join_new(group, join, out)
        elif member_id in group.pending_join:
            self._join_pending(group, join, out)
        else:
            self._rejoin(group, join, out)

    def _has_room(self, group: ClassicGroup, member_id: str) -> bool:
        member = group.members.get(member_id)
        if group.state == EMPTY:
            return True
        if group.state == PREPARING_REBALANCE:
            # Who waits is counted, not who is a member: should the limit have shrunk, the last to rejoin are refused.
            return (member is not None and member.awaiting_join is not None) or group.waiting < self._max_size
        return member is not None or len(group.members) < self._max_size

    # -- new members

    def _join_new(self, group: ClassicGroup, join: Join, out: Outcome[Any]) -> None:
        instance_id = join.request.group_instance_id
        member_id = f"{join.client_id if instance_id is None else instance_id}-{self._new_id()}"
        existing = group.static_member_id(instance_id)
        if len(member_id.encode()) > _MAX_STRING:
            # No answer and no record has room for it.
            out.reply(join.reply, join_error("", ErrorCode.UNKNOWN_SERVER_ERROR))
        elif existing is not None:
            self._replace_static(group, group.members[existing], member_id, join, out)
        elif instance_id is None and join.version >= FIRST_VERSION_REQUIRING_MEMBER_ID:
            self._expect(group, member_id, join.request.session_timeout_ms)
            out.reply(join.reply, join_error(member_id, ErrorCode.MEMBER_ID_REQUIRED))
        else:
            self._add(group, member_id, join, out)

    def _expect(self, group: ClassicGroup, member_id: str, session_timeout_ms: int) -> None:
        """It shall come back with its member id. Of those that never do, only so many are remembered."""
        if len(group.pending_join) >= MAX_PENDING_JOIN:
            oldest = next(iter(group.pending_join))
            group.remove(oldest)
            self._rebalancer.end_session(group, oldest)
        group.pending_join[member_id] = None
        deadline = self._clock.monotonic() + session_timeout_ms / 1000
        self._timers.schedule(heartbeat_timer(group.group_id, member_id), deadline)

    def _join_pending(self, group: ClassicGroup, join: Join, out: Outcome[Any]) -> None:
        if join.request.group_instance_id is not None:
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, "a pending member can't be a static member")
        self._add(group, join.request.member_id, join, out)

    def _add(self, group: ClassicGroup, member_id: str, join: Join, out: Outcome[Any]) -> None:
        request = join.request
        member = ClassicMember(
            group.group_id,
            member_id,
            request.group_instance_id,
            join.client_id,
            join.client_host,
            join.rebalance_timeout_ms,
            request.session_timeout_ms,
            join.protocols,
        )
        member.is_new = True
        member.awaiting_join = join.reply
        if group.state == PREPARING_REBALANCE and group.previous_state == EMPTY:
            group.new_member_added = True
        group.add(member, request.protocol_type)
        self._rebalancer.restart_session(member, NEW_MEMBER_JOIN_TIMEOUT_MS)
        self._rebalancer.maybe_prepare(group, f"adding new member {member_id}; client reason: {join.reason}", out)

    # -- known members

    def _rejoin(self, group: ClassicGroup, join: Join, out: Outcome[Any]) -> None:
        member_id = join.request.member_id
        try:
            member = group.validate_member(member_id, join.request.group_instance_id)
        except KafkaError as error:
            out.reply(join.reply, join_error(member_id, error.code))
            return
        if self._needs_rebalance(group, member, join):
            self._update(group, member, join, out)
            self._rebalancer.maybe_prepare(
                group, f"member {member_id} joins in state {group.state}; client reason: {join.reason}", out
            )
            return
        # Nothing new: it may have missed the answer, so it is told the current generation again.
        leads = member_id == group.leader_id and group.state == COMPLETING_REBALANCE
        out.reply(join.reply, joined(group, member_id, with_members=leads))

    def _needs_rebalance(self, group: ClassicGroup, member: ClassicMember, join: Join) -> bool:
        if group.state == PREPARING_REBALANCE or member.protocols != join.protocols:
            return True
        # The leader rejoins to have partitions assigned anew, e.g. when topics changed.
        return group.state == STABLE and member.member_id == group.leader_id

    def _update(self, group: ClassicGroup, member: ClassicMember, join: Join, out: Outcome[Any]) -> None:
        # An earlier JoinGroup of the same member, from a connection that it gave up, must not wait for ever.
        self._rebalancer.reply_join(group, member, join_error(member.member_id, ErrorCode.REBALANCE_IN_PROGRESS), out)
        group.set_protocols(member, join.protocols)
        member.rebalance_timeout_ms = join.rebalance_timeout_ms
        member.session_timeout_ms = join.request.session_timeout_ms
        member.awaiting_join = join.reply
        group.waiting += 1

    # -- a static member that comes back without its member id

    def _replace_static(
        self, group: ClassicGroup, old: ClassicMember, member_id: str, join: Join, out: Outcome[Any]
    ) -> None:
        fenced = join_error(old.member_id, ErrorCode.FENCED_INSTANCE_ID)
        fenced.protocol_name = None
        self._rebalancer.reply_join(group, old, fenced, out)
        self._rebalancer.reply_sync(old, SyncGroupResponse(error_code=ErrorCode.FENCED_INSTANCE_ID), out)
        self._rebalancer.end_session(group, old.member_id)
        leader_id = group.leader_id
        member = group.replace_static(join.request.group_instance_id or "", old, member_id)
        self._rebalancer.restart_session(member)
        self._update(group, member, join, out)
        if group.state == COMPLETING_REBALANCE:
            # The leader may assign to the old id already, so everyone must join again.
            self._rebalancer.prepare(group, f"static member {member_id} replaces {old.member_id}", out)
        elif group.state == STABLE and group.select_protocol() == group.protocol_name:
            self._persist_replacement(group, old, member, leader_id, join, out)
        elif group.state == STABLE:
            self._rebalancer.maybe_prepare(group, f"static member {member_id} changes the selected protocol", out)
        else:
            self._rebalancer.maybe_complete(group, out)

    def _persist_replacement(
        self,
        group: ClassicGroup,
        old: ClassicMember,
        member: ClassicMember,
        leader_id: str | None,
        join: Join,
        out: Outcome[Any],
    ) -> None:
        """No rebalance is needed: the new id is stored, and answered once it is."""
        out.records.append(classic_group_record(group, {m.member_id: m.assignment for m in group.members.values()}))
        out.replay = False

        def committed() -> Replies:
            done: Outcome[None] = Outcome()
            if join.version >= FIRST_VERSION_SKIPPING_ASSIGNMENT:
                leads = group.leader_id == member.member_id
                answer = joined(group, member.member_id, with_members=leads)
                answer.skip_assignment = leads
            else:
                # Older clients would compute an assignment if they heard that they lead.
                answer = joined(group, member.member_id, with_members=False)
                answer.leader = leader_id or ""
            self._rebalancer.reply_join(group, member, answer, done)
            return done.replies

        def failed(code: int) -> Replies:
            done: Outcome[None] = Outcome()
            answer = joined(group, "", with_members=False)
            answer.leader, answer.error_code = leader_id or "", client_error(code)
            self._rebalancer.reply_join(group, member, answer, done)
            # After a timeout the record may be committed yet, so the new id stays.
            if code != ErrorCode.REQUEST_TIMED_OUT and group.members.get(member.member_id) is member:
                group.set_protocols(member, old.protocols)
                self._rebalancer.end_session(group, member.member_id)
                restored = group.replace_static(member.instance_id or "", member, old.member_id)
                restored.rebalance_timeout_ms = old.rebalance_timeout_ms
                restored.session_timeout_ms = old.session_timeout_ms
                self._rebalancer.restart_session(restored)
            return done.replies

        out.on_committed, out.on_failed = committed, failed
