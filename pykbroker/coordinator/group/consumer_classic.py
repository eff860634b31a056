"""Classic members in a consumer group: what JoinGroup, SyncGroup, Heartbeat and LeaveGroup mean there (KIP-848).

A classic member's generation is its member epoch; a rebalance is a step of its reconciliation, which it makes by
joining again. Kafka: classicGroup…ToConsumerGroup of GroupMetadataManager.
"""

from typing import TYPE_CHECKING, Final

from pykbroker.coordinator.group.consumer_checks import check_room, known_static_member
from pykbroker.coordinator.group.consumer_group import CONSUMER, ConsumerGroup
from pykbroker.coordinator.group.consumer_member import ClassicMetadata, ConsumerMember, MemberState, without_epochs
from pykbroker.coordinator.group.subscription import encode_assignment, parse_subscription, reported_partitions
from pykbroker.coordinator.shard import Outcome, Replies, Reply
from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
from pykbroker.protocol.messages.leave_group import (
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberIdentity,
    MemberResponse,
)
from pykbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse

if TYPE_CHECKING:
    from pykbroker.coordinator.group.consumer import ConsumerGroups
    from pykbroker.protocol.embedded.consumer_protocol import ConsumerProtocolSubscription
    from pykbroker.request import RequestContext

FIRST_VERSION_REQUIRING_MEMBER_ID: Final = 4


class ClassicSide:
    """Stateless. All methods raise KafkaError, as the classic protocol tells it."""

    __slots__ = ("_consumers",)

    def __init__(self, consumers: "ConsumerGroups") -> None:
        self._consumers = consumers

    # -- JoinGroup

    def join(
        self, group: ConsumerGroup, ctx: "RequestContext", request: JoinGroupRequest, reply: Reply[JoinGroupResponse]
    ) -> Outcome[None]:
        consumers = self._consumers
        out: Outcome[None] = Outcome()
        if not consumers.settings.allows_migration:
            raise KafkaError(
                ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
                f"Cannot join the consumer group {group.group_id} with the classic protocol because the group "
                "migration is disabled.",
            )
        is_new = not request.member_id
        member_id = request.member_id or str(Uuid.random())
        check_room(group, member_id, consumers.settings.max_size)
        if not group.supports_classic(request.protocol_type, [row.name for row in request.protocols]):
            raise KafkaError(
                ErrorCode.INCONSISTENT_GROUP_PROTOCOL, f"Member {member_id}'s protocols are not supported."
            )
        if is_new and request.group_instance_id is None and ctx.api_version >= FIRST_VERSION_REQUIRING_MEMBER_ID:
            out.reply(reply, JoinGroupResponse(member_id=member_id, error_code=ErrorCode.MEMBER_ID_REQUIRED))
            return out
        member = self._joining(group, request, member_id, is_new, out)
        subscription = _subscription(request)
        updated = _updated(member, ctx, request, subscription)
        return self._join(group, member, updated, subscription, request, reply, out)

    def _joining(
        self, group: ConsumerGroup, request: JoinGroupRequest, member_id: str, is_new: bool, out: Outcome[None]
    ) -> ConsumerMember:
        instance_id = request.group_instance_id
        if instance_id is None:
            return group.members.get(member_id) or ConsumerMember(member_id)
        if is_new:
            return self._consumers.join_static(group, member_id, instance_id, out, classic=True)
        return known_static_member(group, instance_id, member_id)

    def _join(
        self,
        group: ConsumerGroup,
        old: ConsumerMember,
        new: ConsumerMember,
        subscription: "ConsumerProtocolSubscription",
        request: JoinGroupRequest,
        reply: Reply[JoinGroupResponse],
        out: Outcome[None],
    ) -> Outcome[None]:
        consumers = self._consumers
        reported = reported_partitions(subscription, consumers.image().topics)
        replaced = group.static_member(new.instance_id)
        downgrades = replaced is not None and consumers.migration.may_downgrade_with(group, replaced)
        if downgrades and replaced is not None:
            changed, epoch = consumers.change(group, old, new, out)
            is_stale = epoch > group.epochs.assignment
            if not is_stale:
                target = group.target(new)
                new = consumers.step(group, new, epoch, target, reported, changed=changed, out=out)
            consumers.migration.downgrade_with(group, replaced, new, out, rebalance=is_stale)
        else:
            new, changed, target_epoch, target = consumers.subscribe(group, old, new, out)
            new = consumers.step(group, new, target_epoch, target, reported, changed=changed, out=out)

        def committed() -> Replies:
            consumers.timers.joined(group.group_id, new.member_id)
            if not downgrades:
                consumers.timers.restart_session(group.group_id, new.member_id, request.session_timeout_ms)
                consumers.timers.expect_sync(group.group_id, new.member_id, request.rebalance_timeout_ms)
            answer = JoinGroupResponse(
                member_id=new.member_id,
                generation_id=new.epoch,
                protocol_type=CONSUMER,
                protocol_name=request.protocols[0].name,
            )
            return [(reply, answer)]

        out.on_committed = committed
        return out

    # -- SyncGroup

    def sync(self, group: ConsumerGroup, request: SyncGroupRequest, reply: Reply[SyncGroupResponse]) -> Outcome[None]:
        member = _member(group, request.member_id, request.group_instance_id)
        _check_generation(member, request.generation_id)
        _check_protocol(member, request)
        # Without what it must give back it may go on; that it shall rejoin it hears in its heartbeat.
        if group.epochs.assignment > member.epoch and member.state != MemberState.UNREVOKED_PARTITIONS:
            self._consumers.timers.expect_join(group.group_id, member)
            raise KafkaError(
                ErrorCode.REBALANCE_IN_PROGRESS,
                f"A new rebalance is triggered in group {group.group_id} and member {member.member_id} should rejoin "
                "to catch up.",
            )
        out: Outcome[None] = Outcome()

        def committed() -> Replies:
            timers, classic = self._consumers.timers, _classic(member)
            timers.synced(group.group_id, member.member_id)
            timers.restart_session(group.group_id, member.member_id, classic.session_timeout_ms)
            topics = self._consumers.image().topics
            answer = SyncGroupResponse(
                protocol_type=request.protocol_type,
                protocol_name=request.protocol_name,
                assignment=encode_assignment(without_epochs(member.owned), topics, classic.protocols[0][1]),
            )
            return [(reply, answer)]

        out.on_committed = committed
        return out

    # -- Heartbeat

    def heartbeat(self, group: ConsumerGroup, request: HeartbeatRequest) -> Outcome[HeartbeatResponse]:
        member = _member(group, request.member_id, request.group_instance_id)
        _check_generation(member, request.generation_id)
        timers = self._consumers.timers
        timers.restart_session(group.group_id, member.member_id, _classic(member).session_timeout_ms)
        code = ErrorCode.NONE
        if self._should_rejoin(group, member):
            code = ErrorCode.REBALANCE_IN_PROGRESS
            timers.expect_join(group.group_id, member)
        return Outcome(HeartbeatResponse(error_code=code))

    def _should_rejoin(self, group: ConsumerGroup, member: ConsumerMember) -> bool:
        if member.epoch < group.epochs.assignment or member.state == MemberState.UNREVOKED_PARTITIONS:
            return True
        return member.state == MemberState.UNRELEASED_PARTITIONS and not group.waits_for_others(member)

    # -- LeaveGroup

    def leave(self, group: ConsumerGroup, request: LeaveGroupRequest) -> Outcome[LeaveGroupResponse]:
        out: Outcome[LeaveGroupResponse] = Outcome()
        leaving: dict[str, ConsumerMember] = {}
        rows = []
        for identity in request.members:
            row = MemberResponse(member_id=identity.member_id, group_instance_id=identity.group_instance_id)
            try:
                member = _leaving(group, identity)
                leaving[member.member_id] = member
            except KafkaError as error:
                row.error_code = error.code
            rows.append(row)
        out.response = LeaveGroupResponse(members=rows)
        self._consumers.fence(group, list(leaving.values()), out)
        return out


def _leaving(group: ConsumerGroup, identity: MemberIdentity) -> ConsumerMember:
    instance_id = identity.group_instance_id
    if instance_id is None:
        return group.member(identity.member_id)
    if identity.member_id:
        return known_static_member(group, instance_id, identity.member_id)
    # An administrator removes a static member, whose member id he need not know.
    member = group.static_member(instance_id)
    if member is None:
        raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
    return member


def _member(group: ConsumerGroup, member_id: str, instance_id: str | None) -> ConsumerMember:
    """A classic one."""
    member = group.member(member_id) if instance_id is None else known_static_member(group, instance_id, member_id)
    if not member.uses_classic:
        raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member.member_id} does not use the classic protocol.")
    return member


def _classic(member: ConsumerMember) -> ClassicMetadata:
    if member.classic is None:
        raise RuntimeError(f"{member.member_id} is no classic member")
    return member.classic


def _check_generation(member: ConsumerMember, generation: int) -> None:
    if generation != member.epoch:
        raise KafkaError(ErrorCode.ILLEGAL_GENERATION)


def _check_protocol(member: ConsumerMember, request: SyncGroupRequest) -> None:
    told = _classic(member).protocols[0][0]
    if request.protocol_type not in (None, CONSUMER) or request.protocol_name not in (None, told):
        raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)


def _subscription(request: JoinGroupRequest) -> "ConsumerProtocolSubscription":
    try:
        return parse_subscription(bytes(request.protocols[0].metadata))
    except MalformedFrame as error:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"a subscription that is none: {error}") from error


def _updated(
    member: ConsumerMember,
    ctx: "RequestContext",
    request: JoinGroupRequest,
    subscription: "ConsumerProtocolSubscription",
) -> ConsumerMember:
    instance_id, timeout = request.group_instance_id, request.rebalance_timeout_ms
    return member._replace(
        instance_id=member.instance_id if instance_id is None else instance_id,
        rack_id=subscription.rack_id or member.rack_id,
        rebalance_timeout_ms=member.rebalance_timeout_ms if timeout == -1 else timeout,
        topics=frozenset(subscription.topics),
        regex="",
        client_id=ctx.client_id or "",
        client_host="/" + ctx.client_host,
        classic=ClassicMetadata(
            request.session_timeout_ms, tuple((row.name, bytes(row.metadata)) for row in request.protocols)
        ),
    )
