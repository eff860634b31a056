"""Well-formed requests about more than anybody wants to know: answered or refused, others go on meanwhile."""

from select import select
from typing import Any

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.api_versions import ApiVersionsRequest
from pykbroker.protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from pykbroker.protocol.messages.create_partitions import CreatePartitionsRequest, CreatePartitionsTopic
from pykbroker.protocol.messages.create_topics import CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest
from pykbroker.protocol.messages.delete_groups import DeleteGroupsRequest
from pykbroker.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from pykbroker.protocol.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from pykbroker.protocol.messages.describe_groups import DescribeGroupsRequest
from pykbroker.protocol.messages.describe_transactions import DescribeTransactionsRequest
from pykbroker.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from pykbroker.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pykbroker.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
)
from pykbroker.protocol.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from tests.hostile.broker_process import MIB, WatchedBroker

MOST = 100_000  # elements of an array
NAMES = [f"nobody-{number}" for number in range(MOST)]


def test_a_fetch_of_a_hundred_thousand_partitions(broker: WatchedBroker) -> None:
    broker.allowance = 100 * MIB  # question and answer are four and five megabytes
    rows = [FetchPartition(partition=index, partition_max_bytes=1) for index in range(MOST)]
    topics = [FetchTopic(topic="nowhere", partitions=rows)]
    request = FetchRequest(max_wait_ms=10, min_bytes=1, max_bytes=1000, session_epoch=-1, topics=topics)
    (topic,) = broker.ask(request, 12).responses
    assert {row.error_code for row in topic.partitions} == {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
    assert len(topic.partitions) == MOST


def test_find_coordinator_of_a_hundred_thousand_groups(broker: WatchedBroker) -> None:
    assert len(broker.ask(FindCoordinatorRequest(coordinator_keys=NAMES), 4).coordinators) == MOST


MILLIONS = [OffsetForLeaderTopic(f"t{n}", [OffsetForLeaderPartition(index) for index in range(MOST)]) for n in range(3)]
LONG: list[tuple[Message, int]] = [
    (DescribeGroupsRequest(groups=NAMES), 6),
    (ConsumerGroupDescribeRequest(group_ids=NAMES), 1),
    (DescribeTransactionsRequest(transactional_ids=NAMES), 0),
    (OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=name, topics=None) for name in NAMES]), 8),
    (OffsetForLeaderEpochRequest(topics=MILLIONS), 4),
]


@pytest.mark.parametrize(("request_", "version"), LONG, ids=lambda value: type(value).__name__)
def test_others_are_served_before_a_long_answer(request_: Message, version: int, broker: WatchedBroker) -> None:
    """Who asks one question after the other meanwhile is answered often: counted, not timed."""
    broker.allowance = 400 * MIB  # question and answer as objects and as bytes
    served = 0
    with broker.client() as one, broker.client() as other:
        one.send(request_, version)
        while not select([one.socket], [], [], 0)[0]:
            assert other.ask(ApiVersionsRequest(client_software_name="x", client_software_version="1"), 3)
            served += 1
        one.receive(request_.API_KEY, version)
    assert served > 20


TOO_MUCH: list[tuple[Message, int]] = [
    (FindCoordinatorRequest(coordinator_keys=[*NAMES, "x"]), 4),
    (DescribeGroupsRequest(groups=[""] * (MOST + 1)), 4),
    (DeleteGroupsRequest(groups_names=[""] * (MOST + 1)), 1),
    (MetadataRequest(topics=[MetadataRequestTopic(name="")] * (MOST + 1)), 8),
    (DeleteTopicsRequest(topic_names=[""] * (MOST + 1)), 4),
    (DeleteTopicsRequest(topics=[DeleteTopicState(name="")] * (MOST + 1)), 6),
    (CreateTopicsRequest(topics=[CreatableTopic(name="")] * (MOST + 1)), 4),
    (DescribeConfigsRequest(resources=[DescribeConfigsResource(resource_type=4)] * (MOST + 1)), 4),
]


@pytest.mark.parametrize(("request_", "version"), TOO_MUCH, ids=lambda value: type(value).__name__)
def test_more_is_refused_before_it_is_read(request_: Message, version: int, broker: WatchedBroker) -> None:
    """A million empty names weigh two megabytes; their answers weighed a gigabyte and took half a minute."""
    assert broker.refuses(request_, version)
    (line,) = broker.log()
    assert f"elements are more than {MOST}" in line


def test_one_broker_described_again_and_again(broker: WatchedBroker) -> None:
    """Three hundred configs for six bytes."""
    broker.allowance = 64 * MIB  # the most configs that are answered: 54 MiB in a broker that has done nothing before
    resources = [DescribeConfigsResource(resource_type=4, resource_name="1", configuration_keys=["num.partitions"])]
    assert len(broker.ask(DescribeConfigsRequest(resources=resources * 10), 4).results) == 10
    resources[0].configuration_keys = None
    results = broker.ask(DescribeConfigsRequest(resources=resources * 5000), 1).results
    assert (results[0].error_code, results[-1].error_code) == (0, ErrorCode.INVALID_REQUEST)
    assert sum(len(result.configs) for result in results) < 201_000


def test_offsets_of_millions_of_partitions(broker: WatchedBroker) -> None:
    broker.allowance = 80 * MIB  # a question of eight megabytes
    topics = [OffsetFetchRequestTopic(name="t", partition_indexes=list(range(MOST)))] * 19
    answer = broker.ask(OffsetFetchRequest(group_id="g", topics=topics), 5)
    assert answer.error_code == ErrorCode.INVALID_REQUEST


def create(broker: WatchedBroker, **fields: Any) -> int:
    topic = CreatableTopic(**{"name": "huge", "num_partitions": 1, "replication_factor": 1, **fields})
    (row,) = broker.ask(CreateTopicsRequest(topics=[topic], timeout_ms=10_000), 7).topics
    return int(row.error_code)


@pytest.mark.parametrize(
    ("count", "code"),
    [
        (2**31 - 1, ErrorCode.POLICY_VIOLATION),
        (10_001, ErrorCode.POLICY_VIOLATION),
        (0, ErrorCode.INVALID_PARTITIONS),
        (-2, ErrorCode.INVALID_PARTITIONS),
        (-(2**31), ErrorCode.INVALID_PARTITIONS),
    ],
)
def test_topics_with_impossibly_many_partitions(count: int, code: int, broker: WatchedBroker) -> None:
    assert create(broker, num_partitions=count) == code


@pytest.mark.parametrize("factor", [2, 32767, 0, -2, -32768])
def test_topics_with_impossible_replicas(factor: int, broker: WatchedBroker) -> None:
    assert create(broker, replication_factor=factor) == ErrorCode.INVALID_REPLICATION_FACTOR


def test_assignments_that_make_no_sense(broker: WatchedBroker) -> None:
    for index, brokers in ((2**31 - 1, [1]), (-1, [1]), (0, [1] * 1000), (0, [2**31 - 1]), (0, [])):
        assignment = CreatableReplicaAssignment(partition_index=index, broker_ids=brokers)
        code = create(broker, num_partitions=-1, replication_factor=-1, assignments=[assignment])
        assert code == ErrorCode.INVALID_REPLICA_ASSIGNMENT


def test_partitions_without_end(broker: WatchedBroker) -> None:
    broker.create("grown")
    for count in (2**31 - 1, 100_000, 0, -1, -(2**31)):
        topic = CreatePartitionsTopic(name="grown", count=count, assignments=None)
        (row,) = broker.ask(CreatePartitionsRequest(topics=[topic], timeout_ms=10_000), 3).results
        assert row.error_code in (ErrorCode.INVALID_PARTITIONS, ErrorCode.POLICY_VIOLATION)
