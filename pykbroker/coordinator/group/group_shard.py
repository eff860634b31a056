"""All groups and offsets of one partition of `__consumer_offsets` (GroupCoordinatorShard)."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, cast

from pykbroker.coordinator.group.classic import ClassicGroups
from pykbroker.coordinator.group.classic_group import ClassicGroup
from pykbroker.coordinator.group.consumer_group import ConsumerGroup
from pykbroker.coordinator.group.group_records import classic_group_tombstone
from pykbroker.coordinator.group.group_types import NOT_READY, SHARE, STREAMS
from pykbroker.coordinator.group.groups import Groups
from pykbroker.coordinator.group.modern_groups import ModernGroups
from pykbroker.coordinator.group.offset_and_metadata import OffsetAndMetadata
from pykbroker.coordinator.group.offset_commit import OffsetWriter
from pykbroker.coordinator.group.offset_fetch import OffsetReader
from pykbroker.coordinator.group.offsets import GroupOffsetTable
from pykbroker.coordinator.shard import CoordinatorRecord, Outcome, Replies
from pykbroker.coordinator.timeline import Timeline
from pykbroker.coordinator.timers import Timers
from pykbroker.errors import KafkaError
from pykbroker.ids import ZERO_UUID, TopicPartition, Uuid
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.persisted.group.group_metadata import GroupMetadataKey
from pykbroker.protocol.persisted.group.offset_commit import OffsetCommitKey, OffsetCommitValue

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.coordinator.group.consumer import ConsumerGroups
    from pykbroker.coordinator.group.groups import Group
    from pykbroker.coordinator.group.share import ShareGroups
    from pykbroker.coordinator.group.streams import StreamsGroups
    from pykbroker.protocol.messages.consumer_group_describe import DescribedGroup as DescribedConsumerGroup
    from pykbroker.protocol.messages.delete_groups import DeletableGroupResult
    from pykbroker.protocol.messages.describe_groups import DescribedGroup
    from pykbroker.protocol.messages.list_groups import ListedGroup
    from pykbroker.protocol.messages.share_group_describe import DescribedGroup as DescribedShareGroup
    from pykbroker.protocol.messages.streams_group_describe import DescribedGroup as DescribedStreamsGroup
    from pykbroker.protocol.persisted.group.legacy_offset_commit import LegacyOffsetCommitKey, LegacyOffsetCommitValue

logger = logging.getLogger(__name__)

EXPIRATION_TIMER: Final = ("expiration", "")
LEGACY_OFFSET_COMMIT: Final = 0
FIRST_DESCRIBE_VERSION_WITH_NOT_FOUND: Final = 6
_MINUTE_MS: Final = 60_000
# Offsets looked at in one go, a few milliseconds, and seconds until the next go.
_EXPIRATION_SLICE: Final = 2000
_EXPIRATION_PAUSE: Final = 0.02


def random_id() -> str:
    """A random uuid as Java prints it."""
    text = os.urandom(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) & 3]}{text[17:20]}-{text[20:]}"


class GroupShard:
    """Wires groups and offsets together and routes records and timers to them."""

    __slots__ = (
        "_check_interval",
        "_clock",
        "_expiring",
        "_image",
        "_modern",
        "_timers",
        "_writer",
        "classic",
        "commit_offsets",
        "commit_transactional_offsets",
        "delete_offsets",
        "fetch_offsets",
        "groups",
        "offsets",
        "timeline",
    )

    def __init__(
        self,
        config: "BrokerConfig",
        clock: "Clock",
        new_id: Callable[[], str] = random_id,
        image: Callable[[], MetadataImage] = MetadataImage.empty,
        current: "Callable[[], BrokerConfig] | None" = None,
    ) -> None:
        """`config`: as the broker was started; `current`: with its dynamic configs."""
        self.timeline = Timeline()
        self._image = image
        self._clock = clock
        self._timers = Timers()
        self._expiring: list[str] = []
        self._check_interval = config.offsets_retention_check_interval_ms / 1000
        self.groups = Groups(self.timeline)
        self.offsets = GroupOffsetTable(self.timeline)
        self.classic = ClassicGroups(
            clock,
            self._timers,
            self.groups,
            initial_delay_ms=config.group_initial_rebalance_delay_ms,
            max_size=config.group_max_size,
            new_id=new_id,
            tombstones=group_tombstones,
        )
        self._modern = ModernGroups(
            config, current, clock, self._timers, self.timeline, self.groups, image, self.classic
        )
        self._writer = OffsetWriter(
            clock,
            self.groups,
            self.offsets,
            self.classic.rebalancer,
            max_metadata=config.offset_metadata_max_bytes,
            retention_ms=config.offsets_retention_minutes * _MINUTE_MS,
            topic_id=self._topic_id,
        )
        self.commit_offsets = self._writer.commit
        self.commit_transactional_offsets = self._writer.commit_transactional
        self.delete_offsets = self._writer.delete
        self.fetch_offsets = OffsetReader(self.groups, self.offsets).fetch

    @property
    def consumers(self) -> "ConsumerGroups":
        return self._modern.consumers

    @property
    def shares(self) -> "ShareGroups":
        return self._modern.shares

    @property
    def streams(self) -> "StreamsGroups":
        return self._modern.streams

    def _topic_id(self, name: str) -> Uuid:
        topic = self._image().topics.get(name)
        return topic.id if topic is not None else ZERO_UUID

    # -- replay

    def replay(self, offset: int, producer_id: int, record: CoordinatorRecord) -> None:
        key = record.key
        value: Any = record.value  # of the kind that belongs to the key
        if isinstance(key, OffsetCommitKey):
            self._replay_offset(offset, producer_id, key, value)
        elif isinstance(key, GroupMetadataKey):
            self.classic.replay(key.group, value)
        elif key.API_KEY == LEGACY_OFFSET_COMMIT:
            legacy = cast("LegacyOffsetCommitKey", key)
            modern = OffsetCommitKey(group=legacy.group, topic=legacy.topic, partition=legacy.partition)
            self._replay_offset(offset, producer_id, modern, _modernized(value))
        else:
            self._modern.replay(record)

    def _replay_offset(
        self, offset: int, producer_id: int, key: OffsetCommitKey, value: OffsetCommitValue | None
    ) -> None:
        group_id = key.group
        tp = TopicPartition(key.topic, key.partition)
        if value is None:
            self.offsets.tombstone(group_id, tp)
            return
        if self.groups.get(group_id) is None:
            # Offsets committed without membership make a simple group.
            self.groups.put(ClassicGroup(group_id, self._clock.wall_ms()))
        committed = OffsetAndMetadata(
            value.offset,
            value.leader_epoch,
            value.metadata,
            value.commit_timestamp,
            value.expire_timestamp,
            value.topic_id,
            offset,
        )
        self.offsets.commit(group_id, tp, committed, producer_id)

    def replay_end_transaction(self, producer_id: int, committed: bool) -> None:
        self.offsets.end_transaction(producer_id, committed)

    # -- life

    def on_loaded(self) -> list[Outcome[Any]]:
        self._schedule_expiration(self._check_interval)
        self._modern.on_loaded()
        return [*self.classic.on_loaded()]

    def on_unloaded(self) -> Replies:
        return self.classic.on_unloaded()

    def next_deadline(self) -> float:
        return self._timers.next_deadline()

    def on_deadline(self) -> Outcome[Any] | None:
        key = cast("tuple[str, ...] | None", self._timers.pop_due(self._clock.monotonic()))
        if key is None:
            return None
        if key == EXPIRATION_TIMER:
            return self.expire_offsets()
        out: Outcome[None] = Outcome()
        if self._modern.on_deadline(key, out):
            return out
        group = self.groups.classic(key[1])
        if group is not None:
            self._on_group_deadline(group, key, out)
        return out

    def _on_group_deadline(self, group: ClassicGroup, key: tuple[str, ...], out: Outcome[None]) -> None:
        rebalancer = self.classic.rebalancer
        if key[0] == "heartbeat":
            rebalancer.on_session_expired(group, key[2], out)
        elif key[0] == "join":
            rebalancer.complete(group, out)
        elif key[0] == "initial":
            rebalancer.on_initial_delay(group, out)
        else:
            rebalancer.on_sync_expired(group, out)

    def _schedule_expiration(self, seconds: float) -> None:
        self._timers.schedule(EXPIRATION_TIMER, self._clock.monotonic() + seconds)

    # -- expiration and deletion

    def expire_offsets(self) -> Outcome[None]:
        """Tombstones for offsets past their retention, and for empty groups without offsets; some groups at a time."""
        if not self._expiring:
            self._expiring = self.groups.ids()[::-1]
        out: Outcome[None] = Outcome()
        out.atomic = False
        budget = _EXPIRATION_SLICE
        while self._expiring and budget > 0:
            group = self.groups.get(self._expiring.pop())
            if group is None or group.group_type == SHARE:
                continue
            budget -= 1 + len(self.offsets.offsets.of_group(group.group_id) or ())
            if self._writer.expire(group, out.records) and group.is_empty:
                out.records.extend(group_tombstones(group))
        self._schedule_expiration(_EXPIRATION_PAUSE if self._expiring else self._check_interval)
        return out

    def topics_deleted(self, topics: Iterable[tuple[str, Uuid]]) -> Outcome[None]:
        """Their offsets go, so that a new topic of the same name starts afresh; share groups forget them."""
        deleted = list(topics)
        out: Outcome[None] = Outcome(records=self._writer.topics_deleted(deleted))
        out.records.extend(self._modern.topics_deleted(topic_id for _, topic_id in deleted))
        out.atomic = False
        return out

    def delete_groups(self, group_ids: Iterable[str]) -> Outcome[list["DeletableGroupResult"]]:
        from pykbroker.protocol.messages.delete_groups import DeletableGroupResult

        out: Outcome[list[DeletableGroupResult]] = Outcome([])
        for group_id in group_ids:
            row = DeletableGroupResult(group_id=group_id)
            try:
                out.records.extend(self._delete_group(group_id))
            except KafkaError as error:
                row.error_code = error.code
            cast("list[DeletableGroupResult]", out.response).append(row)
        return out

    def _delete_group(self, group_id: str) -> list[CoordinatorRecord]:
        group = self.groups.require(group_id)
        if not group.is_empty:
            raise KafkaError(ErrorCode.NON_EMPTY_GROUP)
        return [*self._writer.delete_all(group_id), *group_tombstones(group)]

    def describe_consumer_groups(self, group_ids: Iterable[str]) -> list["DescribedConsumerGroup"]:
        from pykbroker.coordinator.group.consumer_describe import described_consumer
        from pykbroker.protocol.messages.consumer_group_describe import DescribedGroup

        rows = []
        for group_id in group_ids:
            try:
                group = self.groups.require_consumer(group_id)
                default = self.consumers.settings.default_assignor
                rows.append(described_consumer(group, default, self._image().topics))
            except KafkaError as error:
                rows.append(DescribedGroup(group_id=group_id, error_code=error.code, error_message=error.message))
        return rows

    def describe_share_group(self, group_id: str) -> "DescribedShareGroup":
        """Raises KafkaError GROUP_ID_NOT_FOUND."""
        from pykbroker.coordinator.group.share_describe import described_share

        return described_share(self.groups.require_share(group_id), self._image().topics)

    def describe_streams_group(self, group_id: str) -> "DescribedStreamsGroup":
        """Raises KafkaError GROUP_ID_NOT_FOUND."""
        from pykbroker.coordinator.group.streams_describe import described_streams

        return described_streams(self.groups.require_streams(group_id))

    # -- questions

    def list_groups(self, states: frozenset[str], types: frozenset[str]) -> Iterator["ListedGroup"]:
        """Of the groups of now, each as it is when it comes to it. Filters are lower case; an empty one lets everything
        pass."""
        from pykbroker.protocol.messages.list_groups import ListedGroup

        for group in self.groups.committed():
            state = _listed_state(group)
            if (not states or _filtered_as(state) in states) and (not types or group.group_type in types):
                yield ListedGroup(
                    group_id=group.group_id,
                    protocol_type=group.protocol_type or "",
                    group_state=state,
                    group_type=group.group_type,
                )

    def describe_groups(self, api_version: int, group_ids: Iterable[str]) -> list["DescribedGroup"]:
        return [self._describe(api_version, group_id) for group_id in group_ids]

    def _describe(self, api_version: int, group_id: str) -> "DescribedGroup":
        from pykbroker.coordinator.group.classic_describe import described
        from pykbroker.protocol.messages.describe_groups import DescribedGroup

        try:
            return described(self.groups.require_classic(group_id))
        except KafkaError as error:
            row = DescribedGroup(group_id=group_id, group_state="Dead")
            if api_version >= FIRST_DESCRIBE_VERSION_WITH_NOT_FOUND:
                row.error_code, row.error_message = error.code, error.message
            return row


def _listed_state(group: "Group") -> str:
    return group.state if isinstance(group, ClassicGroup) else group.committed_state


def _filtered_as(state: str) -> str:
    """How a filter names a state (StreamsGroupState.toLowerCaseString)."""
    return "not_ready" if state == NOT_READY else state.lower()


def group_tombstones(group: "Group") -> list[CoordinatorRecord]:
    if isinstance(group, ConsumerGroup):
        from pykbroker.coordinator.group.consumer_records import group_tombstones as of_consumers

        return of_consumers(group)
    if group.group_type == SHARE:
        from pykbroker.coordinator.group.share_records import group_tombstones as of_shares

        return of_shares(group)
    if group.group_type == STREAMS:
        from pykbroker.coordinator.group.streams_records import group_tombstones as of_streams

        return of_streams(group)
    return [classic_group_tombstone(group.group_id)]


def _modernized(value: "LegacyOffsetCommitValue | None") -> OffsetCommitValue | None:
    """Offsets as Kafka 0.8 wrote them have an offset, metadata and a timestamp only."""
    if value is None:
        return None
    return OffsetCommitValue(offset=value.offset, metadata=value.metadata, commit_timestamp=value.commit_timestamp)
