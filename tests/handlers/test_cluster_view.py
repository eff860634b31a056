"""What clients hear of brokers that are away, lack a listener or lost a directory (KRaftMetadataCache)."""

from typing import Any

import pytest

from pykbroker.ids import ZERO_UUID, Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.create_topics import CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest
from pykbroker.protocol.messages.describe_cluster import DescribeClusterRequest
from pykbroker.protocol.messages.describe_topic_partitions import DescribeTopicPartitionsRequest, TopicRequest
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from tests.controller.stand import ClusterStand
from tests.handlers.cluster_asker import ClusterAsker, metadata

LEFT = Uuid(b"left directory..")
RIGHT = Uuid(b"right directory.")


def create(cluster: ClusterAsker, *replicas: int, name: str = "topic") -> None:
    assignment = CreatableReplicaAssignment(partition_index=0, broker_ids=list(replicas))
    topic = CreatableTopic(name=name, num_partitions=-1, replication_factor=-1, assignments=[assignment])
    (row,) = cluster.ask(CreateTopicsRequest(topics=[topic], timeout_ms=1000), 7).topics
    assert row.error_code == 0, row


def partition(cluster: ClusterAsker, version: int = 13, name: str = "topic") -> Any:
    (row,) = metadata(cluster, [name], version).topics
    return row.partitions[0]


def described(cluster: ClusterAsker, name: str = "topic") -> Any:
    (row,) = cluster.ask(DescribeTopicPartitionsRequest(topics=[TopicRequest(name=name)]), 0).topics
    return row.partitions[0]


def test_brokers_with_the_listener_of_the_request(cluster: ClusterAsker, cluster_stand: ClusterStand) -> None:
    cluster_stand.add_broker(2, rack="r2")
    cluster_stand.add_broker(3, listeners=["INTERNAL"])
    cluster_stand.add_broker(4, fenced=True)
    brokers = [(b.node_id, b.host, b.port, b.rack) for b in metadata(cluster, []).brokers]
    assert brokers == [(1, "broker-1", 9092, None), (2, "broker-2", 9092, "r2")]
    response = cluster.ask(DescribeClusterRequest(), 2)
    assert [(b.broker_id, b.host, b.port, b.rack) for b in response.brokers] == brokers
    response = cluster.ask(DescribeClusterRequest(include_fenced_brokers=True), 2)
    assert [(b.broker_id, b.is_fenced) for b in response.brokers] == [(1, False), (2, False), (4, True)]


def test_any_broker_is_told_as_controller(cluster: ClusterAsker, cluster_stand: ClusterStand) -> None:
    cluster_stand.add_broker(2)
    cluster_stand.add_broker(3, fenced=True)
    assert {metadata(cluster, []).controller_id for _ in range(64)} == {1, 2}


def test_a_controller_without_the_listener_is_not_told(cluster: ClusterAsker, cluster_stand: ClusterStand) -> None:
    cluster_stand.add_broker(2, listeners=["INTERNAL"])
    assert {cluster.ask(DescribeClusterRequest(), 2).controller_id for _ in range(64)} == {1, -1}


def test_a_fenced_replica_is_offline(cluster: ClusterAsker, cluster_stand: ClusterStand) -> None:
    cluster_stand.add_broker(2)
    create(cluster, 1, 2)
    assert partition(cluster).offline_replicas == []
    cluster_stand.heartbeat(2, want_fence=True)
    for row in (partition(cluster), described(cluster)):
        assert (row.error_code, row.leader_id, row.replica_nodes, row.isr_nodes) == (0, 1, [1, 2], [1])
        assert row.offline_replicas == [2]


def test_version_0_hides_replicas_that_are_away(cluster: ClusterAsker, cluster_stand: ClusterStand) -> None:
    cluster_stand.add_broker(2)
    create(cluster, 1, 2)
    cluster_stand.heartbeat(2, want_fence=True)
    row = partition(cluster, version=0)
    assert (row.error_code, row.leader_id) == (ErrorCode.REPLICA_NOT_AVAILABLE, 1)
    assert (row.replica_nodes, row.isr_nodes) == ([1], [1])


def test_without_a_leader(cluster: ClusterAsker, cluster_stand: ClusterStand) -> None:
    cluster_stand.add_broker(2)
    create(cluster, 2)
    cluster_stand.heartbeat(2, want_fence=True)
    row = partition(cluster)
    assert (row.error_code, row.leader_id, row.leader_epoch) == (ErrorCode.LEADER_NOT_AVAILABLE, -1, 1)
    assert (row.replica_nodes, row.offline_replicas) == ([2], [2])
    row = described(cluster)
    assert (row.error_code, row.leader_id, row.leader_epoch) == (0, -1, 1)
    assert (row.isr_nodes, row.eligible_leader_replicas, row.last_known_elr) == ([], [2], [2])


@pytest.mark.parametrize(
    ("version", "code"), [(5, ErrorCode.LEADER_NOT_AVAILABLE), (6, ErrorCode.LISTENER_NOT_FOUND), (13, 72)]
)
def test_a_leader_without_the_listener(
    cluster: ClusterAsker, cluster_stand: ClusterStand, version: int, code: int
) -> None:
    cluster_stand.add_broker(2, listeners=["INTERNAL"])
    create(cluster, 2, 1)
    row = partition(cluster, version)
    assert (row.error_code, row.leader_id, row.offline_replicas) == (code, -1, [2])
    assert described(cluster).leader_id == -1


def test_a_replica_in_a_lost_directory_is_offline(cluster: ClusterAsker, cluster_stand: ClusterStand) -> None:
    cluster_stand.add_broker(2, directories=[LEFT])
    create(cluster, 1, 2)
    assert cluster_stand.image.topics.partition("topic", 0).directories[1] == LEFT  # type: ignore[union-attr]
    cluster_stand.clock.advance(cluster_stand.config.broker_session_timeout_ms / 1000 + 1)
    cluster_stand.add_broker(2, directories=[RIGHT])
    assert partition(cluster).offline_replicas == [2]
    assert described(cluster).offline_replicas == [2]


def test_a_replica_that_has_no_directory_yet_is_online(cluster: ClusterAsker, cluster_stand: ClusterStand) -> None:
    cluster_stand.add_broker(2, directories=[LEFT, RIGHT])
    create(cluster, 1, 2)
    assert partition(cluster).offline_replicas == []


def find(cluster: ClusterAsker, key: str = "group") -> Any:
    (row,) = cluster.ask(FindCoordinatorRequest(coordinator_keys=[key]), 6).coordinators
    return row


def test_the_coordinator_is_the_leader(cluster: ClusterAsker, cluster_stand: ClusterStand) -> None:
    cluster_stand.add_broker(2)
    create(cluster, 2, name="__consumer_offsets")
    row = find(cluster)
    assert (row.error_code, row.node_id, row.host, row.port) == (0, 2, "broker-2", 9092)
    cluster_stand.heartbeat(2, want_fence=True)
    row = find(cluster)
    assert (row.error_code, row.node_id, row.host, row.port) == (ErrorCode.COORDINATOR_NOT_AVAILABLE, -1, "", -1)
    response = cluster.ask(FindCoordinatorRequest(key="group"), 3)
    assert response.error_message == "The coordinator is not available."


def test_a_coordinator_without_the_listener(cluster: ClusterAsker, cluster_stand: ClusterStand) -> None:
    cluster_stand.add_broker(2, listeners=["INTERNAL"])
    create(cluster, 2, name="__consumer_offsets")
    assert find(cluster).error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE


def test_topics_are_there_once_the_question_that_creates_them_is_answered(cluster: ClusterAsker) -> None:
    (row,) = metadata(cluster, ["fresh"], allow_auto_topic_creation=True).topics
    assert (row.error_code, row.partitions) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, [])
    (row,) = metadata(cluster, ["fresh"]).topics
    assert (row.error_code, row.partitions[0].leader_id) == (0, 1)
    assert row.topic_id != ZERO_UUID


def test_the_first_question_for_a_coordinator_is_answered(cluster: ClusterAsker) -> None:
    assert find(cluster).node_id == 1
