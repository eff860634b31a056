"""ShareGroupHeartbeat: members join, say what they subscribe to, are told what to fetch, and leave (KIP-932).

Steps per heartbeat: the member changes, and the group's epoch with its subscription or when partitions wait to be
assigned; the target assignment follows the epoch; the member takes its part of it at once, since partitions are shared;
partitions that the share coordinator does not know yet are to be initialized there, before anyone gets them.
Kafka: GroupMetadataManager.shareGroupHeartbeat.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pykbroker.coordinator.group.consumer_member import LEAVE, Partitions
from pykbroker.coordinator.group.metadata_hash import MetadataHasher
from pykbroker.coordinator.group.share_checks import check_share_epoch, check_share_room
from pykbroker.coordinator.group.share_group import ShareGroup
from pykbroker.coordinator.group.share_initialization import ShareInitialization
from pykbroker.coordinator.group.share_member import NOTHING, ShareMember
from pykbroker.coordinator.group.share_offsets import ShareOffsets
from pykbroker.coordinator.group.share_records import (
    current_assignment_record,
    group_epoch_record,
    member_metadata_record,
    member_tombstones,
)
from pykbroker.coordinator.group.share_settings import ShareSettings
from pykbroker.coordinator.group.share_target import update_share_target
from pykbroker.coordinator.group.target_assignment import topic_ids
from pykbroker.coordinator.shard import TIMER_RETRY_MS, Outcome
from pykbroker.coordinator.timeline import Timeline
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.coordinator.group.groups import Groups
    from pykbroker.coordinator.timers import Timers
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.protocol.messages.initialize_share_group_state import InitializeShareGroupStateRequest
    from pykbroker.protocol.messages.share_group_heartbeat import (
        ShareGroupHeartbeatRequest,
        ShareGroupHeartbeatResponse,
    )
    from pykbroker.request import RequestContext

logger = logging.getLogger(__name__)

SHARE_SESSION: Final = "share session"


class ShareHeartbeat(NamedTuple):
    """`initialize`: what the persister should be told once the records are committed."""

    response: "ShareGroupHeartbeatResponse"
    initialize: "InitializeShareGroupStateRequest | None" = None


class ShareGroups:
    """The share groups of one shard. TIMERS: the first parts of its timers' keys."""

    TIMERS = frozenset((SHARE_SESSION,))

    def __init__(
        self,
        settings: ShareSettings,
        clock: "Clock",
        timers: "Timers",
        groups: "Groups",
        image: "Callable[[], MetadataImage]",
    ) -> None:
        self._clock = clock
        self._timers = timers
        self._groups = groups
        self._image = image
        self.settings = settings
        self._hasher = MetadataHasher(image)
        self.initialization = ShareInitialization(clock, groups, image, self.settings)
        self.offsets = ShareOffsets(clock, groups, image, self.initialization)

    # -- ShareGroupHeartbeat

    def heartbeat(self, ctx: "RequestContext", request: "ShareGroupHeartbeatRequest") -> Outcome[ShareHeartbeat]:
        """Raises KafkaError GROUP_ID_NOT_FOUND, UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, GROUP_MAX_SIZE_REACHED."""
        if request.member_epoch == LEAVE:
            return self._leave(request)
        out: Outcome[ShareHeartbeat] = Outcome()
        joins = request.member_epoch == 0
        group = self._group(request.group_id, create=joins)
        check_share_room(group, request.member_id, self.settings.max_size)
        member = self._member(group, request.member_id, create=joins)
        check_share_epoch(member, request.member_epoch)
        updated = _updated(member, ctx, request)
        changed, epoch = self._change(group, member, updated, out)
        target_epoch, target = self._update_target(group, updated, epoch, out)
        updated = self._step(group, updated, target_epoch, target, changed=changed, out=out)
        self._restart_session(group.group_id, updated.member_id)
        initialize = self.initialization.begin(group, epoch, group.topics_with(updated), out)
        out.response = ShareHeartbeat(self._response(group.group_id, request, member, updated), initialize)
        return out

    def _response(
        self, group_id: str, request: "ShareGroupHeartbeatRequest", old: ShareMember, new: ShareMember
    ) -> "ShareGroupHeartbeatResponse":
        """The assignment is told when it changed, or when the member tells everything about itself."""
        from pykbroker.protocol.messages.share_group_heartbeat import (
            Assignment,
            ShareGroupHeartbeatResponse,
            TopicPartitions,
        )

        response = ShareGroupHeartbeatResponse(
            member_id=new.member_id,
            member_epoch=new.epoch,
            heartbeat_interval_ms=self.settings.heartbeat_interval_ms(group_id),
        )
        if request.subscribed_topic_names is not None or old.assigned != new.assigned:
            rows = [TopicPartitions(topic_id=key, partitions=sorted(rows)) for key, rows in new.assigned.items()]
            response.assignment = Assignment(topic_partitions=rows)
        return response

    def _group(self, group_id: str, *, create: bool) -> ShareGroup:
        """A new group comes into being by replaying its records."""
        existing = self._groups.get(group_id)
        if isinstance(existing, ShareGroup):
            return existing
        if existing is not None:
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} is not a share group.")
        if not create:
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Share group {group_id} not found.")
        return ShareGroup(group_id, Timeline())

    def _member(self, group: ShareGroup, member_id: str, *, create: bool) -> ShareMember:
        if not create:
            return group.member(member_id)
        logger.info("Member %s joins share group %s", member_id, group.group_id)
        return group.members.get(member_id) or ShareMember(member_id)

    def _change(self, group: ShareGroup, old: ShareMember, new: ShareMember, out: Outcome[Any]) -> tuple[bool, int]:
        """Whether the assignment must follow the subscription now, and the epoch of the group then."""
        if new != old:
            out.records.append(member_metadata_record(group.group_id, new))
        epochs = group.epochs
        bump = new.topics != old.topics
        if epochs.assignment >= epochs.group:
            bump = bump or self.initialization.awaits_assignment(group)
        topics = self._image().topics
        seen = group.refreshed_for
        if not bump and seen is not None and seen[0] is topics and seen[1] <= epochs.group:
            return False, epochs.group
        metadata_hash = self._hasher.group_hash(group.topics_with(new))
        bump = bump or metadata_hash != epochs.metadata_hash
        epoch = epochs.group + bump
        if bump:
            out.records.append(group_epoch_record(group.group_id, epoch, metadata_hash))
            logger.info("Bumped epoch of share group %s to %d, metadata hash %d", group.group_id, epoch, metadata_hash)
        group.refreshed_for = topics, epoch
        return bump, epoch

    def _update_target(
        self, group: ShareGroup, member: ShareMember, epoch: int, out: Outcome[Any]
    ) -> tuple[int, Partitions]:
        epochs = group.epochs
        now_ms = self._clock.wall_ms()
        interval = self.settings.assignment_interval_ms(group.group_id)
        too_soon = epochs.assigned_at and interval and now_ms < epochs.assigned_at + interval
        if epoch <= epochs.assignment or too_soon:
            return epochs.assignment, group.targets.get(member.member_id) or NOTHING
        return epoch, update_share_target(group, member, epoch, self._image().topics, now_ms, out.records)

    def _step(
        self,
        group: ShareGroup,
        member: ShareMember,
        target_epoch: int,
        target: Partitions,
        *,
        changed: bool,
        out: Outcome[Any],
    ) -> ShareMember:
        """The member with its target, as far as it is subscribed to it (ShareGroupAssignmentBuilder)."""
        if not changed and member.is_reconciled_to(target_epoch):
            return member
        subscribed = topic_ids(member.topics, self._image().topics)
        assigned = {topic_id: rows for topic_id, rows in target.items() if topic_id in subscribed}
        if target_epoch != member.epoch:
            moved = member.moved_to(target_epoch, assigned)
        else:
            moved = member._replace(assigned=assigned) if changed else member
        if moved != member:
            out.records.append(current_assignment_record(group.group_id, moved))
        return moved

    # -- leaving

    def _leave(self, request: "ShareGroupHeartbeatRequest") -> Outcome[ShareHeartbeat]:
        from pykbroker.protocol.messages.share_group_heartbeat import ShareGroupHeartbeatResponse

        group = self._groups.require(request.group_id)
        if not isinstance(group, ShareGroup):
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {request.group_id} is not a share group.")
        response = ShareGroupHeartbeatResponse(member_id=request.member_id, member_epoch=request.member_epoch)
        out = Outcome(ShareHeartbeat(response))
        self._fence(group, group.member(request.member_id), out)
        return out

    def _fence(self, group: ShareGroup, member: ShareMember, out: Outcome[Any], *, is_timed_out: bool = False) -> None:
        """The member goes. Who stays because this cannot be written has a session again."""
        group_id = group.group_id
        out.records.extend(member_tombstones(group_id, member.member_id))
        metadata_hash = self._hasher.group_hash(group.topics_without(member.member_id))
        out.records.append(group_epoch_record(group_id, group.epochs.group + 1, metadata_hash))
        self._timers.cancel((SHARE_SESSION, group_id, member.member_id))
        timeout = TIMER_RETRY_MS if is_timed_out else self.settings.session_timeout_ms(group_id)
        out.when_failed(partial(self._restart_session, group_id, member.member_id, timeout))
        logger.info("Share group %s goes on in epoch %d without %s", group_id, group.epochs.group + 1, member.member_id)

    # -- deadlines and loading

    def on_deadline(self, key: tuple[str, ...], out: Outcome[Any]) -> None:
        """A session has ended."""
        _, group_id, member_id = key
        group = self._groups.get(group_id)
        member = group.members.get(member_id) if isinstance(group, ShareGroup) else None
        if isinstance(group, ShareGroup) and member is not None:
            logger.info("Member %s of share group %s is fenced: its session expired", member_id, group_id)
            self._fence(group, member, out, is_timed_out=True)

    def on_loaded(self) -> None:
        """Sessions begin when the group is loaded."""
        for group in self._groups:
            if isinstance(group, ShareGroup):
                for member_id in group.members:
                    self._restart_session(group.group_id, member_id)

    def _restart_session(self, group_id: str, member_id: str, timeout_ms: int | None = None) -> None:
        """By default it is as long as configured."""
        timeout = self.settings.session_timeout_ms(group_id) if timeout_ms is None else timeout_ms
        self._timers.schedule((SHARE_SESSION, group_id, member_id), self._clock.monotonic() + timeout / 1000)


def _updated(member: ShareMember, ctx: "RequestContext", request: "ShareGroupHeartbeatRequest") -> ShareMember:
    """What the request does not mention stays."""
    names = request.subscribed_topic_names
    return member._replace(
        rack_id=member.rack_id if request.rack_id is None else request.rack_id,
        topics=member.topics if names is None else frozenset(names),
        client_id=ctx.client_id or "",
        client_host="/" + ctx.client_host,
    )
