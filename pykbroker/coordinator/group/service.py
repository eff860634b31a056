"""GroupCoordinatorService: group id → partition → shard, the checks and errors common to all group APIs."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, TypeVar

from pykbroker.coordinator.context import Settings
from pykbroker.coordinator.errors import client_error, error_for_client
from pykbroker.coordinator.runtime_loop import CoordinatorRuntime
from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.pending import Pending, pause_after
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.fast_offset_record import frame_group_record
from pykbroker.protocol.hashes import partition_for_id

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.coordinator.group.group_shard import GroupShard
    from pykbroker.coordinator.group.streams import HeartbeatResult
    from pykbroker.coordinator.partition_writer import PartitionWriter
    from pykbroker.coordinator.shard import Marker, Outcome
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.protocol.messages.consumer_group_describe import DescribedGroup as DescribedConsumerGroup
    from pykbroker.protocol.messages.consumer_group_heartbeat import (
        ConsumerGroupHeartbeatRequest,
        ConsumerGroupHeartbeatResponse,
    )
    from pykbroker.protocol.messages.delete_groups import DeletableGroupResult
    from pykbroker.protocol.messages.describe_groups import DescribedGroup
    from pykbroker.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
    from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
    from pykbroker.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse
    from pykbroker.protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse
    from pykbroker.protocol.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse
    from pykbroker.protocol.messages.offset_delete import OffsetDeleteRequest, OffsetDeleteResponse
    from pykbroker.protocol.messages.offset_fetch import OffsetFetchRequestGroup, OffsetFetchResponseGroup
    from pykbroker.protocol.messages.streams_group_describe import DescribedGroup as DescribedStreamsGroup
    from pykbroker.protocol.messages.streams_group_heartbeat import StreamsGroupHeartbeatRequest
    from pykbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse
    from pykbroker.protocol.messages.txn_offset_commit import TxnOffsetCommitRequest, TxnOffsetCommitResponse
    from pykbroker.request import RequestContext

T = TypeVar("T")

OFFSETS_TOPIC: Final = "__consumer_offsets"
# OffsetFetch clients look for the coordinator again where others would wait (handleOffsetFetchException).
_NOT_COORDINATOR_FOR_FETCH: Final = frozenset(
    {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.REQUEST_TIMED_OUT}
)


class GroupCoordinatorService:
    """`offsets_partitions` tells how many partitions `__consumer_offsets` has, None while it does not exist.

    `image`: the metadata, in which consumer groups find their topics. `current`: `config` with its dynamic part.

    `runtime.run()` must run in a nursery. The async methods answer every Kafka error in their response.
    """

    def __init__(
        self,
        config: "BrokerConfig",
        clock: "Clock",
        writer: "PartitionWriter",
        offsets_partitions: Callable[[], int | None] = lambda: None,
        new_shard: "Callable[[], GroupShard] | None" = None,
        image: "Callable[[], MetadataImage] | None" = None,
        current: "Callable[[], BrokerConfig] | None" = None,
    ) -> None:
        self._config = config
        self._offsets_partitions = offsets_partitions
        self._partitions: int | None = None
        self._check_heartbeat: Callable[[ConsumerGroupHeartbeatRequest, int], None] | None = None
        settings = Settings(
            "group",
            config.offsets_topic_compression_codec,
            config.offsets_commit_timeout_ms / 1000,
            config.offsets_load_buffer_size,
            frame_group_record,
        )
        self.runtime: CoordinatorRuntime[GroupShard] = CoordinatorRuntime(
            OFFSETS_TOPIC, new_shard or (lambda: _new_shard(config, clock, image, current)), writer, clock, settings
        )

    # -- elections and topics, from the metadata image

    def on_elected(self, partition: int, leader_epoch: int) -> None:
        """This broker leads a partition of `__consumer_offsets`."""
        self.runtime.elect(partition, leader_epoch)

    def on_resigned(self, partition: int, leader_epoch: int | None) -> None:
        """Another broker leads it since `leader_epoch`, or (None) the replica is gone."""
        self.runtime.resign(partition, leader_epoch)

    def on_topics_deleted(self, topics: Iterable[tuple[str, Uuid]]) -> None:
        """Offsets committed for these topics (name, id) are deleted, in shards being loaded too."""
        deleted = list(topics)
        if deleted:
            self.runtime.write_all(lambda shard: shard.topics_deleted(deleted))

    def partition_for(self, group_id: str) -> int:
        """The number of partitions is fixed once the topic is seen: adding some must not move groups."""
        if self._partitions is None:
            self._partitions = self._offsets_partitions()
        return partition_for_id(group_id, self._partitions or self._config.offsets_topic_num_partitions)

    async def _write(self, group_id: str, operation: "Callable[[GroupShard], Outcome[T]]") -> T | None:
        """As runtime.write, without a coroutine more: every request of a member comes through here."""
        outcome, waiter = self.runtime.begin(self.partition_for(group_id), operation)
        if waiter is not None:
            await waiter.wait()
        return outcome.response

    # -- membership

    async def join_group(self, ctx: "RequestContext", request: "JoinGroupRequest") -> "JoinGroupResponse":
        code = self._check_join(request)
        if code:
            return _join_error(request.member_id, code)
        reply: Pending[JoinGroupResponse] = Pending()
        try:
            await self._write(request.group_id, lambda shard: shard.classic.join(ctx, request, reply))
        except KafkaError as error:
            reply.try_complete(_join_error("", client_error(error.code)))
        return await reply.wait()

    def _check_join(self, request: "JoinGroupRequest") -> ErrorCode:
        if not request.group_id:
            return ErrorCode.INVALID_GROUP_ID
        lowest, highest = self._config.group_min_session_timeout_ms, self._config.group_max_session_timeout_ms
        if not lowest <= request.session_timeout_ms <= highest:
            return ErrorCode.INVALID_SESSION_TIMEOUT
        return ErrorCode.NONE

    async def sync_group(self, ctx: "RequestContext", request: "SyncGroupRequest") -> "SyncGroupResponse":
        if not request.group_id:
            return _sync_error(ErrorCode.INVALID_GROUP_ID)
        reply: Pending[SyncGroupResponse] = Pending()
        try:
            await self._write(request.group_id, lambda shard: shard.classic.sync(request, reply))
        except KafkaError as error:
            reply.try_complete(_sync_error(client_error(error.code)))
        return await reply.wait()

    async def heartbeat(self, ctx: "RequestContext", request: "HeartbeatRequest") -> "HeartbeatResponse":
        if not request.group_id:
            return _heartbeat_error(ErrorCode.INVALID_GROUP_ID)
        try:
            response = await self._write(request.group_id, lambda shard: shard.classic.heartbeat(request))
            return _present(response)
        except KafkaError as error:
            code = client_error(error.code)
            # While the group is being loaded its members keep calm.
            return _heartbeat_error(0 if code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS else code)

    async def leave_group(self, ctx: "RequestContext", request: "LeaveGroupRequest") -> "LeaveGroupResponse":
        """`request` in the form of version 3 and newer: with `members`."""
        from pykbroker.protocol.messages.leave_group import LeaveGroupResponse, MemberResponse

        if not request.group_id:
            return LeaveGroupResponse(error_code=ErrorCode.INVALID_GROUP_ID)
        try:
            response = await self._write(request.group_id, lambda shard: shard.classic.leave(request))
            return response or LeaveGroupResponse()
        except KafkaError as error:
            code = client_error(error.code)
            if code != ErrorCode.UNKNOWN_MEMBER_ID:
                return LeaveGroupResponse(error_code=code)
            rows = [
                MemberResponse(member_id=row.member_id, group_instance_id=row.group_instance_id, error_code=code)
                for row in request.members
            ]
            return LeaveGroupResponse(members=rows)

    async def consumer_group_heartbeat(
        self, ctx: "RequestContext", request: "ConsumerGroupHeartbeatRequest"
    ) -> "ConsumerGroupHeartbeatResponse":
        """Raises KafkaError."""
        self._check_consumer_heartbeat(request, ctx.api_version)
        try:
            response = await self._write(request.group_id, lambda shard: shard.consumers.heartbeat(ctx, request))
            return _present(response)
        except KafkaError as error:
            raise error_for_client(error) from error

    async def streams_group_heartbeat(
        self, ctx: "RequestContext", request: "StreamsGroupHeartbeatRequest"
    ) -> "HeartbeatResult":
        """Raises KafkaError."""
        from pykbroker.coordinator.group.streams_checks import check_heartbeat

        check_heartbeat(request)
        try:
            result = await self._write(request.group_id, lambda shard: shard.streams.heartbeat(ctx, request))
            return _present(result)
        except KafkaError as error:
            raise error_for_client(error) from error

    def _check_consumer_heartbeat(self, request: "ConsumerGroupHeartbeatRequest", version: int) -> None:
        """Raises KafkaError INVALID_REQUEST, UNSUPPORTED_ASSIGNOR."""
        if self._check_heartbeat is None:
            from pykbroker.coordinator.group.consumer_checks import check_heartbeat
            from pykbroker.coordinator.group.consumer_settings import configured_assignors

            assignors = configured_assignors(self._config.group_consumer_assignors)
            self._check_heartbeat = lambda request, version: check_heartbeat(request, version, assignors)
        self._check_heartbeat(request, version)

    # -- offsets

    async def offset_commit(self, ctx: "RequestContext", request: "OffsetCommitRequest") -> "OffsetCommitResponse":
        """Topics exist and carry name and id."""
        try:
            outcome, waiter = self.runtime.begin(
                self.partition_for(request.group_id), lambda shard: shard.commit_offsets(ctx.api_version, request)
            )
            if waiter is not None:
                await waiter.wait()
            return _present(outcome.response)
        except KafkaError as error:
            return commit_error(request, client_error(error.code))

    async def offset_fetch(
        self, ctx: "RequestContext", request: "OffsetFetchRequestGroup", require_stable: bool
    ) -> "OffsetFetchResponseGroup":
        """One group; topics carry a name, and an id where it is known. Raises KafkaError for the whole group."""
        from pykbroker.coordinator.shard import Outcome

        if not require_stable:
            return self.runtime.shard(self.partition_for(request.group_id)).fetch_offsets(request, require_stable=False)
        try:
            response = await self._write(
                request.group_id, lambda shard: Outcome(shard.fetch_offsets(request, require_stable=True))
            )
            return _present(response)
        except KafkaError as error:
            if error.code in _NOT_COORDINATOR_FOR_FETCH:
                raise KafkaError(ErrorCode.NOT_COORDINATOR) from error
            raise KafkaError(client_error(error.code)) from error

    async def txn_offset_commit(
        self, ctx: "RequestContext", request: "TxnOffsetCommitRequest", guard: object | None
    ) -> "TxnOffsetCommitResponse":
        """Topics exist; `guard` proves that the partition of the group is in the transaction. Raises KafkaError."""
        try:
            response = await self._write(
                request.group_id, lambda shard: shard.commit_transactional_offsets(request, guard)
            )
            return _present(response)
        except KafkaError as error:
            raise error_for_client(error) from error

    def write_marker(self, partition: int, marker: "Marker") -> "Pending[None] | None":
        """A transaction that has committed offsets ends. None: committed; else what to wait for. Raises KafkaError."""
        return self.runtime.begin(partition, lambda _: _marker(marker))[1]

    async def offset_delete(self, ctx: "RequestContext", request: "OffsetDeleteRequest") -> "OffsetDeleteResponse":
        """Topics exist."""
        from pykbroker.protocol.messages.offset_delete import OffsetDeleteResponse

        if not request.group_id:
            return OffsetDeleteResponse(error_code=ErrorCode.INVALID_GROUP_ID)
        try:
            response = await self._write(request.group_id, lambda shard: shard.delete_offsets(request))
            return _present(response)
        except KafkaError as error:
            return OffsetDeleteResponse(error_code=client_error(error.code))

    # -- groups as a whole

    async def list_groups(self, ctx: "RequestContext", request: "ListGroupsRequest") -> "ListGroupsResponse":
        from pykbroker.protocol.messages.list_groups import ListGroupsResponse

        states = frozenset(state.strip().lower() for state in request.states_filter)
        types = frozenset(name.strip().lower() for name in request.types_filter)
        try:
            shards = self.runtime.shards()
        except KafkaError as error:
            return ListGroupsResponse(error_code=error.code)
        response = ListGroupsResponse()
        for shard in shards:
            for row in shard.list_groups(states, types):
                response.groups.append(row)
                await pause_after(len(response.groups))
        return response

    async def describe_groups(self, ctx: "RequestContext", group_ids: Iterable[str]) -> "list[DescribedGroup]":
        """In the order asked for."""
        from pykbroker.protocol.messages.describe_groups import DescribedGroup

        rows: list[DescribedGroup] = []
        for group_id in group_ids:
            try:
                shard = self.runtime.shard(self.partition_for(group_id))
                rows.extend(shard.describe_groups(ctx.api_version, [group_id]))
            except KafkaError as error:
                rows.append(DescribedGroup(group_id=group_id, error_code=error.code))
            await pause_after(len(rows))
        return rows

    async def describe_consumer_groups(self, group_ids: Iterable[str]) -> "list[DescribedConsumerGroup]":
        """In the order asked for."""
        from pykbroker.protocol.messages.consumer_group_describe import DescribedGroup

        rows: list[DescribedGroup] = []
        for group_id in group_ids:
            await pause_after(len(rows) + 1)
            if not group_id:
                rows.append(DescribedGroup(error_code=ErrorCode.INVALID_GROUP_ID))
                continue
            try:
                rows.extend(self.runtime.shard(self.partition_for(group_id)).describe_consumer_groups([group_id]))
            except KafkaError as error:
                rows.append(DescribedGroup(group_id=group_id, error_code=client_error(error.code)))
        return rows

    async def describe_streams_groups(self, group_ids: Iterable[str]) -> "list[DescribedStreamsGroup]":
        """In the order asked for."""
        from pykbroker.protocol.messages.streams_group_describe import DescribedGroup

        rows: list[DescribedGroup] = []
        for group_id in group_ids:
            await pause_after(len(rows) + 1)
            if not group_id:
                rows.append(DescribedGroup(error_code=ErrorCode.INVALID_GROUP_ID))
                continue
            try:
                rows.append(self.runtime.shard(self.partition_for(group_id)).describe_streams_group(group_id))
            except KafkaError as error:
                row = DescribedGroup(group_id=group_id, error_code=client_error(error.code))
                row.error_message = error.message if error.code == ErrorCode.GROUP_ID_NOT_FOUND else None
                rows.append(row)
        return rows

    async def delete_groups(self, ctx: "RequestContext", group_ids: Iterable[str]) -> "list[DeletableGroupResult]":
        """One operation per partition; `group_ids` are distinct."""
        from pykbroker.protocol.messages.delete_groups import DeletableGroupResult

        by_partition: dict[int, list[str]] = {}
        for group_id in group_ids:
            by_partition.setdefault(self.partition_for(group_id), []).append(group_id)
        rows: list[DeletableGroupResult] = []
        for partition, ids in by_partition.items():
            try:
                deleted = await self.runtime.write(partition, _deletion(ids))
                rows.extend(_present(deleted))
            except KafkaError as error:
                code = client_error(error.code)
                rows.extend(DeletableGroupResult(group_id=group_id, error_code=code) for group_id in ids)
        return rows


def _new_shard(
    config: "BrokerConfig",
    clock: "Clock",
    image: "Callable[[], MetadataImage] | None",
    current: "Callable[[], BrokerConfig] | None",
) -> "GroupShard":
    """Imported for the first group: a broker without groups starts sooner."""
    from pykbroker.coordinator.group.group_shard import GroupShard
    from pykbroker.metadata.image import MetadataImage

    image = image or MetadataImage.empty
    return GroupShard(config, clock, image=image, current=current)


def _marker(marker: "Marker") -> "Outcome[None]":
    from pykbroker.coordinator.shard import Outcome

    out: Outcome[None] = Outcome()
    out.marker = marker
    return out


def _deletion(group_ids: list[str]) -> "Callable[[GroupShard], Outcome[list[DeletableGroupResult]]]":
    return lambda shard: shard.delete_groups(group_ids)


def _present(response: T | None) -> T:
    if response is None:
        raise RuntimeError("an operation of the group coordinator gave no response")
    return response


def _join_error(member_id: str, code: int) -> "JoinGroupResponse":
    from pykbroker.protocol.messages.join_group import JoinGroupResponse

    return JoinGroupResponse(member_id=member_id, error_code=code)


def _sync_error(code: int) -> "SyncGroupResponse":
    from pykbroker.protocol.messages.sync_group import SyncGroupResponse

    return SyncGroupResponse(error_code=code)


def _heartbeat_error(code: int) -> "HeartbeatResponse":
    from pykbroker.protocol.messages.heartbeat import HeartbeatResponse

    return HeartbeatResponse(error_code=code)


def commit_error(request: "OffsetCommitRequest", code: int) -> "OffsetCommitResponse":
    """The same error for every partition, which is where OffsetCommit has room for it."""
    from pykbroker.protocol.messages.offset_commit import (
        OffsetCommitResponse,
        OffsetCommitResponsePartition,
        OffsetCommitResponseTopic,
    )

    return OffsetCommitResponse(
        topics=[
            OffsetCommitResponseTopic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    OffsetCommitResponsePartition(partition_index=row.partition_index, error_code=code)
                    for row in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
