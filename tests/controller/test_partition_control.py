"""Which records add partitions; what clients are told about it is in tests/handlers/controller."""

import random
from collections.abc import Sequence

import pytest

from pykbroker.controller.partition_control import create_partitions
from pykbroker.controller.result import MAX_RECORDS_PER_USER_OP, ControllerResult
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsTopic,
    CreatePartitionsTopicResult,
)
from tests.controller.images import broker, image_of, replayed, topic_of

Result = ControllerResult[list[CreatePartitionsTopicResult]]
TOPICS = [topic_of("one", (1,)), topic_of("two", (1, 2), (2, 1))]
IMAGE = image_of(broker(1), broker(2), broker(3), topics=TOPICS)


def wants(name: str, count: int, assignments: Sequence[list[int]] | None = None) -> CreatePartitionsTopic:
    rows = None if assignments is None else [CreatePartitionsAssignment(broker_ids=ids) for ids in assignments]
    return CreatePartitionsTopic(name=name, count=count, assignments=rows)


def grow(*topics: CreatePartitionsTopic, image: MetadataImage = IMAGE, validate_only: bool = False) -> Result:
    return create_partitions(image, topics, random.Random(1), validate_only=validate_only)


def errors(result: Result) -> list[int]:
    return [row.error_code for row in result.response]


def replicas(image: MetadataImage, name: str) -> list[tuple[int, ...]]:
    topic = image.topics.get(name)
    assert topic is not None
    assert sorted(topic.partitions) == list(range(len(topic.partitions)))
    return [partition.replicas for _, partition in sorted(topic.partitions.items())]


def test_new_partitions_have_as_many_replicas_as_the_old_ones() -> None:
    result = grow(wants("one", 3), wants("two", 4))
    image = replayed(IMAGE, result.records)
    assert errors(result) == [0, 0]
    assert [len(ids) for ids in replicas(image, "one")] == [1, 1, 1]
    assert [len(set(ids)) for ids in replicas(image, "two")] == [2, 2, 2, 2]
    assert replicas(image, "two")[:2] == [(1, 2), (2, 1)]


def test_an_assignment_is_kept() -> None:
    result = grow(wants("two", 4, [[3, 1], [2, 3]]))
    image = replayed(IMAGE, result.records)
    assert replicas(image, "two")[2:] == [(3, 1), (2, 3)]
    assert [image.topics.partition("two", index).leader for index in (2, 3)] == [3, 2]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            [3],
            "The manual partition assignment includes a partition with 1 replica(s), but this is not consistent with "
            "previous partitions, which have 2 replica(s).",
        ),
        ([4, 1], "The manual partition assignment includes broker 4, but no such broker is registered."),
    ],
)
def test_assignments_that_are_refused(assignment: list[int], message: str) -> None:
    result = grow(wants("two", 4, [[1, 2], assignment]))
    assert result.records == []
    assert [(row.error_code, row.error_message) for row in result.response] == [
        (ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)
    ]


def test_brokers_that_are_away() -> None:
    image = image_of(broker(1, fenced=True), broker(2, in_controlled_shutdown=True), topics=TOPICS)
    by_hand, by_placer = grow(wants("two", 3, [[1, 2]]), wants("one", 2), image=image).response
    assert (by_hand.error_code, by_hand.error_message) == (
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "All brokers specified in the manual partition assignment for partition 2 are fenced or in controlled "
        "shutdown.",
    )
    assert (by_placer.error_code, by_placer.error_message) == (
        ErrorCode.INVALID_REPLICATION_FACTOR,
        "All brokers are currently fenced, or have all their log directories cordoned.",
    )


def test_refused_topics_leave_no_record() -> None:
    result = grow(wants("one", 1), wants("unknown", 2), wants("two", 3))
    assert errors(result) == [ErrorCode.INVALID_PARTITIONS, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, 0]
    assert len(result.records) == 1


def test_validation_alone_leaves_no_record() -> None:
    result = grow(wants("one", 3), wants("two", 1), validate_only=True)
    assert result.records == []
    assert errors(result) == [0, ErrorCode.INVALID_PARTITIONS]


def test_what_the_batch_has_no_room_for_stays_as_it_is() -> None:
    for count in (MAX_RECORDS_PER_USER_OP + 2, 2**31 - 1):
        result = grow(wants("one", count), wants("two", 3))
        assert errors(result) == [ErrorCode.POLICY_VIOLATION, 0]
        assert len(result.records) == 1
    result = grow(wants("two", 3), wants("one", MAX_RECORDS_PER_USER_OP + 1))
    assert errors(result) == [0, ErrorCode.POLICY_VIOLATION]
    assert len(grow(wants("one", MAX_RECORDS_PER_USER_OP + 1)).records) == MAX_RECORDS_PER_USER_OP
