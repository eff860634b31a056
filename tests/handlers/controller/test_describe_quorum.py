"""DescribeQuorum, as the real Kafka 4.3.1 answers it for a quorum of one."""

import time
from typing import Any

import pytest

from pykbroker.ids import ZERO_UUID
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.describe_quorum import DescribeQuorumRequest, PartitionData, TopicData
from tests.handlers.broker.asker import Asker

METADATA = "__cluster_metadata"
UNKNOWN_PARTITION = "This server does not host this topic-partition."


def describe(asker: Asker, *topics: tuple[str, list[int]], version: int) -> Any:
    asked = [TopicData(name, [PartitionData(index) for index in partitions]) for name, partitions in topics]
    response = asker.ask(DescribeQuorumRequest(topics=asked), version)
    assert (response.error_code, response.error_message) == (0, "")
    return response


@pytest.mark.parametrize("version", [0, 1, 2])
def test_the_quorum(cluster: Asker, version: int) -> None:
    response = describe(cluster, (METADATA, [0]), version=version)
    (topic,) = response.topics
    (partition,) = topic.partitions
    (voter,) = partition.current_voters
    assert topic.topic_name == METADATA
    assert (partition.partition_index, partition.error_code, partition.error_message) == (0, 0, "")
    assert (partition.leader_id, partition.leader_epoch >= 1, partition.observers) == (1, True, [])
    assert partition.high_watermark == voter.log_end_offset > 0
    assert (voter.replica_id, voter.replica_directory_id) == (1, ZERO_UUID)
    assert [node.node_id for node in response.nodes] == ([1] if version >= 2 else [])
    assert voter.last_fetch_timestamp == voter.last_caught_up_timestamp
    if version == 0:
        assert voter.last_fetch_timestamp == -1
    else:
        assert abs(voter.last_fetch_timestamp / 1000 - time.time()) < 10 or voter.last_fetch_timestamp > 0


@pytest.mark.parametrize("version", [0, 1, 2])
def test_what_is_decided_moves_the_end(cluster: Asker, version: int) -> None:
    def end() -> int:
        offset: int = describe(cluster, (METADATA, [0]), version=version).topics[0].partitions[0].high_watermark
        return offset

    before = end()
    cluster.create()
    assert end() > before


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize(
    "asked",
    [
        [(METADATA, [1])],
        [(METADATA, [0, 0])],
        [(METADATA, [0]), ("other", [0, 1])],
        [("other", [0])],
    ],
)
def test_there_is_but_one_partition_to_ask_for(
    cluster: Asker, version: int, asked: list[tuple[str, list[int]]]
) -> None:
    response = describe(cluster, *asked, version=version)
    message = UNKNOWN_PARTITION if version >= 2 else ""
    assert [
        (topic.topic_name, [(row.partition_index, row.error_code, row.error_message) for row in topic.partitions])
        for topic in response.topics
    ] == [
        (topic, [(index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message) for index in partitions])
        for topic, partitions in asked
    ]
    assert response.nodes == []


@pytest.mark.parametrize("version", [0, 1, 2])
def test_nothing(cluster: Asker, version: int) -> None:
    assert describe(cluster, version=version).topics == []
    (topic,) = describe(cluster, (METADATA, []), version=version).topics
    assert topic.partitions == []
