"""OffsetCommit, OffsetDelete and the end of offsets (OffsetMetadataManager, its writes). KIP-211, 496, 848."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from pykbroker.coordinator.group.classic_group import (
    COMPLETING_REBALANCE,
    EMPTY,
    PREPARING_REBALANCE,
    STABLE,
    ClassicGroup,
)
from pykbroker.coordinator.group.consumer_checks import check_commit
from pykbroker.coordinator.group.consumer_group import ConsumerGroup
from pykbroker.coordinator.group.group_records import offset_record, offset_tombstone
from pykbroker.coordinator.group.group_types import SHARE, STREAMS
from pykbroker.coordinator.group.groups import Groups
from pykbroker.coordinator.group.offset_and_metadata import NO_EXPIRATION, OffsetAndMetadata
from pykbroker.coordinator.group.offsets import GroupOffsetTable
from pykbroker.coordinator.shard import CoordinatorRecord, Outcome, Producer
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition, Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from pykbroker.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)
from pykbroker.protocol.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.coordinator.group.classic_rebalance import Rebalancer
    from pykbroker.coordinator.group.groups import Group
    from pykbroker.coordinator.group.share_group import ShareGroup
    from pykbroker.coordinator.group.streams_group import StreamsGroup

# From this version on, clients know the errors of KIP-848.
FIRST_VERSION_WITH_GROUP_NOT_FOUND: Final = 9
DEFAULT_RETENTION: Final = -1


@contextmanager
def _without_epochs() -> Iterator[None]:
    """Clients of transactions know of stale generations, not of member epochs."""
    try:
        yield
    except KafkaError as error:
        if error.code != ErrorCode.STALE_MEMBER_EPOCH:
            raise
        raise KafkaError(ErrorCode.ILLEGAL_GENERATION) from error


class OffsetWriter:
    """Decides what is written about offsets. Without state of its own."""

    __slots__ = ("_clock", "_groups", "_max_metadata", "_rebalancer", "_retention_ms", "_table", "_topic_id")

    def __init__(
        self,
        clock: "Clock",
        groups: Groups,
        table: GroupOffsetTable,
        rebalancer: "Rebalancer",
        *,
        max_metadata: int,
        retention_ms: int,
        topic_id: Callable[[str], Uuid],
    ) -> None:
        """`topic_id` of a topic that exists."""
        self._clock = clock
        self._groups = groups
        self._table = table
        self._rebalancer = rebalancer
        self._max_metadata = max_metadata
        self._retention_ms = retention_ms
        self._topic_id = topic_id

    # -- OffsetCommit

    def commit(self, api_version: int, request: OffsetCommitRequest) -> Outcome[OffsetCommitResponse]:
        """Topics are known to exist and carry name and id. Raises KafkaError for all of them."""
        self._validate(api_version, request)
        now_ms = self._clock.wall_ms()
        expires = NO_EXPIRATION
        if request.retention_time_ms != DEFAULT_RETENTION:
            expires = _int64(now_ms + request.retention_time_ms)
        out: Outcome[OffsetCommitResponse] = Outcome()
        out.response = OffsetCommitResponse(
            topics=[self._commit_topic(request.group_id, topic, now_ms, expires, out) for topic in request.topics]
        )
        return out

    def _commit_topic(
        self, group_id: str, topic: OffsetCommitRequestTopic, now_ms: int, expires: int, out: Outcome[Any]
    ) -> OffsetCommitResponseTopic:
        rows = []
        for partition in topic.partitions:
            code = 0
            if partition.committed_metadata and self._is_too_large(partition):
                code = ErrorCode.OFFSET_METADATA_TOO_LARGE
            else:
                record = offset_record(
                    group_id,
                    topic.name,
                    partition.partition_index,
                    offset=partition.committed_offset,
                    leader_epoch=partition.committed_leader_epoch,
                    metadata=partition.committed_metadata or "",
                    committed_at=now_ms,
                    expires_at=expires,
                    topic_id=topic.topic_id,
                )
                out.records.append(record)
            rows.append(OffsetCommitResponsePartition(partition.partition_index, code))
        return OffsetCommitResponseTopic(topic.name, topic.topic_id, rows)

    def _is_too_large(self, partition: OffsetCommitRequestPartition | TxnOffsetCommitRequestPartition) -> bool:
        """Kafka counts UTF-16 units, as Java's String.length does."""
        metadata = partition.committed_metadata
        if not metadata or len(metadata) * 2 <= self._max_metadata:
            return False
        return len(metadata.encode("utf-16-le", "surrogatepass")) // 2 > self._max_metadata

    def _written(self, request: OffsetCommitRequest | TxnOffsetCommitRequest) -> Iterator[tuple[Any, Any]]:
        """(topic, partition) of those that are not refused for their metadata."""
        return ((topic, row) for topic in request.topics for row in topic.partitions if not self._is_too_large(row))

    def _validate(self, api_version: int, request: OffsetCommitRequest) -> None:
        group = self._groups.get(request.group_id)
        if group is None:
            if request.generation_id_or_member_epoch < 0:
                return  # a simple group, which replaying the first commit creates
            if api_version >= FIRST_VERSION_WITH_GROUP_NOT_FOUND:
                raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {request.group_id} not found.")
            raise KafkaError(ErrorCode.ILLEGAL_GENERATION)
        if isinstance(group, ClassicGroup):
            self._validate_classic(group, request)
        elif isinstance(group, ConsumerGroup):
            check_commit(
                group,
                request.member_id,
                request.group_instance_id,
                request.generation_id_or_member_epoch,
                ((topic.name, topic.topic_id, row.partition_index) for topic, row in self._written(request)),
                transactional=False,
                version=api_version,
            )
        elif group.group_type == STREAMS:
            epoch = request.generation_id_or_member_epoch
            self._validate_streams(group, request, epoch, transactional=False, version=api_version)
        else:
            raise _not_a_consumer_group(group)

    def _validate_classic(self, group: ClassicGroup, request: OffsetCommitRequest) -> None:
        generation, member_id = request.generation_id_or_member_epoch, request.member_id
        if generation < 0 and group.state == EMPTY:
            return
        if generation < 0 and not member_id and request.group_instance_id is None:
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)  # only members commit while there are any
        member = group.validate_member(member_id, request.group_instance_id)
        if generation != group.generation_id:
            raise KafkaError(ErrorCode.ILLEGAL_GENERATION)
        if group.state == COMPLETING_REBALANCE:
            # It missed the rebalance, or has not asked for its assignment: what it holds may be another's by now.
            raise KafkaError(ErrorCode.REBALANCE_IN_PROGRESS)
        if group.state in (STABLE, PREPARING_REBALANCE):
            self._rebalancer.restart_session(member)

    # -- TxnOffsetCommit

    def commit_transactional(
        self, request: TxnOffsetCommitRequest, guard: object | None
    ) -> Outcome[TxnOffsetCommitResponse]:
        """Offsets that count once the transaction of their producer commits. Topics exist. Raises KafkaError."""
        self._validate_transactional(request)
        out: Outcome[TxnOffsetCommitResponse] = Outcome()
        out.producer = Producer(request.producer_id, request.producer_epoch, guard)
        out.response = TxnOffsetCommitResponse(
            topics=[
                TxnOffsetCommitResponseTopic(
                    name=topic.name,
                    partitions=[self._commit_row(request.group_id, topic.name, row, out) for row in topic.partitions],
                )
                for topic in request.topics
            ]
        )
        return out

    def _commit_row(
        self, group_id: str, topic: str, row: TxnOffsetCommitRequestPartition, out: Outcome[Any]
    ) -> TxnOffsetCommitResponsePartition:
        code = ErrorCode.NONE
        if self._is_too_large(row):
            code = ErrorCode.OFFSET_METADATA_TOO_LARGE
        else:
            record = offset_record(
                group_id,
                topic,
                row.partition_index,
                offset=row.committed_offset,
                leader_epoch=row.committed_leader_epoch,
                metadata=row.committed_metadata or "",
                committed_at=self._clock.wall_ms(),
            )
            out.records.append(record)
        return TxnOffsetCommitResponsePartition(partition_index=row.partition_index, error_code=code)

    def _validate_transactional(self, request: TxnOffsetCommitRequest) -> None:
        """Old clients don't say whose offsets they are; those that do must be members of this generation (KIP-447)."""
        group = self._groups.get(request.group_id)
        if group is None:
            if request.generation_id >= 0:
                raise KafkaError(ErrorCode.ILLEGAL_GENERATION)
        elif isinstance(group, ConsumerGroup):
            with _without_epochs():
                self._validate_consumer(group, request)
        elif group.group_type == SHARE:
            raise _not_a_consumer_group(group)
        elif group.group_type == STREAMS:
            with _without_epochs():
                self._validate_streams(group, request, request.generation_id, transactional=True, version=0)
        elif request.generation_id >= 0 or request.member_id or request.group_instance_id is not None:
            if request.generation_id < 0 and group.state == EMPTY:
                return
            group.validate_member(request.member_id, request.group_instance_id)
            if request.generation_id != group.generation_id:
                raise KafkaError(ErrorCode.ILLEGAL_GENERATION)

    def _validate_consumer(self, group: ConsumerGroup, request: TxnOffsetCommitRequest) -> None:
        check_commit(
            group,
            request.member_id,
            request.group_instance_id,
            request.generation_id,
            ((topic.name, self._topic_id(topic.name), row.partition_index) for topic, row in self._written(request)),
            transactional=True,
            version=0,
        )

    def _validate_streams(
        self,
        group: "StreamsGroup",
        request: OffsetCommitRequest | TxnOffsetCommitRequest,
        epoch: int,
        *,
        transactional: bool,
        version: int,
    ) -> None:
        from pykbroker.coordinator.group.streams_checks import check_commit as check_streams_commit

        check_streams_commit(
            group,
            request.member_id,
            request.group_instance_id,
            epoch,
            ((topic.name, row.partition_index) for topic, row in self._written(request)),
            transactional=transactional,
            version=version,
        )

    # -- OffsetDelete

    def delete(self, request: OffsetDeleteRequest) -> Outcome[OffsetDeleteResponse]:
        """Raises KafkaError GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP."""
        group = self._groups.require(request.group_id)
        if isinstance(group, ClassicGroup) and not group.is_empty and not group.uses_consumer_protocol:
            raise KafkaError(ErrorCode.NON_EMPTY_GROUP)
        if group.group_type == SHARE:
            raise _not_a_consumer_group(group)
        out: Outcome[OffsetDeleteResponse] = Outcome()
        out.response = OffsetDeleteResponse(topics=[self._delete_topic(group, topic, out) for topic in request.topics])
        return out

    def _delete_topic(
        self, group: "Group", topic: OffsetDeleteRequestTopic, out: Outcome[Any]
    ) -> OffsetDeleteResponseTopic:
        subscribed = is_subscribed(group, topic.name)
        code = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC if subscribed else ErrorCode.NONE
        rows = []
        for partition in topic.partitions:
            index = partition.partition_index
            rows.append(OffsetDeleteResponsePartition(partition_index=index, error_code=code))
            if not subscribed and self._has_offset(group.group_id, TopicPartition(topic.name, index)):
                out.records.append(offset_tombstone(group.group_id, topic.name, index))
        return OffsetDeleteResponseTopic(name=topic.name, partitions=rows)

    def _has_offset(self, group_id: str, tp: TopicPartition) -> bool:
        return self._table.offsets.get(group_id, tp) is not None or self._table.is_pending(group_id, tp)

    def delete_all(self, group_id: str) -> list[CoordinatorRecord]:
        """Tombstones of all offsets of a group, those in open transactions too."""
        return [offset_tombstone(group_id, tp.topic, tp.partition) for tp in self._table.known_partitions(group_id)]

    def topics_deleted(self, topics: Iterable[tuple[str, Uuid]]) -> list[CoordinatorRecord]:
        """Tombstones of the offsets of topics (name, id) that do not exist any more."""
        return [offset_tombstone(group_id, tp.topic, tp.partition) for group_id, tp in self._table.of_topics(topics)]

    # -- expiration

    def expire(self, group: "Group", records: list[CoordinatorRecord]) -> bool:
        """Adds tombstones of expired offsets; whether no offset is left then, so that an empty group may go."""
        group_id = group.group_id
        offsets = self._table.offsets.of_group(group_id)
        if offsets is None:
            return not self._table.has_open_transactions(group_id)
        now_ms = self._clock.wall_ms()
        nothing_left = not self._table.has_open_transactions(group_id)
        for tp, offset in offsets.items():
            if self._is_expired(group, tp, offset, now_ms):
                records.append(offset_tombstone(group_id, tp.topic, tp.partition))
            else:
                nothing_left = False
        return nothing_left

    def _is_expired(self, group: "Group", tp: TopicPartition, offset: OffsetAndMetadata, now_ms: int) -> bool:
        base = expiration_base(group, offset)
        if base is None or is_subscribed(group, tp.topic) or self._table.is_pending(group.group_id, tp):
            return False
        if offset.expire_timestamp != NO_EXPIRATION:
            return now_ms >= offset.expire_timestamp
        return now_ms - base >= self._retention_ms


def expiration_base(group: "Group", offset: OffsetAndMetadata) -> int | None:
    """From when retention counts, wall milliseconds; None: nothing expires now (OffsetExpirationCondition)."""
    if not isinstance(group, ClassicGroup):
        return offset.commit_timestamp
    if group.protocol_type is None:
        return offset.commit_timestamp
    if group.state == EMPTY:
        return group.state_timestamp if group.state_timestamp >= 0 else offset.commit_timestamp
    if group.uses_consumer_protocol and group.subscribed_topics is not None and group.state == STABLE:
        return offset.commit_timestamp
    return None


def _int64(value: int) -> int:
    """Absurd retention times overflow as in Java."""
    return (value + 2**63) % 2**64 - 2**63


def is_subscribed(group: "Group", topic: str) -> bool:
    return group.is_subscribed_to(topic)


def _not_a_consumer_group(group: "ShareGroup") -> KafkaError:
    return KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group.group_id} is not a consumer group.")
