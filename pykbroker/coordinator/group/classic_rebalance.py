"""The life of a classic group between two generations: prepare, wait, complete (GroupMetadataManager, classic part).

Nothing here knows requests. Deadlines are kept in `timers` by the keys below; `out` collects records and replies.
"""

import logging
from typing import TYPE_CHECKING, Any, Final

from pykbroker.coordinator.group.classic_group import (
    COMPLETING_REBALANCE,
    EMPTY,
    PREPARING_REBALANCE,
    STABLE,
    ClassicGroup,
)
from pykbroker.coordinator.group.classic_member import ClassicMember, heartbeat_timer
from pykbroker.coordinator.group.group_records import classic_group_record
from pykbroker.coordinator.shard import Outcome
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.join_group import JoinGroupResponse, JoinGroupResponseMember
from pykbroker.protocol.messages.sync_group import SyncGroupResponse

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.coordinator.timers import Timers

logger = logging.getLogger(__name__)

# A member that joins for the first time has no session yet; it may wait this long for the others.
NEW_MEMBER_JOIN_TIMEOUT_MS: Final = 5 * 60 * 1000


def join_timer(group_id: str) -> tuple[str, str]:
    return ("join", group_id)


def initial_join_timer(group_id: str) -> tuple[str, str]:
    return ("initial", group_id)


def sync_timer(group_id: str) -> tuple[str, str]:
    return ("sync", group_id)


def join_error(member_id: str, code: int) -> JoinGroupResponse:
    return JoinGroupResponse(member_id=member_id, error_code=code)


def joined(group: ClassicGroup, member_id: str, *, with_members: bool) -> JoinGroupResponse:
    """What a member of the current generation hears; the leader hears of all members."""
    return JoinGroupResponse(
        member_id=member_id,
        generation_id=group.generation_id,
        protocol_type=group.protocol_type,
        protocol_name=group.protocol_name,
        leader=group.leader_id or "",
        members=_member_list(group) if with_members else [],
    )


def _member_list(group: ClassicGroup) -> list[JoinGroupResponseMember]:
    return [
        JoinGroupResponseMember(
            member_id=member.member_id,
            group_instance_id=member.instance_id,
            metadata=member.metadata(group.protocol_name) or b"",
        )
        for member in group.members.values()
    ]


class Rebalancer:
    """Moves groups through their states. One per shard, without state of its own but the timers."""

    __slots__ = ("_clock", "_initial_delay_ms", "_timers")

    def __init__(self, clock: "Clock", timers: "Timers", initial_delay_ms: int) -> None:
        self._clock = clock
        self._timers = timers
        self._initial_delay_ms = initial_delay_ms

    # -- replies

    def reply_join(
        self, group: ClassicGroup, member: ClassicMember, answer: JoinGroupResponse, out: Outcome[Any]
    ) -> bool:
        """Answers a waiting JoinGroup. False: none waits."""
        if member.awaiting_join is None:
            return False
        out.reply(member.awaiting_join, answer)
        member.awaiting_join = None
        group.waiting -= 1
        return True

    def reply_sync(self, member: ClassicMember, answer: SyncGroupResponse, out: Outcome[Any]) -> bool:
        """Answers a waiting SyncGroup. False: none waits."""
        if member.awaiting_sync is None:
            return False
        out.reply(member.awaiting_sync, answer)
        member.awaiting_sync = None
        return True

    def propagate_assignment(self, group: ClassicGroup, out: Outcome[Any]) -> None:
        """Everyone who waits gets the assignment that the members hold now."""
        for member in group.members.values():
            answer = SyncGroupResponse(
                protocol_type=group.protocol_type, protocol_name=group.protocol_name, assignment=member.assignment
            )
            # A session that ended while the member waited was ignored, so it begins again here.
            if self.reply_sync(member, answer, out):
                self.restart_session(member)

    def reset_assignment(self, group: ClassicGroup, code: int, out: Outcome[Any]) -> None:
        """The generation fails: everyone who waits for an assignment gets the error."""
        for member in group.members.values():
            member.assignment = b""
            if self.reply_sync(member, SyncGroupResponse(error_code=code), out):
                self.restart_session(member)

    # -- sessions

    def restart_session(self, member: ClassicMember, timeout_ms: int | None = None) -> None:
        timeout_ms = member.session_timeout_ms if timeout_ms is None else timeout_ms
        self._timers.schedule(member.timer, self._clock.monotonic() + timeout_ms / 1000)

    def end_session(self, group: ClassicGroup, member_id: str) -> None:
        self._timers.cancel(heartbeat_timer(group.group_id, member_id))

    def forget(self, group: ClassicGroup) -> None:
        """The group is gone, and its timers with it."""
        for member_id in (*group.members, *group.pending_join):
            self.end_session(group, member_id)
        for key in (join_timer, initial_join_timer, sync_timer):
            self._timers.cancel(key(group.group_id))

    # -- preparing

    def maybe_prepare(self, group: ClassicGroup, reason: str, out: Outcome[Any]) -> None:
        if group.can_rebalance:
            self.prepare(group, reason, out)
        else:
            self.maybe_complete(group, out)

    def prepare(self, group: ClassicGroup, reason: str, out: Outcome[Any]) -> None:
        """Asks everyone to rejoin. The first rebalance of an empty group waits for more members to come."""
        if group.state == COMPLETING_REBALANCE:
            self.reset_assignment(group, ErrorCode.REBALANCE_IN_PROGRESS, out)
        group.pending_sync.clear()
        self._timers.cancel(sync_timer(group.group_id))
        initial = group.state == EMPTY
        group.transition(PREPARING_REBALANCE, self._clock.wall_ms())
        logger.info("Preparing to rebalance group %s, generation %d: %s", group.group_id, group.generation_id, reason)
        if initial:
            group.initial_remaining_ms = max(group.rebalance_timeout_ms - self._initial_delay_ms, 0)
            self._delay_initial(group, self._initial_delay_ms)
        elif group.all_joined:
            self.complete(group, out)
        else:
            self._schedule(join_timer(group.group_id), group.rebalance_timeout_ms)

    def on_initial_delay(self, group: ClassicGroup, out: Outcome[Any]) -> None:
        """Members that came meanwhile are reason to wait for more, as long as the rebalance timeout allows."""
        if not group.new_member_added or not group.initial_remaining_ms:
            self.complete(group, out)
            return
        group.new_member_added = False
        delay_ms = min(self._initial_delay_ms, group.initial_remaining_ms)
        group.initial_remaining_ms = max(group.initial_remaining_ms - group.initial_delay_ms, 0)
        self._delay_initial(group, delay_ms)

    def _delay_initial(self, group: ClassicGroup, delay_ms: int) -> None:
        group.initial_delay_ms = delay_ms
        self._schedule(initial_join_timer(group.group_id), delay_ms)

    def _schedule(self, key: tuple[str, str], timeout_ms: int) -> None:
        self._timers.schedule(key, self._clock.monotonic() + timeout_ms / 1000)

    # -- completing

    def maybe_complete(self, group: ClassicGroup, out: Outcome[Any]) -> None:
        """Completes the join phase if nobody is missing; the initial rebalance ends by its timer only."""
        if group.state == PREPARING_REBALANCE and group.previous_state != EMPTY and group.all_joined:
            self.complete(group, out)

    def complete(self, group: ClassicGroup, out: Outcome[Any]) -> None:
        """The join phase ends, whoever is missing: dynamic members that did not rejoin are removed."""
        self._timers.cancel(join_timer(group.group_id))
        self._timers.cancel(initial_join_timer(group.group_id))
        for member in [m for m in group.members.values() if m.awaiting_join is None and not m.is_static]:
            group.remove(member.member_id)
            self.end_session(group, member.member_id)
        if group.members and not group.elect_joined_leader():
            # Only static members are left, and none came: their sessions decide.
            self._schedule(join_timer(group.group_id), group.rebalance_timeout_ms)
            return
        group.next_generation(self._clock.wall_ms())
        if group.state == EMPTY:
            logger.info("Group %s is empty, generation %d", group.group_id, group.generation_id)
            out.records.append(classic_group_record(group, {}))
            out.replay = False
        else:
            self._start_sync(group, out)

    def _start_sync(self, group: ClassicGroup, out: Outcome[Any]) -> None:
        logger.info(
            "Stabilized group %s generation %d with %d members", group.group_id, group.generation_id, len(group.members)
        )
        for member in group.members.values():
            answer = joined(group, member.member_id, with_members=member.member_id == group.leader_id)
            self.reply_join(group, member, answer, out)
            self.restart_session(member)
            member.is_new = False
            group.pending_sync[member.member_id] = None
        self._schedule(sync_timer(group.group_id), group.rebalance_timeout_ms)

    # -- deadlines

    def on_session_expired(self, group: ClassicGroup, member_id: str, out: Outcome[Any]) -> None:
        if member_id in group.pending_join:
            group.remove(member_id)
            self._complete_if_all_joined(group, out)
            return
        member = group.members.get(member_id)
        if member is None or member.has_satisfied_heartbeat:
            return
        logger.info("Member %s of group %s has failed", member_id, group.group_id)
        self.reply_join(group, member, join_error("", ErrorCode.UNKNOWN_MEMBER_ID), out)
        group.remove(member_id)
        if group.state in (STABLE, COMPLETING_REBALANCE):
            self.maybe_prepare(group, f"removing member {member_id} on heartbeat expiration", out)
        else:
            self._complete_if_all_joined(group, out)

    def _complete_if_all_joined(self, group: ClassicGroup, out: Outcome[Any]) -> None:
        if group.state == PREPARING_REBALANCE and group.all_joined:
            self.complete(group, out)

    def on_sync_expired(self, group: ClassicGroup, out: Outcome[Any]) -> None:
        """Members that got the generation but never asked for their assignment are removed."""
        if group.state not in (COMPLETING_REBALANCE, STABLE) or not group.pending_sync:
            return
        missing = list(group.pending_sync)
        for member_id in missing:
            group.remove(member_id)
            self.end_session(group, member_id)
        self.prepare(group, f"removing {missing} on pending sync request expiration", out)

    def synced(self, group: ClassicGroup, member_id: str) -> None:
        """A member has asked for its assignment."""
        group.pending_sync.pop(member_id, None)
        if not group.pending_sync:
            self._timers.cancel(sync_timer(group.group_id))
