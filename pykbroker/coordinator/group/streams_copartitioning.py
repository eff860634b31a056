"""Topics that are joined must have equally many partitions (CopartitionedTopicsEnforcer)."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from pykbroker.coordinator.group.streams_configured_topology import Status
from pykbroker.coordinator.group.streams_topology import CopartitionGroup, Subtopology
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode


class Unconfigurable(Exception):
    """The topics that exist do not fit the topology; members are told so (TopicConfigurationException)."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class PartitionCounts(Protocol):
    """Of topics that exist, else `decided` for those to be created."""

    decided: dict[str, int]

    def require(self, name: str) -> int:
        """Raises KafkaError when nothing is known of it."""


def enforce_copartitioning(rows: Iterable[Subtopology], counts: PartitionCounts) -> None:
    """Repartition topics without a number of their own take that of the topics they are joined with.

    Raises Unconfigurable.
    """
    rows = list(rows)
    sources = [topic for row in rows for topic in row.repartition_sources]
    fixed = frozenset(topic.name for topic in sources if topic.partitions)
    flexible = frozenset(topic.name for topic in sources if not topic.partitions)
    for row in rows:
        for group in row.copartition_groups:
            counts.decided.update(_enforced(_names(row, group), fixed, flexible, counts))


def _names(row: Subtopology, group: CopartitionGroup) -> frozenset[str]:
    try:
        return frozenset(
            (
                *(row.source_topics[_index(index)] for index in group.source_topics),
                *(row.repartition_sources[_index(index)].name for index in group.repartition_source_topics),
            )
        )
    except IndexError:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR) from None  # as an IndexOutOfBoundsException becomes


def _index(index: int) -> int:
    if index < 0:
        raise IndexError(index)
    return index


def _enforced(
    names: frozenset[str], fixed: frozenset[str], flexible: frozenset[str], counts: PartitionCounts
) -> dict[str, int]:
    if not names:
        return {}
    repartition = {name: counts.require(name) for name in names & (fixed | flexible)}
    others = {name: counts.require(name) for name in names - repartition.keys()}
    if others:
        count = _same(others.values(), others)
    elif fixed:
        count = _same([counts.require(name) for name in fixed], repartition)
    else:
        count = max(repartition.values())
    for name, wanted in repartition.items():
        if name in fixed and wanted != count:
            raise Unconfigurable(
                Status.INCORRECTLY_PARTITIONED_TOPICS,
                f"Number of partitions [{wanted}] of repartition topic [{name}] doesn't match number of partitions "
                f"[{count}] of the source topic.",
            )
    return dict.fromkeys(repartition, count)


def _same(counts: Iterable[int], named: Mapping[str, int]) -> int:
    distinct = set(counts)
    if len(distinct) > 1:
        shown = ", ".join(f"{name}={count}" for name, count in sorted(named.items()))
        raise Unconfigurable(
            Status.INCORRECTLY_PARTITIONED_TOPICS,
            f"Following topics do not have the same number of partitions: [{{{shown}}}]",
        )
    return distinct.pop()
