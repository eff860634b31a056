"""Which records create and delete topics; what clients are told about it is in tests/handlers/controller."""

import random
from collections.abc import Mapping
from typing import Any

import pytest

from pykbroker.controller.result import MAX_RECORDS_PER_USER_OP, ControllerResult
from pykbroker.controller.topic_control import Defaults, check_size, create_topics, delete_topics
from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreatableTopicConfigs,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from pykbroker.protocol.persisted.metadata.clear_elr_record import ClearElrRecord
from pykbroker.protocol.persisted.metadata.config_record import ConfigRecord
from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord
from pykbroker.protocol.persisted.metadata.remove_topic_record import RemoveTopicRecord
from pykbroker.protocol.persisted.metadata.topic_record import TopicRecord
from tests.controller.images import broker, image_of, replayed, topic_of

IMAGE = image_of(broker(1), broker(2), broker(3))


def check_configs(overrides: Mapping[str, str]) -> None:
    if "bad" in overrides:
        raise KafkaError(ErrorCode.INVALID_CONFIG, "bad is bad")


def describe_configs(overrides: Mapping[str, str]) -> list[CreatableTopicConfigs]:
    return [CreatableTopicConfigs(name=name, value=value) for name, value in overrides.items()]


def create(
    *topics: CreatableTopic, image: MetadataImage = IMAGE, validate_only: bool = False
) -> ControllerResult[CreateTopicsResponse]:
    defaults = Defaults(4, 2, check_configs, describe_configs, random.Random(1))
    request = CreateTopicsRequest(topics=list(topics), validate_only=validate_only)
    return create_topics(image, request, defaults)


def topic(name: str = "topic", partitions: int = 1, factor: int = 1, **fields: Any) -> CreatableTopic:
    return CreatableTopic(name=name, num_partitions=partitions, replication_factor=factor, **fields)


def configs(**values: str) -> list[CreatableTopicConfig]:
    return [CreatableTopicConfig(name=name.replace("_", "."), value=value) for name, value in values.items()]


def errors(result: ControllerResult[CreateTopicsResponse]) -> list[int]:
    return [row.error_code for row in result.response.topics]


def test_a_topic_its_configs_and_its_partitions_in_this_order() -> None:
    records, response = create(topic(partitions=3, factor=2, configs=configs(retention_ms="5", segment_ms="6")))
    (row,) = response.topics
    assert [type(record) for record in records] == [TopicRecord, ConfigRecord, ConfigRecord, *[PartitionRecord] * 3]
    image = replayed(IMAGE, records)
    created = image.topics.get("topic")
    assert created is not None
    assert created.id == row.topic_id
    assert image.configs.topic("topic") == {"retention.ms": "5", "segment.ms": "6"}
    assert sorted(created.partitions) == [0, 1, 2]
    assert all(len(p.replicas) == 2 and p.leader == p.replicas[0] for p in created.partitions.values())
    assert (row.num_partitions, row.replication_factor, [c.name for c in row.configs]) == (
        3,
        2,
        ["retention.ms", "segment.ms"],
    )


def test_the_defaults() -> None:
    (row,) = create(topic(partitions=-1, factor=-1)).response.topics
    assert (row.error_code, row.num_partitions, row.replication_factor) == (0, 4, 2)


def test_eligible_leaders_are_forgotten_with_another_minimum() -> None:
    records, _ = create(topic(configs=configs(min_insync_replicas="2")))
    (cleared,) = [record for record in records if isinstance(record, ClearElrRecord)]
    assert cleared.topic_name == "topic"


def test_an_assignment_is_kept() -> None:
    assignments = [
        CreatableReplicaAssignment(partition_index=1, broker_ids=[2, 3]),
        CreatableReplicaAssignment(partition_index=0, broker_ids=[3, 1]),
    ]
    records, _ = create(topic(partitions=-1, factor=-1, assignments=assignments))
    partitions = [record for record in records if isinstance(record, PartitionRecord)]
    assert [(p.partition_id, p.replicas, p.leader) for p in partitions] == [(0, [3, 1], 3), (1, [2, 3], 2)]


def test_refused_topics_leave_no_record() -> None:
    image = image_of(broker(1), topics=[topic_of("here", (1,)), topic_of("a.b", (1,))])
    records, response = create(
        topic("here"),
        topic("a_b"),
        topic("not legal"),
        topic("bad", configs=configs(bad="1")),
        topic("wide", factor=2),
        topic("good"),
        image=image,
    )
    assert [row.error_code for row in response.topics] == [
        ErrorCode.TOPIC_ALREADY_EXISTS,
        ErrorCode.INVALID_TOPIC_EXCEPTION,
        ErrorCode.INVALID_TOPIC_EXCEPTION,
        ErrorCode.INVALID_CONFIG,
        ErrorCode.INVALID_REPLICATION_FACTOR,
        0,
    ]
    assert len(records) == 2
    assert set(replayed(image, records).topics.names()) == {"here", "a.b", "good"}


def test_validation_alone_leaves_no_record() -> None:
    result = create(topic(), topic("not legal"), validate_only=True)
    assert result.records == []
    assert errors(result) == [0, ErrorCode.INVALID_TOPIC_EXCEPTION]


def test_no_broker_is_active() -> None:
    image = image_of(broker(1, in_controlled_shutdown=True), broker(2, fenced=True))
    (row,) = create(topic(), image=image).response.topics
    assert (row.error_code, row.error_message) == (
        ErrorCode.INVALID_REPLICATION_FACTOR,
        "Unable to replicate the partition 1 time(s): All brokers are currently fenced, or have all their log "
        "directories cordoned.",
    )


def test_one_batch_holds_all_or_nothing() -> None:
    room = MAX_RECORDS_PER_USER_OP - 1
    assert len(create(topic(partitions=room)).records) == MAX_RECORDS_PER_USER_OP
    for topics in (
        [topic(partitions=room + 1)],
        [topic(partitions=room, configs=configs(retention_ms="1"))],
        [topic(partitions=room), topic("other")],
        [topic(partitions=room), topic("not legal", partitions=2)],
    ):
        with pytest.raises(KafkaError) as refused:
            create(*topics)
        assert refused.value.code == ErrorCode.POLICY_VIOLATION


def test_deletes_topics() -> None:
    topics = [topic_of("a", (1,), (1,)), topic_of("b", (1,)), topic_of("c", (1,))]
    image, unknown = image_of(broker(1), topics=topics), Uuid.random()
    records, codes = delete_topics(image, [topics[0].id, unknown, topics[2].id])
    assert codes == {topics[0].id: 0, unknown: ErrorCode.UNKNOWN_TOPIC_ID, topics[2].id: 0}
    assert [type(record) for record in records] == [RemoveTopicRecord] * 2
    assert replayed(image, records).topics.names() == ["b"]


def test_the_size_of_a_batch() -> None:
    check_size(MAX_RECORDS_PER_USER_OP)
    with pytest.raises(KafkaError) as refused:
        check_size(MAX_RECORDS_PER_USER_OP + 1)
    assert refused.value.message == "Unable to perform excessively large batch operation."
