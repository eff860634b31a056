"""ListPartitionReassignments, as the real Kafka 4.3.1 answers it; one that goes on needs brokers that never come."""

from pykbroker.protocol.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsTopics,
)
from tests.controller.stand import ClusterStand
from tests.handlers.broker.asker import Asker
from tests.handlers.cluster_asker import ClusterAsker
from tests.handlers.controller.test_alter_partition_reassignments import ask, rows

__all__ = ["test_there_are_none"]

Ongoing = tuple[str, int, list[int], list[int], list[int]]


def ongoing(asker: Asker, *topics: tuple[str, list[int]], everything: bool = False) -> list[Ongoing]:
    """(topic, partition, replicas, adding, removing)."""
    asked = [ListPartitionReassignmentsTopics(topic, partitions) for topic, partitions in topics]
    # The controller answers however late it is: nothing waits.
    request = ListPartitionReassignmentsRequest(timeout_ms=0, topics=None if everything else asked)
    response = asker.ask(request, 0)
    assert (response.throttle_time_ms, response.error_code, response.error_message) == (0, 0, None)
    return [
        (topic.name, row.partition_index, row.replicas, row.adding_replicas, row.removing_replicas)
        for topic in response.topics
        for row in topic.partitions
    ]


def test_there_are_none(cluster: Asker) -> None:
    topic = cluster.create(partitions=2).name
    assert ongoing(cluster, everything=True) == []
    assert ongoing(cluster) == []
    assert ongoing(cluster, (topic, [0, 1, 5]), ("nope", [0])) == []


def test_one_goes_on_until_it_is_cancelled(cluster_stand: ClusterStand, cluster: ClusterAsker) -> None:
    topic, other = cluster.create(partitions=2).name, cluster.create().name
    for node_id in (2, 3):
        cluster_stand.add_broker(node_id)
    assert rows(ask(cluster, (topic, 1, [3, 2]))) == [(topic, 1, 0, None)]
    expected = [(topic, 1, [3, 2, 1], [2, 3], [1])]
    assert ongoing(cluster, everything=True) == expected
    assert ongoing(cluster, (other, [0]), (topic, [0, 1])) == expected
    assert ongoing(cluster, (topic, [0]), (other, [0])) == []
    assert rows(ask(cluster, (topic, 1, None))) == [(topic, 1, 0, None)]
    assert ongoing(cluster, everything=True) == []
    partition = cluster_stand.image.topics.partition(topic, 1)
    assert partition is not None
    assert (partition.replicas, partition.isr, partition.leader) == ((1,), (1,), 1)
