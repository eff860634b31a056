"""Which partitions the processes of an application serve, for interactive queries (EndpointToPartitionsManager)."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pykbroker.coordinator.group.java_order import grown_table, java_order, string_hash
from pykbroker.coordinator.group.streams_configured_topology import ConfiguredSubtopology, ConfiguredTopology
from pykbroker.coordinator.group.streams_group import StreamsGroup
from pykbroker.coordinator.group.streams_member import StreamsMember
from pykbroker.coordinator.group.streams_tasks import in_heartbeat_order
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.streams_group_heartbeat import Endpoint, EndpointToPartitions, TopicPartition

if TYPE_CHECKING:
    from pykbroker.metadata.topics import TopicsImage


def endpoint_partitions(
    group: StreamsGroup, updated: StreamsMember, topology: ConfiguredTopology, topics: "TopicsImage"
) -> list[EndpointToPartitions]:
    """Of all members with an endpoint, the updated one last. Raises KafkaError while nothing is known of the topics."""
    others = [member for _, member in group.members.items() if member.member_id != updated.member_id]
    return [_row(member, topology, topics) for member in (*others, updated) if member.user_endpoint is not None]


def _row(member: StreamsMember, topology: ConfiguredTopology, topics: "TopicsImage") -> EndpointToPartitions:
    endpoint = member.user_endpoint
    if topology.subtopologies is None or endpoint is None:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)  # as a NoSuchElementException becomes
    return EndpointToPartitions(
        user_endpoint=Endpoint(host=endpoint.host, port=endpoint.port),
        active_partitions=_partitions(member.held.active, topology.subtopologies, topics),
        standby_partitions=_partitions(member.held.standby, topology.subtopologies, topics),
    )


def _partitions(
    tasks: Mapping[str, Iterable[int]], subtopologies: Mapping[str, ConfiguredSubtopology], topics: "TopicsImage"
) -> list[TopicPartition]:
    rows = []
    for key in in_heartbeat_order(tasks):
        subtopology = subtopologies.get(key)
        if subtopology is None:
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)
        names = subtopology.source_topics | subtopology.repartition_sources.keys()
        for name in java_order(names, string_hash, grown_table(len(names))):
            topic = topics.get(name)
            if topic is None:
                raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)
            # Of a topic with fewer partitions than there are tasks Kafka names so many of the first tasks.
            rows.append(TopicPartition(topic=name, partitions=sorted(tasks[key])[: len(topic.partitions)]))
    return rows
