"""StreamsGroupHeartbeat: members tell their topology, say which tasks they have, are told theirs, and leave (KIP-1071).

Four steps per heartbeat: the member changes; the topics of the topology are looked at, and the group's epoch with
them; the target assignment follows the epoch, not before the initial delay and not more often than the assignment
interval allows; the member moves towards its own part of it. Kafka: GroupMetadataManager.streamsGroupHeartbeat.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from pykbroker.coordinator.group.classic_group import ClassicGroup
from pykbroker.coordinator.group.group_records import classic_group_tombstone
from pykbroker.coordinator.group.metadata_hash import MetadataHasher
from pykbroker.coordinator.group.streams_checks import check_epoch, check_room, check_tasks
from pykbroker.coordinator.group.streams_configured_topology import (
    ConfiguredInternalTopic,
    ConfiguredTopology,
    Status,
)
from pykbroker.coordinator.group.streams_group import Configured, StreamsGroup
from pykbroker.coordinator.group.streams_internal_topics import configure_topics
from pykbroker.coordinator.group.streams_member import LEAVE, LEAVE_STATIC, Endpoint, MemberState, StreamsMember
from pykbroker.coordinator.group.streams_reconciliation import Step, reconcile
from pykbroker.coordinator.group.streams_records import (
    current_assignment_record,
    group_epoch_record,
    member_metadata_record,
    member_tombstones,
    topology_value_record,
)
from pykbroker.coordinator.group.streams_settings import StreamsSettings
from pykbroker.coordinator.group.streams_target import update_target
from pykbroker.coordinator.group.streams_tasks import Tasks, in_heartbeat_order, task_set
from pykbroker.coordinator.group.streams_timers import INITIAL, REBALANCE, STREAMS_TIMERS, StreamsTimers
from pykbroker.coordinator.group.streams_topology import Topology, topology_from
from pykbroker.coordinator.shard import TIMER_RETRY_MS, Outcome
from pykbroker.coordinator.timeline import Timeline
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.coordinator.group.groups import Groups
    from pykbroker.coordinator.timers import Timers
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.protocol.messages.streams_group_heartbeat import (
        StreamsGroupHeartbeatRequest,
        StreamsGroupHeartbeatResponse,
        TaskIds,
    )
    from pykbroker.request import RequestContext

logger = logging.getLogger(__name__)

Statuses = list[tuple[Status, str]]


class HeartbeatResult(NamedTuple):
    """The answer, and the internal topics that the broker should create (StreamsGroupHeartbeatResult)."""

    response: "StreamsGroupHeartbeatResponse"
    to_create: Mapping[str, ConfiguredInternalTopic]


class StreamsGroups:
    """The streams groups of one shard. TIMERS: the first parts of its timers' keys."""

    TIMERS = STREAMS_TIMERS

    def __init__(
        self,
        settings: StreamsSettings,
        clock: "Clock",
        timers: "Timers",
        groups: "Groups",
        image: "Callable[[], MetadataImage]",
    ) -> None:
        self._clock = clock
        self._groups = groups
        self._image = image
        self.settings = settings
        self.timers = StreamsTimers(clock, timers)
        self._hasher = MetadataHasher(image)

    # -- StreamsGroupHeartbeat

    def heartbeat(self, ctx: "RequestContext", request: "StreamsGroupHeartbeatRequest") -> Outcome[HeartbeatResult]:
        """The request has been checked. Raises KafkaError."""
        if request.member_epoch in (LEAVE, LEAVE_STATIC):
            return self._leave(request)
        out: Outcome[HeartbeatResult] = Outcome()
        statuses: Statuses = []
        group = self._group(request.group_id, request.member_epoch == 0, out)
        member = self._member(group, request)
        updated = _updated(member, ctx, request)
        if updated != member:
            out.records.append(member_metadata_record(group.group_id, updated))
        topology = self._topology(group, request, out)
        if group.topology is not None and updated.topology_epoch < group.topology.epoch:
            statuses.append((Status.STALE_TOPOLOGY, _stale(updated.topology_epoch, group.topology.epoch)))
        configured = self._configure(group, topology)
        if configured.result.is_ready:
            check_tasks(configured.result, request)
        epoch = self._refresh(group, configured, changed=updated != member, out=out)
        if group.is_empty and (delay := self.settings.initial_rebalance_delay_ms(group.group_id)) > 0:
            self.timers.await_members(group.group_id, delay)
        target_epoch, target = self._target(group, updated, epoch, configured.result, statuses, out)
        updated = self._step(group, updated, Step(target_epoch, target, _reported(request)), out)
        self.timers.restart_session(group.group_id, updated.member_id, self.settings.session_timeout_ms(group.group_id))
        if request.shutdown_application:
            _request_shutdown(group, updated.member_id)
        response = self._response(group, request, member, updated, configured)
        response.status = _status_rows(statuses, group, configured.result)
        out.response = HeartbeatResult(response, configured.result.to_create)
        return out

    def _group(self, group_id: str, create: bool, out: Outcome[Any]) -> StreamsGroup:
        """Raises KafkaError GROUP_ID_NOT_FOUND, GROUP_MAX_SIZE_REACHED. A new group comes of replaying its records."""
        existing = self._groups.get(group_id)
        if create and (existing is None or (isinstance(existing, ClassicGroup) and existing.is_empty)):
            if existing is not None:
                # Replaying the tombstone removes it; its offsets stay.
                out.records.append(classic_group_tombstone(group_id))
            existing = StreamsGroup(group_id, Timeline())
        if existing is None:
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Streams group {group_id} not found.")
        if not isinstance(existing, StreamsGroup):
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} is not a streams group.")
        if create:
            check_room(existing, self.settings.max_size)
        return existing

    def _member(self, group: StreamsGroup, request: "StreamsGroupHeartbeatRequest") -> StreamsMember:
        if request.member_epoch == 0:
            member = group.members.get(request.member_id) or StreamsMember(request.member_id)
        else:
            member = group.member(request.member_id)
        check_epoch(member, request)
        return member

    # -- the topology and the epoch of the group

    def _topology(self, group: StreamsGroup, request: "StreamsGroupHeartbeatRequest", out: Outcome[Any]) -> Topology:
        """The group's, which its first member tells. Raises KafkaError INVALID_REQUEST for another one."""
        known = group.topology
        if request.topology is None:
            if known is None:
                raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)
            return known
        told = topology_from(request.topology)
        if known is None:
            out.records.append(topology_value_record(group.group_id, told))
            return told
        if known.epoch <= told.epoch and known != told:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Topology updates are not supported yet.")
        return known

    def _configure(self, group: StreamsGroup, topology: Topology) -> Configured:
        """What the topics that there are make of it; looked at again only when they are others."""
        topics = self._image().topics
        known = group.configured
        if known is not None and known.topics is topics and known.topology == topology:
            return known
        metadata_hash = self._hasher.group_hash(topology.required_topics)
        group.configured = Configured(topics, topology, metadata_hash, configure_topics(topology, topics))
        return group.configured

    def _refresh(self, group: StreamsGroup, configured: Configured, *, changed: bool, out: Outcome[Any]) -> int:
        """The epoch of the group: a new one when a member, a topic, the topology's state or a config has changed."""
        validated = configured.topology.epoch if configured.result.is_ready else -1
        old = group.epochs
        new = old._replace(
            metadata_hash=configured.metadata_hash,
            validated=validated,
            configs=self.settings.assignment_configs(group.group_id),
        )
        if not changed and new == old:
            return old.group
        out.records.append(group_epoch_record(group.group_id, new._replace(group=old.group + 1)))
        logger.info(
            "Bumped epoch of streams group %s to %d with metadata hash %d and validated topology epoch %d",
            *(group.group_id, old.group + 1, new.metadata_hash, validated),
        )
        return old.group + 1

    # -- the target assignment

    def _target(
        self,
        group: StreamsGroup,
        updated: StreamsMember,
        epoch: int,
        topology: ConfiguredTopology,
        statuses: Statuses,
        out: Outcome[Any],
    ) -> tuple[int, Tasks]:
        """The target assignment that the member should move to now, and its epoch."""
        epochs = group.epochs
        if self.timers.is_waiting(group.group_id):
            reason = "Assignment delayed due to the configured initial rebalance delay."
            statuses.append((Status.ASSIGNMENT_DELAYED, reason))
            return epochs.assignment, Tasks()
        if epochs.assignment >= epoch:
            return epochs.assignment, group.target(updated.member_id)
        if self._is_too_soon(group):
            reason = "Assignment delayed due to the configured assignment interval."
            statuses.append((Status.ASSIGNMENT_DELAYED, reason))
            return epochs.assignment, group.target(updated.member_id)
        configs = self.settings.assignment_configs(group.group_id)
        targets = update_target(group, updated, epoch, topology, configs, self._clock.wall_ms(), out.records)
        return epoch, targets[updated.member_id]

    def _is_too_soon(self, group: StreamsGroup) -> bool:
        assigned_at = group.epochs.assigned_at
        interval = self.settings.assignment_interval_ms(group.group_id)
        return bool(assigned_at and interval) and self._clock.wall_ms() < assigned_at + interval

    def _first_target(self, group_id: str, out: Outcome[Any]) -> None:
        """The wait for more members is over."""
        group = self._groups.get(group_id)
        if not isinstance(group, StreamsGroup) or group.is_empty or group.configured is None:
            return  # the next heartbeat makes the assignment
        epochs = group.epochs
        if epochs.group <= epochs.assignment or self._is_too_soon(group):
            return
        topology = group.configured.result
        update_target(group, None, epochs.group, topology, epochs.configs, self._clock.wall_ms(), out.records)

    # -- the member's part of it

    def _step(self, group: StreamsGroup, member: StreamsMember, step: Step, out: Outcome[Any]) -> StreamsMember:
        """Raises KafkaError FENCED_MEMBER_EPOCH."""
        if member.is_reconciled_to(step.target_epoch):
            return member
        moved = reconcile(member, step, group)
        if moved != member:
            out.records.append(current_assignment_record(group.group_id, moved))
            self.timers.after_step(group.group_id, moved)
        return moved

    def _response(
        self,
        group: StreamsGroup,
        request: "StreamsGroupHeartbeatRequest",
        old: StreamsMember,
        new: StreamsMember,
        configured: Configured,
    ) -> "StreamsGroupHeartbeatResponse":
        """Tasks are told when they changed, endpoints to who has not heard of the latest."""
        from pykbroker.coordinator.group.streams_endpoints import endpoint_partitions
        from pykbroker.protocol.messages.streams_group_heartbeat import StreamsGroupHeartbeatResponse

        response = StreamsGroupHeartbeatResponse(
            member_id=new.member_id,
            member_epoch=new.epoch,
            heartbeat_interval_ms=self.settings.heartbeat_interval_ms(group.group_id),
        )
        if request.member_epoch == 0 or old.held != new.held:
            held = new.held
            response.active_tasks = _task_rows({key: frozenset(rows) for key, rows in held.active.items()})
            response.standby_tasks = _task_rows(held.standby)
            response.warmup_tasks = _task_rows(held.warmup)
            if new.user_endpoint is not None:
                group.endpoints_epoch += 1
        if group.endpoints_epoch != request.endpoint_information_epoch:
            rows = endpoint_partitions(group, new, configured.result, configured.topics)
            response.partitions_by_user_endpoint = rows
        if group.group_id in self._groups:
            response.endpoint_information_epoch = group.endpoints_epoch
        return response

    # -- leaving

    def _leave(self, request: "StreamsGroupHeartbeatRequest") -> Outcome[HeartbeatResult]:
        from pykbroker.protocol.messages.streams_group_heartbeat import StreamsGroupHeartbeatResponse

        group = self._groups.require(request.group_id)
        if not isinstance(group, StreamsGroup):
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {request.group_id} is not a streams group.")
        if request.shutdown_application:
            _request_shutdown(group, request.member_id)
        response = StreamsGroupHeartbeatResponse(
            member_id=request.member_id, member_epoch=request.member_epoch, status=[]
        )
        out: Outcome[HeartbeatResult] = Outcome(HeartbeatResult(response, {}))
        self._fence(group, group.member(request.member_id), out)
        return out

    def _fence(
        self, group: StreamsGroup, member: StreamsMember, out: Outcome[Any], *, is_timed_out: bool = False
    ) -> None:
        """Who stays because this cannot be written has a session again."""
        epochs = group.epochs
        out.records.extend(member_tombstones(group.group_id, member.member_id))
        out.records.append(group_epoch_record(group.group_id, epochs._replace(group=epochs.group + 1)))
        self.timers.forget(group.group_id, member.member_id)
        timeout = TIMER_RETRY_MS if is_timed_out else self.settings.session_timeout_ms(group.group_id)
        out.when_failed(partial(self.timers.restart_session, group.group_id, member.member_id, timeout))
        logger.info(
            "Streams group %s goes on in epoch %d without %s", group.group_id, epochs.group + 1, member.member_id
        )

    # -- deadlines and loading

    def on_deadline(self, key: tuple[str, ...], out: Outcome[Any]) -> None:
        if key[0] == INITIAL:
            self._first_target(key[1], out)
            return
        name, group_id, member_id = key
        expected = self.timers.rebalance_epoch(group_id, member_id) if name == REBALANCE else None
        group = self._groups.get(group_id)
        member = group.members.get(member_id) if isinstance(group, StreamsGroup) else None
        if not isinstance(group, StreamsGroup) or not isinstance(member, StreamsMember):
            return
        if name != REBALANCE or member.epoch == expected:
            logger.info("Member %s of group %s is fenced: its %s timed out", member_id, group_id, name)
            self._fence(group, member, out, is_timed_out=True)

    def on_loaded(self) -> None:
        """Sessions begin when the group is loaded."""
        for group in self._groups:
            if not isinstance(group, StreamsGroup):
                continue
            timeout = self.settings.session_timeout_ms(group.group_id)
            for _, member in group.members.items():
                self.timers.restart_session(group.group_id, member.member_id, timeout)
                if member.state == MemberState.UNREVOKED_TASKS:
                    self.timers.after_step(group.group_id, member)


def _updated(member: StreamsMember, ctx: "RequestContext", request: "StreamsGroupHeartbeatRequest") -> StreamsMember:
    """What the request does not mention stays."""
    topology, endpoint, tags = request.topology, request.user_endpoint, request.client_tags
    if tags is not None and len({row.key for row in tags}) < len(tags):
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)  # as two of a key become
    return member._replace(
        rack_id=member.rack_id if request.rack_id is None else request.rack_id,
        rebalance_timeout_ms=member.rebalance_timeout_ms
        if request.rebalance_timeout_ms == -1
        else request.rebalance_timeout_ms,
        topology_epoch=member.topology_epoch if topology is None else topology.epoch,
        client_id=ctx.client_id or "",
        client_host="/" + ctx.client_host,
        process_id=member.process_id if request.process_id is None else request.process_id,
        user_endpoint=member.user_endpoint if endpoint is None else Endpoint(endpoint.host, endpoint.port),
        client_tags=member.client_tags if tags is None else tuple(sorted((row.key, row.value) for row in tags)),
    )


def _reported(request: "StreamsGroupHeartbeatRequest") -> Tasks | None:
    """Raises KafkaError for a subtopology that is named twice, as Kafka."""
    kinds = (request.active_tasks, request.standby_tasks, request.warmup_tasks)
    if request.active_tasks is None or request.standby_tasks is None or request.warmup_tasks is None:
        return None
    if any(len({row.subtopology_id for row in rows}) < len(rows) for rows in kinds if rows is not None):
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)
    return Tasks(task_set(request.active_tasks), task_set(request.standby_tasks), task_set(request.warmup_tasks))


def _task_rows(tasks: Mapping[str, frozenset[int]]) -> "list[TaskIds]":
    from pykbroker.protocol.messages.streams_group_heartbeat import TaskIds

    return [TaskIds(subtopology_id=key, partitions=sorted(tasks[key])) for key in in_heartbeat_order(tasks)]


def _status_rows(statuses: Statuses, group: StreamsGroup, topology: ConfiguredTopology) -> "list[Any]":
    from pykbroker.protocol.messages.streams_group_heartbeat import Status as StatusRow

    if topology.problem is not None:
        statuses.append(topology.problem)
    if group.shutdown_requested_by is not None:
        statuses.append(
            (
                Status.SHUTDOWN_APPLICATION,
                f"Streams group member {group.shutdown_requested_by} encountered a fatal error and requested a "
                "shutdown for the entire application.",
            )
        )
    return [StatusRow(status_code=status, status_detail=detail) for status, detail in statuses]


def _request_shutdown(group: StreamsGroup, member_id: str) -> None:
    if group.shutdown_requested_by is None:
        logger.info("Member %s of group %s asks for the end of the application", member_id, group.group_id)
        group.shutdown_requested_by = member_id


def _stale(member_epoch: int, group_epoch: int) -> str:
    return f"The member's topology epoch {member_epoch} is behind the group's topology epoch {group_epoch}."
