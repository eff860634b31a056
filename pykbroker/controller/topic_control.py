"""Create and delete topics: what to write, or why not (ReplicationControlManager, KIP-464, KIP-525)."""

import random
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from pykbroker.controller.new_partitions import manual_assignment, partition_record, placed
from pykbroker.controller.result import MAX_RECORDS_PER_USER_OP, ControllerResult
from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.metadata.image import TOPIC_RESOURCE, MetadataImage
from pykbroker.metadata.topic_names import has_collision_characters, unify_collision_characters, why_invalid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message
    from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord

MIN_INSYNC_REPLICAS = "min.insync.replicas"
MAX_PARTITIONS_PER_REQUEST = MAX_RECORDS_PER_USER_OP


class Defaults(NamedTuple):
    """What CreateTopics takes where the client says -1, and how it deals with configs.

    `check_configs` raises KafkaError(INVALID_CONFIG); `describe_configs` gives the rows of the answer.
    """

    num_partitions: int
    replication_factor: int
    check_configs: Callable[[Mapping[str, str]], None]
    describe_configs: Callable[[Mapping[str, str]], list[CreatableTopicConfigs]]
    rng: random.Random


def create_topics(
    image: MetadataImage, request: CreateTopicsRequest, defaults: Defaults
) -> ControllerResult[CreateTopicsResponse]:
    """One batch for all topics that can be created; the others get their error. The request has no duplicates any more.

    Raises KafkaError(POLICY_VIOLATION) for more partitions than one batch holds.
    """
    if sum(_count(topic, defaults) for topic in request.topics) > MAX_PARTITIONS_PER_REQUEST:
        raise KafkaError(ErrorCode.POLICY_VIOLATION, "Excessively large number of partitions per request.")
    creation = _Creation(image, defaults)
    results = [creation.topic(topic) for topic in request.topics]
    response = CreateTopicsResponse(topics=results)
    return ControllerResult([] if request.validate_only else creation.records, response)


def delete_topics(image: MetadataImage, ids: Iterable[Uuid]) -> ControllerResult[dict[Uuid, int]]:
    """Error code per topic id."""
    from pykbroker.protocol.persisted.metadata.remove_topic_record import RemoveTopicRecord

    codes: dict[Uuid, int] = {}
    records: list[Message] = []
    for topic_id in ids:
        if image.topics.by_id(topic_id) is None:
            codes[topic_id] = ErrorCode.UNKNOWN_TOPIC_ID
            continue
        codes[topic_id] = ErrorCode.NONE
        records.append(RemoveTopicRecord(topic_id=topic_id))
    check_size(len(records))
    return ControllerResult(records, codes)


def check_size(records: int) -> None:
    """Raises KafkaError(POLICY_VIOLATION) when one request would write too many records at once."""
    if records > MAX_RECORDS_PER_USER_OP:
        raise KafkaError(ErrorCode.POLICY_VIOLATION, "Unable to perform excessively large batch operation.")


def _count(topic: CreatableTopic, defaults: Defaults) -> int:
    if topic.assignments:
        return len(topic.assignments)
    return defaults.num_partitions if topic.num_partitions == -1 else max(topic.num_partitions, 0)


class _Creation:
    """One CreateTopics request on its way into records."""

    def __init__(self, image: MetadataImage, defaults: Defaults) -> None:
        self.records: list[Message] = []
        self._image = image
        self._defaults = defaults
        self._unified: dict[str, str] | None = None

    def topic(self, topic: CreatableTopic) -> CreatableTopicResult:
        try:
            return self._create(topic)
        except KafkaError as error:
            if error.code == ErrorCode.POLICY_VIOLATION:  # too large: the whole request fails, nothing is created
                raise
            return CreatableTopicResult(name=topic.name, error_code=error.code, error_message=error.message)

    def _create(self, topic: CreatableTopic) -> CreatableTopicResult:
        self._check_name(topic.name)
        overrides = _overrides(topic)
        self._defaults.check_configs(overrides)
        topic_id = Uuid.random()
        partitions = self._manual(topic, topic_id) if topic.assignments else self._placed(topic, topic_id)
        records = [*_topic_records(topic.name, topic_id, overrides), *partitions]
        check_size(len(self.records) + len(records))
        self.records.extend(records)
        return CreatableTopicResult(
            name=topic.name,
            topic_id=topic_id,
            error_message=None,
            num_partitions=len(partitions),
            replication_factor=len(partitions[0].replicas),
            configs=self._defaults.describe_configs(overrides),
        )

    def _check_name(self, name: str) -> None:
        topics = self._image.topics
        if name in topics:
            raise KafkaError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
        colliding = self._colliding(name) if has_collision_characters(name) else None
        if colliding is not None:
            raise KafkaError(
                ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic '{name}' collides with existing topic: {colliding}"
            )
        reason = why_invalid(name)
        if reason is not None:
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, reason)

    def _colliding(self, name: str) -> str | None:
        if self._unified is None:
            names = self._image.topics.by_name
            self._unified = {unify_collision_characters(n): n for n in names if has_collision_characters(n)}
        return self._unified.get(unify_collision_characters(name))

    def _manual(self, topic: CreatableTopic, topic_id: Uuid) -> "list[PartitionRecord]":
        if topic.replication_factor != -1:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                "A manual partition assignment was specified, but replication factor was not set to -1.",
            )
        if topic.num_partitions != -1:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                "A manual partition assignment was specified, but numPartitions was not set to -1.",
            )
        partitions: dict[int, PartitionRecord] = {}
        factor: int | None = None
        for assignment in topic.assignments:
            index, replicas = assignment.partition_index, assignment.broker_ids
            if index in partitions:
                raise KafkaError(
                    ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                    f"Found multiple manual partition assignments for partition {index}",
                )
            isr = manual_assignment(self._image, index, replicas, factor)
            factor = len(replicas)
            partitions[index] = partition_record(self._image, topic_id, index, replicas, isr)
        if any(index not in partitions for index in range(len(partitions))):
            raise KafkaError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT, "partitions should be a consecutive 0-based integer sequence"
            )
        return [partitions[index] for index in range(len(partitions))]

    def _placed(self, topic: CreatableTopic, topic_id: Uuid) -> "list[PartitionRecord]":
        if topic.replication_factor < -1 or topic.replication_factor == 0:
            raise KafkaError(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                "Replication factor must be larger than 0, or -1 to use the default value.",
            )
        if topic.num_partitions < -1 or topic.num_partitions == 0:
            raise KafkaError(
                ErrorCode.INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value."
            )
        count = self._defaults.num_partitions if topic.num_partitions == -1 else topic.num_partitions
        factor = self._defaults.replication_factor if topic.replication_factor == -1 else topic.replication_factor
        image = self._image
        try:
            assignments = placed(image, count, factor, self._defaults.rng)
        except KafkaError as error:
            message = str(error.message)
            prefix = f"Unable to replicate the partition {factor} time(s): "
            raise KafkaError(error.code, message if message.startswith(prefix) else prefix + message) from None
        return [partition_record(image, topic_id, i, replicas, isr) for i, (replicas, isr) in enumerate(assignments)]


def _overrides(topic: CreatableTopic) -> dict[str, str]:
    nulls = [config.name for config in topic.configs if config.value is None]
    if nulls:
        raise KafkaError(ErrorCode.INVALID_CONFIG, "Null value not supported for topic configs: " + ",".join(nulls))
    return {config.name: config.value for config in topic.configs if config.value is not None}


def _topic_records(name: str, topic_id: Uuid, overrides: Mapping[str, str]) -> "list[Message]":
    from pykbroker.protocol.persisted.metadata.clear_elr_record import ClearElrRecord
    from pykbroker.protocol.persisted.metadata.config_record import ConfigRecord
    from pykbroker.protocol.persisted.metadata.topic_record import TopicRecord

    records: list[Message] = [TopicRecord(name=name, topic_id=topic_id)]
    for key, value in overrides.items():
        records.append(ConfigRecord(resource_type=TOPIC_RESOURCE, resource_name=name, name=key, value=value))
    if MIN_INSYNC_REPLICAS in overrides:
        records.append(ClearElrRecord(topic_name=name))
    return records
