"""Which partitions of a share group the share coordinator must learn of, and that it did (KIP-932, KAFKA-16717).

Kafka: GroupMetadataManager.maybeCreateInitializeShareGroupStateRequest, initializedAssignmentPending,
(un)initializeShareGroupState, maybeCleanupShareGroupState.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pykbroker.coordinator.group.consumer_member import Partitions
from pykbroker.coordinator.group.share_group import ShareGroup
from pykbroker.coordinator.group.share_records import states_record
from pykbroker.coordinator.group.share_state import SharePartitionStates, TopicStates, topic_name, topic_states
from pykbroker.coordinator.shard import CoordinatorRecord, Outcome
from pykbroker.ids import Uuid

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.coordinator.group.groups import Groups
    from pykbroker.coordinator.group.share_settings import ShareSettings
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.protocol.messages.initialize_share_group_state import InitializeShareGroupStateRequest

logger = logging.getLogger(__name__)

UNINITIALIZED_OFFSET = -1


class ShareInitialization:
    """Of the groups of one shard."""

    def __init__(
        self, clock: "Clock", groups: "Groups", image: "Callable[[], MetadataImage]", settings: "ShareSettings"
    ) -> None:
        self._clock = clock
        self._groups = groups
        self._image = image
        self._settings = settings

    def awaits_assignment(self, group: ShareGroup) -> bool:
        """Partitions that somebody subscribes to have been initialized, and nobody has them."""
        states = group.states
        if group.is_empty or states is None or not states.initialized:
            return False
        assigned, topics = group.assigned(), self._image().topics
        return any(
            group.is_subscribed_to(state.name) and assigned.get(topic_id) != state.partitions
            for topic_id, state in states.initialized.items()
            if topics.by_id(topic_id) is not None  # else no assignment could ever have it
        )

    def begin(
        self, group: ShareGroup, epoch: int, names: frozenset[str], out: Outcome[Any]
    ) -> "InitializeShareGroupStateRequest | None":
        """Partitions of subscribed topics that nobody has spoken of; None: there are none. State epoch: the group's."""
        states = group.states or SharePartitionStates()
        now_ms, retry_ms = self._clock.wall_ms(), self._settings.initialize_retry_ms
        found = states.uninitialized(names, self._image().topics, now_ms, retry_ms)
        if not found:
            return None
        out.records.append(self.begin_record(group, found))
        offsets = {key: dict.fromkeys(sorted(row.partitions), UNINITIALIZED_OFFSET) for key, row in found.items()}
        return initialize_request(group.group_id, epoch, offsets)

    def begin_record(self, group: ShareGroup, topics: TopicStates) -> CoordinatorRecord:
        return self.record(group, (group.states or SharePartitionStates()).begin(topics))

    def complete(self, group_id: str, partitions: Partitions) -> Outcome[None]:
        """The persister has initialized them."""
        out: Outcome[None] = Outcome()
        group = self._groups.get(group_id)
        if partitions and isinstance(group, ShareGroup):
            topics = topic_states(partitions, self._image().topics, self._clock.wall_ms())
            out.records.append(self.record(group, (group.states or SharePartitionStates()).complete(topics)))
        return out

    def give_up(self, group_id: str, partitions: Partitions) -> Outcome[None]:
        """The persister could not initialize them."""
        out: Outcome[None] = Outcome()
        group = self._groups.get(group_id)
        states = group.states if isinstance(group, ShareGroup) else None
        if partitions and isinstance(group, ShareGroup) and states is not None and states.initializing:
            out.records.append(self.record(group, states.give_up(partitions)))
        return out

    def topics_deleted(self, topic_ids: Iterable[Uuid]) -> list[CoordinatorRecord]:
        """The share coordinator hears of it by itself."""
        gone = frozenset(topic_ids)
        records = []
        for group in self._groups:
            states = group.states if isinstance(group, ShareGroup) else None
            if isinstance(group, ShareGroup) and states is not None and (left := states.forget(gone)) != states:
                records.append(self.record(group, left))
        return records

    def record(self, group: ShareGroup, states: SharePartitionStates) -> CoordinatorRecord:
        topics = self._image().topics
        return states_record(group.group_id, states, {key: topic_name(key, topics) for key in states.deleting})


def initialize_request(
    group_id: str, epoch: int, offsets: Mapping[Uuid, Mapping[int, int]]
) -> "InitializeShareGroupStateRequest":
    """`offsets`: where each partition starts, -1: as share.auto.offset.reset says."""
    from pykbroker.protocol.messages.initialize_share_group_state import (
        InitializeShareGroupStateRequest,
        InitializeStateData,
        PartitionData,
    )

    return InitializeShareGroupStateRequest(
        group_id=group_id,
        topics=[
            InitializeStateData(
                topic_id=topic_id,
                partitions=[
                    PartitionData(partition=partition, state_epoch=epoch, start_offset=offset)
                    for partition, offset in rows.items()
                ],
            )
            for topic_id, rows in offsets.items()
        ],
    )
