"""AlterShareGroupOffsets, DeleteShareGroupOffsets, and DeleteGroups of share groups: what the group remembers of them.

The offsets themselves are the share coordinator's: each step here says what to ask the persister for, and a later one
notes its answer. Kafka: GroupMetadataManager.alterShareGroupOffsets, sharePartitionsEligibleForOffsetDeletion,
completeDeleteShareGroupOffsets, shareGroupBuildPartitionDeleteRequest.
"""

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from pykbroker.coordinator.group.consumer_member import Partitions
from pykbroker.coordinator.group.share_errors import message_for
from pykbroker.coordinator.group.share_group import ShareGroup
from pykbroker.coordinator.group.share_initialization import ShareInitialization, initialize_request
from pykbroker.coordinator.group.share_state import SharePartitionStates, TopicState, merge
from pykbroker.coordinator.shard import CoordinatorRecord, Outcome
from pykbroker.coordinator.timeline import Timeline
from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.alter_share_group_offsets import (
    AlterShareGroupOffsetsRequestTopic,
    AlterShareGroupOffsetsResponsePartition,
    AlterShareGroupOffsetsResponseTopic,
)
from pykbroker.protocol.messages.delete_share_group_offsets import DeleteShareGroupOffsetsResponseTopic

if TYPE_CHECKING:
    from pykbroker.clock import Clock
    from pykbroker.coordinator.group.groups import Groups
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.metadata.topics import TopicImage
    from pykbroker.protocol.messages.initialize_share_group_state import InitializeShareGroupStateRequest

logger = logging.getLogger(__name__)

NOTHING_TO_DELETE = "There is no offset information to delete."


class Alteration(NamedTuple):
    """Rows of the answer as far as they are known, and what to ask the persister for."""

    rows: list[AlterShareGroupOffsetsResponseTopic]
    request: "InitializeShareGroupStateRequest"


class Deletion(NamedTuple):
    """Rows of topics that can't be deleted, and the partitions that the persister must delete."""

    refused: list[DeleteShareGroupOffsetsResponseTopic]
    partitions: Partitions


class ShareOffsets:
    """Of the groups of one shard."""

    def __init__(
        self,
        clock: "Clock",
        groups: "Groups",
        image: "Callable[[], MetadataImage]",
        initialization: ShareInitialization,
    ) -> None:
        self._clock = clock
        self._groups = groups
        self._image = image
        self._initialization = initialization

    # -- AlterShareGroupOffsets

    def alter(self, group_id: str, topics: Iterable[AlterShareGroupOffsetsRequestTopic]) -> Outcome[Alteration]:
        """Creates the group if need be. Raises KafkaError GROUP_ID_NOT_FOUND for another kind, NON_EMPTY_GROUP."""
        group = self._groups.get(group_id)
        if group is None:
            group = ShareGroup(group_id, Timeline())
        group = _empty_share_group(group)
        rows: list[AlterShareGroupOffsetsResponseTopic] = []
        offsets: dict[Uuid, dict[int, int]] = {}
        begun: dict[Uuid, TopicState] = {}
        for topic in topics:
            image = self._image().topics.get(topic.topic_name)
            rows.append(_alter_row(topic, image))
            if image is None:
                continue
            known = {row.partition_index: row.start_offset for row in topic.partitions if _is_known(image, row)}
            begun[image.id] = TopicState(topic.topic_name, frozenset(known), self._clock.wall_ms())
            if known:
                offsets[image.id] = known
        out = Outcome(Alteration(rows, initialize_request(group_id, group.epochs.group, offsets)))
        if begun:
            out.records.append(self._initialization.begin_record(group, begun))
        return out

    # -- DeleteShareGroupOffsets

    def begin_delete(self, group_id: str, names: Iterable[str]) -> Outcome[Deletion]:
        """Raises KafkaError GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP."""
        group = _empty_share_group(self._groups.require(group_id))
        states = group.states
        deletion = Deletion([], {})
        out = Outcome(deletion)
        if states is None:
            return out
        partitions: dict[Uuid, frozenset[int]] = {}
        for name in names:
            topic = self._image().topics.get(name)
            deletable = _deletable(states, topic)
            if topic is None:
                deletion.refused.append(_refusal(name, message_for(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)))
            elif deletable is None:
                deletion.refused.append(_refusal(name, NOTHING_TO_DELETE))
            else:
                partitions[topic.id] = deletable
        left = SharePartitionStates(
            states.initializing,
            {key: state for key, state in states.initialized.items() if key not in partitions},
            states.deleting | partitions.keys(),
        )
        out.response = Deletion(deletion.refused, partitions)
        out.records.append(self._initialization.record(group, left))
        return out

    def complete_delete(self, group_id: str, topic_ids: Iterable[Uuid]) -> Outcome[bool]:
        """The persister has deleted them. The answer is false when the group is gone by now."""
        group = self._groups.get(group_id)
        states = group.states if isinstance(group, ShareGroup) else None
        if not isinstance(group, ShareGroup) or states is None:
            return Outcome(False)
        left = states._replace(deleting=states.deleting - frozenset(topic_ids))
        return Outcome(True, [self._initialization.record(group, left)])

    # -- DeleteGroups

    def begin_delete_groups(self, group_ids: Iterable[str]) -> "Outcome[dict[str, Partitions | int]]":
        """For share groups among them: what the persister must delete first, or an error code."""
        answers: dict[str, Partitions | int] = {}
        out = Outcome(answers)
        for group_id in group_ids:
            group = self._groups.get(group_id)
            if not isinstance(group, ShareGroup):
                continue  # whatever it is, it is deleted without the persister
            if not group.is_empty:
                answers[group_id] = ErrorCode.NON_EMPTY_GROUP
            elif group.states is not None:
                partitions, record = self._delete_everything(group, group.states)
                out.records.append(record)
                if partitions:
                    answers[group_id] = partitions
        return out

    def _delete_everything(
        self, group: ShareGroup, states: SharePartitionStates
    ) -> tuple[Partitions, CoordinatorRecord]:
        """Also what an earlier deletion has left half done."""
        doomed = merge(states.initialized, states.initializing)
        for topic_id in states.deleting:
            topic = self._image().topics.by_id(topic_id)
            if topic is None:
                logger.warning("Share group %s: topic %s, to be deleted, does not exist", group.group_id, topic_id)
            else:
                doomed = merge(doomed, {topic_id: TopicState(topic.name, frozenset(topic.partitions), -1)})
        left = SharePartitionStates(deleting=frozenset(doomed))
        return {key: state.partitions for key, state in doomed.items()}, self._initialization.record(group, left)

    # -- DescribeShareGroupOffsets

    def initialized(self, group_id: str) -> Partitions:
        """What is known of any group, or of none."""
        group = self._groups.get(group_id)
        states = group.states if isinstance(group, ShareGroup) else None
        return {} if states is None else {key: state.partitions for key, state in states.initialized.items()}


def _empty_share_group(group: object) -> ShareGroup:
    if not isinstance(group, ShareGroup):
        group_id: Any = getattr(group, "group_id", "")
        raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} is not a share group.")
    if not group.is_empty:
        raise KafkaError(ErrorCode.NON_EMPTY_GROUP)
    return group


def _is_known(topic: "TopicImage", row: Any) -> bool:
    return row.partition_index in topic.partitions


def _alter_row(
    topic: AlterShareGroupOffsetsRequestTopic, image: "TopicImage | None"
) -> AlterShareGroupOffsetsResponseTopic:
    rows = []
    for row in topic.partitions:
        answer = AlterShareGroupOffsetsResponsePartition(partition_index=row.partition_index)
        if image is None or not _is_known(image, row):
            answer.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            answer.error_message = message_for(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        rows.append(answer)
    response = AlterShareGroupOffsetsResponseTopic(topic_name=topic.topic_name, partitions=rows)
    if image is not None:
        response.topic_id = image.id
    return response


def _deletable(states: SharePartitionStates, topic: "TopicImage | None") -> frozenset[int] | None:
    """None: there is nothing. What an earlier deletion has left half done is deleted once more."""
    if topic is None:
        return None
    if topic.id in states.initialized:
        return states.initialized[topic.id].partitions
    return frozenset(topic.partitions) if topic.id in states.deleting else None


def _refusal(name: str, message: str | None) -> DeleteShareGroupOffsetsResponseTopic:
    return DeleteShareGroupOffsetsResponseTopic(
        topic_name=name, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, error_message=message
    )
