"""Add partitions to topics (ReplicationControlManager.createPartitions)."""

import random
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pykbroker.controller.new_partitions import manual_assignment, partition_record, placed
from pykbroker.controller.result import ControllerResult
from pykbroker.controller.topic_control import check_size
from pykbroker.errors import KafkaError
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.topics import TopicImage
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.create_partitions import CreatePartitionsTopic, CreatePartitionsTopicResult

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message
    from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord


def create_partitions(
    image: MetadataImage, topics: Iterable[CreatePartitionsTopic], rng: random.Random, *, validate_only: bool
) -> ControllerResult[list[CreatePartitionsTopicResult]]:
    """One batch for all topics that can grow; the others get their error. No topic comes twice.

    Where the batch gets too long, Kafka says UNKNOWN_SERVER_ERROR after adding some; here such a topic stays as it is.
    """
    records: list[Message] = []
    results: list[CreatePartitionsTopicResult] = []
    for topic in topics:
        try:
            added = _partitions(image, topic, rng)
            check_size(len(records) + len(added))
            records.extend(added)
            results.append(CreatePartitionsTopicResult(name=topic.name))
        except KafkaError as error:
            results.append(
                CreatePartitionsTopicResult(name=topic.name, error_code=error.code, error_message=error.message)
            )
    return ControllerResult([] if validate_only else records, results)


def _partitions(image: MetadataImage, wanted: CreatePartitionsTopic, rng: random.Random) -> "list[PartitionRecord]":
    topic = image.topics.get(wanted.name)
    if topic is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    additional = _additional(topic, wanted)
    first = len(topic.partitions)
    factor = len(next(iter(topic.partitions.values())).replicas)
    assignments: list[tuple[Sequence[int], Sequence[int]]]
    if wanted.assignments is None:
        assignments = placed(image, additional, factor, rng)
    else:
        assignments = [
            (each.broker_ids, manual_assignment(image, first + i, each.broker_ids, factor))
            for i, each in enumerate(wanted.assignments)
        ]
    return [
        partition_record(image, topic.id, first + i, replicas, isr) for i, (replicas, isr) in enumerate(assignments)
    ]


def _additional(topic: TopicImage, wanted: CreatePartitionsTopic) -> int:
    present = len(topic.partitions)
    if wanted.count == present:
        raise KafkaError(ErrorCode.INVALID_PARTITIONS, f"Topic already has {present} partition(s).")
    if wanted.count < present:
        raise KafkaError(
            ErrorCode.INVALID_PARTITIONS,
            f"The topic {topic.name} currently has {present} partition(s); {wanted.count} would not be an increase.",
        )
    additional = wanted.count - present
    if wanted.assignments is not None and len(wanted.assignments) != additional:
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"Attempted to add {additional} additional partition(s), but only {len(wanted.assignments)} "
            "assignment(s) were specified.",
        )
    check_size(additional)  # before a huge number costs memory
    return additional
