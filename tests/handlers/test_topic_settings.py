"""Broker settings that change what the topic APIs answer, with the answers of a real Kafka 4.3.1 that has them too."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.create_partitions import CreatePartitionsRequest, CreatePartitionsTopic
from pykbroker.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pykbroker.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from pykbroker.protocol.messages.describe_topic_partitions import DescribeTopicPartitionsRequest, TopicRequest
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from tests.controller.stand import ClusterStand
from tests.handlers.cluster_asker import ClusterAsker, metadata, topics_of

Start = Callable[..., ClusterAsker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    stands: list[ClusterStand] = []

    def begin(**settings: str) -> ClusterAsker:
        stands.append(ClusterStand(tmp_path, **settings))
        return ClusterAsker(stands[-1])

    yield begin
    for stand in stands:
        stand.close()


def test_without_automatic_creation(start: Start) -> None:
    asker = start(auto_create_topics_enable="false")
    rows = topics_of(metadata(asker, ["fresh", "__consumer_offsets", ""], allow_auto_topic_creation=True))
    assert {name: row.error_code for name, row in rows.items()} == {
        "fresh": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        "__consumer_offsets": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        "": ErrorCode.INVALID_TOPIC_EXCEPTION,
    }
    assert rows["__consumer_offsets"].is_internal
    assert metadata(asker, ["fresh"], version=1).topics[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_coordinators_get_their_topic_all_the_same(start: Start) -> None:
    asker = start(auto_create_topics_enable="false", offsets_topic_num_partitions="7")
    (row,) = asker.ask(FindCoordinatorRequest(coordinator_keys=["group"]), 6).coordinators
    assert (row.error_code, row.node_id) == (0, 1)
    assert len(metadata(asker, ["__consumer_offsets"]).topics[0].partitions) == 7


def test_a_coordinator_whose_topic_cannot_be_created(start: Start) -> None:
    asker = start(offsets_topic_replication_factor="3")
    (row,) = asker.ask(FindCoordinatorRequest(coordinator_keys=["group"]), 6).coordinators
    assert (row.error_code, row.node_id) == (ErrorCode.COORDINATOR_NOT_AVAILABLE, -1)


@pytest.mark.parametrize("version", range(1, 7))
def test_without_deletion(start: Start, version: int) -> None:
    asker = start(delete_topic_enable="false")
    topic = asker.create()
    names = [topic.name, "no-such-topic", topic.name]
    if version >= 6:
        request = DeleteTopicsRequest(topics=[DeleteTopicState(name=name) for name in names], timeout_ms=0)
    else:
        request = DeleteTopicsRequest(topic_names=names, timeout_ms=0)
    code = ErrorCode.INVALID_REQUEST if version < 3 else ErrorCode.TOPIC_DELETION_DISABLED
    rows = [(row.name, row.error_code, row.error_message) for row in asker.ask(request, version).responses]
    assert rows == [(name, code, None) for name in names]
    assert metadata(asker, [topic.name]).topics[0].error_code == 0


def test_partitions_of_new_topics(start: Start) -> None:
    asker = start(num_partitions="3")
    metadata(asker, ["fresh"], allow_auto_topic_creation=True)
    assert len(metadata(asker, ["fresh"]).topics[0].partitions) == 3
    topic = CreatableTopic(name="other", num_partitions=-1, replication_factor=-1)
    (row,) = asker.ask(CreateTopicsRequest(topics=[topic], timeout_ms=1000), 7).topics
    assert (row.error_code, row.num_partitions, row.replication_factor) == (0, 3, 1)


def test_replicas_of_new_topics(start: Start) -> None:
    asker = start(default_replication_factor="2")
    topic = CreatableTopic(name="topic", num_partitions=1, replication_factor=-1)
    (row,) = asker.ask(CreateTopicsRequest(topics=[topic], timeout_ms=1000), 7).topics
    assert row.error_code == ErrorCode.INVALID_REPLICATION_FACTOR
    assert metadata(asker, ["fresh"], allow_auto_topic_creation=True).topics[0].error_code == 3


def test_the_brokers_limit_of_partitions_per_answer(start: Start) -> None:
    asker = start(max_request_partition_size_limit="2")
    topic = asker.create(partitions=3)
    response = asker.ask(DescribeTopicPartitionsRequest(topics=[TopicRequest(name=topic.name)]), 0)
    assert [p.partition_index for p in response.topics[0].partitions] == [0, 1]
    assert (response.next_cursor.topic_name, response.next_cursor.partition_index) == (topic.name, 2)


def test_a_batch_that_would_be_too_long(start: Start) -> None:
    """Kafka answers UNKNOWN_SERVER_ERROR and adds the first 10,000."""
    asker = start()
    topic, other = asker.create(), asker.create()
    asked = [CreatePartitionsTopic(name=topic.name, count=10_002, assignments=None)]
    asked.append(CreatePartitionsTopic(name=other.name, count=2, assignments=None))
    response = asker.ask(CreatePartitionsRequest(topics=asked, timeout_ms=1000), 3)
    assert [(row.name, row.error_code) for row in response.results] == [
        (topic.name, ErrorCode.POLICY_VIOLATION),
        (other.name, 0),
    ]
    assert [len(row.partitions) for row in metadata(asker, [topic.name, other.name]).topics] == [1, 2]
