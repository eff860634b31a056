"""A topology whose topics are looked at: how many tasks there are, what is missing (ConfiguredTopology)."""

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple


class Status(IntEnum):
    """What a member is told beside its tasks (StreamsGroupHeartbeatResponse.Status)."""

    STALE_TOPOLOGY = 0
    MISSING_SOURCE_TOPICS = 1
    INCORRECTLY_PARTITIONED_TOPICS = 2
    MISSING_INTERNAL_TOPICS = 3
    SHUTDOWN_APPLICATION = 4
    ASSIGNMENT_DELAYED = 5


class ConfiguredInternalTopic(NamedTuple):
    """`replication_factor` 0: the broker's default."""

    name: str
    partitions: int
    replication_factor: int
    configs: tuple[tuple[str, str], ...]


class ConfiguredSubtopology(NamedTuple):
    tasks: int
    source_topics: frozenset[str]
    repartition_sources: Mapping[str, ConfiguredInternalTopic]
    repartition_sinks: frozenset[str]
    changelogs: Mapping[str, ConfiguredInternalTopic]

    @property
    def internal_topics(self) -> list[ConfiguredInternalTopic]:
        return [*self.repartition_sources.values(), *self.changelogs.values()]


class ConfiguredTopology(NamedTuple):
    """`subtopologies` by id, sorted; None when the topics do not allow it. `problem`: why no task can run yet."""

    epoch: int
    subtopologies: Mapping[str, ConfiguredSubtopology] | None
    to_create: Mapping[str, ConfiguredInternalTopic]
    problem: tuple[Status, str] | None

    @property
    def is_ready(self) -> bool:
        return self.problem is None
