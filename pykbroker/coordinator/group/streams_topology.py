"""The topology of a Kafka Streams application as its members tell it (StreamsTopology, StreamsGroupTopologyValue)."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.protocol.messages.streams_group_heartbeat import Topology as HeartbeatTopology


class InternalTopic(NamedTuple):
    """A repartition or changelog topic. 0 partitions, 0 replicas: not said."""

    name: str
    partitions: int
    replication_factor: int
    configs: tuple[tuple[str, str], ...]


class CopartitionGroup(NamedTuple):
    """Topics, as indexes into those of the subtopology, that must have equally many partitions."""

    source_topics: tuple[int, ...]
    source_topic_regex: tuple[int, ...]
    repartition_source_topics: tuple[int, ...]


class Subtopology(NamedTuple):
    subtopology_id: str
    source_topics: tuple[str, ...]
    source_topic_regex: tuple[str, ...]
    changelogs: tuple[InternalTopic, ...]
    repartition_sinks: tuple[str, ...]
    repartition_sources: tuple[InternalTopic, ...]
    copartition_groups: tuple[CopartitionGroup, ...]

    @property
    def inputs(self) -> list[str]:
        return [*self.source_topics, *(topic.name for topic in self.repartition_sources)]


class Topology(NamedTuple):
    """`subtopologies` by id, in the order in which they were told."""

    epoch: int
    subtopologies: Mapping[str, Subtopology]

    @property
    def required_topics(self) -> frozenset[str]:
        return frozenset(
            name
            for row in self.subtopologies.values()
            for name in (*row.inputs, *(topic.name for topic in row.changelogs))
        )

    def reader_of(self, topic: str) -> Subtopology | None:
        """The subtopology that reads a topic."""
        return next((row for row in self.subtopologies.values() if topic in row.inputs), None)


def topology_from(told: Any) -> Topology:
    """Of a heartbeat or of a record: the rows are alike. Raises KafkaError for what is none in Kafka either."""
    rows = {row.subtopology_id: _subtopology(row) for row in told.subtopologies}
    if told.epoch < 0 or len(rows) != len(told.subtopologies):
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)
    return Topology(told.epoch, rows)


def named_topics(topology: "HeartbeatTopology") -> list[str]:
    """Every topic that it reads, writes or keeps its state in; each once."""
    names: dict[str, None] = {}
    for row in topology.subtopologies:
        names.update(dict.fromkeys((*row.source_topics, *row.repartition_sink_topics)))
        names.update((topic.name, None) for topic in (*row.repartition_source_topics, *row.state_changelog_topics))
    return list(names)


def _subtopology(row: Any) -> Subtopology:
    return Subtopology(
        row.subtopology_id,
        tuple(row.source_topics),
        tuple(row.source_topic_regex),
        _internal(row.state_changelog_topics),
        tuple(row.repartition_sink_topics),
        _internal(row.repartition_source_topics),
        tuple(
            CopartitionGroup(
                tuple(group.source_topics), tuple(group.source_topic_regex), tuple(group.repartition_source_topics)
            )
            for group in row.copartition_groups
        ),
    )


def _internal(rows: Iterable[Any]) -> tuple[InternalTopic, ...]:
    return tuple(
        InternalTopic(
            row.name,
            row.partitions,
            row.replication_factor,
            tuple((config.key, config.value) for config in row.topic_configs or ()),
        )
        for row in rows
    )
