"""Which topics a topology needs, and with how many partitions.

Kafka: InternalTopicManager, RepartitionTopics, ChangelogTopics. Where these go through a
HashMap, the first of several problems is the one that is named; the order here is the same.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from pykbroker.coordinator.group.java_order import grown_table, java_order, string_hash
from pykbroker.coordinator.group.streams_configured_topology import (
    ConfiguredInternalTopic,
    ConfiguredSubtopology,
    ConfiguredTopology,
    Status,
)
from pykbroker.coordinator.group.streams_copartitioning import Unconfigurable, enforce_copartitioning
from pykbroker.coordinator.group.streams_topology import InternalTopic, Subtopology, Topology
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.metadata.topics import TopicsImage

_NAMES_IN_A_LINE: Final = 3


def configure_topics(topology: Topology, topics: "TopicsImage") -> ConfiguredTopology:
    """Raises KafkaError STREAMS_INVALID_TOPOLOGY for one that can never run."""
    try:
        return _configured(topology, topics)
    except Unconfigurable as problem:
        return ConfiguredTopology(topology.epoch, None, {}, (problem.status, problem.message))


def _configured(topology: Topology, topics: "TopicsImage") -> ConfiguredTopology:
    rows = _in_order(topology)
    missing = sorted({name for row in rows for name in row.source_topics if name not in topics})
    if missing:
        raise Unconfigurable(Status.MISSING_SOURCE_TOPICS, f"Source topics {_summary(missing)} are missing.")
    counts = _Counts(topics)
    counts.decided.update(_repartition_counts(rows, counts))
    enforce_copartitioning(rows, counts)
    counts.decided.update(_changelog_counts(rows, counts))
    subtopologies = {row.subtopology_id: _subtopology(row, counts) for row in sorted(rows)}
    to_create = _missing_internal(subtopologies.values(), topology, topics)
    problem = None
    if to_create:
        problem = Status.MISSING_INTERNAL_TOPICS, f"Internal topics are missing: {_summary(to_create)}"
    return ConfiguredTopology(topology.epoch, subtopologies, to_create, problem)


class _Counts:
    """How many partitions a topic has, or will have when it is created."""

    def __init__(self, topics: "TopicsImage") -> None:
        self._topics = topics
        self.decided: dict[str, int] = {}

    def get(self, name: str) -> int | None:
        topic = self._topics.get(name)
        return self.decided.get(name) if topic is None else len(topic.partitions)

    def require(self, name: str) -> int:
        count = self.get(name)
        if count is None:
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)  # as an IllegalStateException becomes
        return count


def _in_order(topology: Topology) -> list[Subtopology]:
    rows = topology.subtopologies
    return [rows[key] for key in java_order(rows, string_hash, grown_table(len(rows)))]


def _repartition_counts(rows: list[Subtopology], counts: _Counts) -> dict[str, int]:
    """A repartition topic has the partitions that were asked for, else those of the inputs of who writes it."""
    decided = {topic.name: topic.partitions for row in rows for topic in row.repartition_sources if topic.partitions}
    while True:
        waits = progress = False
        for row in rows:
            for sink in row.repartition_sinks:
                if sink in decided:
                    continue
                count = _input_count(row, decided, counts)
                if count is None:
                    waits = True
                else:
                    decided[sink] = count
                    progress = True
        if not waits:
            break
        if not progress:
            raise _invalid(
                "Failed to compute number of partitions for all repartition topics. There may be loops in the topology "
                "that cannot be resolved."
            )
    if any(topic.name not in decided for row in rows for topic in row.repartition_sources):
        raise _invalid(
            "Failed to compute number of partitions for all repartition topics, because a repartition source topic is "
            "never used as a sink topic."
        )
    return decided


def _input_count(row: Subtopology, decided: Mapping[str, int], counts: _Counts) -> int | None:
    known = [decided.get(topic.name) for topic in row.repartition_sources]
    known += [counts.get(name) for name in row.source_topics]
    return max((count for count in known if count is not None), default=None)


def _changelog_counts(rows: list[Subtopology], counts: _Counts) -> dict[str, int]:
    decided: dict[str, int] = {}
    for row in rows:
        inputs = [counts.require(name) for name in row.inputs]
        if not inputs:
            raise _invalid(f"No source topics found for subtopology {row.subtopology_id}")
        decided.update((topic.name, max(inputs)) for topic in row.changelogs)
    return decided


def _subtopology(row: Subtopology, counts: _Counts) -> ConfiguredSubtopology:
    return ConfiguredSubtopology(
        max(counts.require(name) for name in row.inputs),
        frozenset(row.source_topics),
        {topic.name: _internal(topic, counts) for topic in row.repartition_sources},
        frozenset(row.repartition_sinks),
        {topic.name: _internal(topic, counts) for topic in row.changelogs},
    )


def _internal(topic: InternalTopic, counts: _Counts) -> ConfiguredInternalTopic:
    partitions = topic.partitions or counts.decided.get(topic.name, 0)
    if partitions < 1:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)
    return ConfiguredInternalTopic(topic.name, partitions, topic.replication_factor, topic.configs)


def _missing_internal(
    rows: Iterable[ConfiguredSubtopology], topology: Topology, topics: "TopicsImage"
) -> dict[str, ConfiguredInternalTopic]:
    needed = {topic.name: topic for row in rows for topic in row.internal_topics}
    table = grown_table(len(needed))
    required = topology.required_topics
    for name in java_order(required, string_hash, grown_table(len(required))):
        existing = topics.get(name)
        topic = needed.pop(name, None) if existing is not None else None
        if topic is not None and existing is not None and len(existing.partitions) != topic.partitions:
            raise Unconfigurable(
                Status.INCORRECTLY_PARTITIONED_TOPICS,
                f"Existing topic {name} has different number of partitions: expected {topic.partitions}, found "
                f"{len(existing.partitions)}",
            )
    return {name: needed[name] for name in java_order(needed, string_hash, table)}


def _summary(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:_NAMES_IN_A_LINE])
    more = len(names) - _NAMES_IN_A_LINE
    return f"{shown} and {more} additional topics" if more > 0 else shown


def _invalid(message: str) -> KafkaError:
    return KafkaError(ErrorCode.STREAMS_INVALID_TOPOLOGY, message)
