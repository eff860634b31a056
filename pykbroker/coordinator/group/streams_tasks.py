"""Tasks of Kafka Streams, by subtopology: the three kinds that a member may have (TasksTuple, TasksTupleWithEpochs).

A task is a partition of a subtopology. Of an active task the epoch is remembered in which its member got it.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from pykbroker.coordinator.group.java_order import grown_table, java_order, string_hash

# subtopology → partitions
TaskSet = Mapping[str, frozenset[int]]
# subtopology → partition → epoch in which the member got it
ActiveTasks = Mapping[str, Mapping[int, int]]
NO_TASKS: Final[TaskSet] = MappingProxyType({})
NO_ACTIVE_TASKS: Final[ActiveTasks] = MappingProxyType({})


class TaskRow(Protocol):
    """How requests and records list the tasks of a subtopology."""

    @property
    def subtopology_id(self) -> str: ...
    @property
    def partitions(self) -> list[int]: ...


class Tasks(NamedTuple):
    """What a member should have, or says it has."""

    active: TaskSet = NO_TASKS
    standby: TaskSet = NO_TASKS
    warmup: TaskSet = NO_TASKS

    @property
    def is_empty(self) -> bool:
        return not (self.active or self.standby or self.warmup)

    def has_any_of(self, held: "HeldTasks") -> bool:
        return (
            any(not rows.isdisjoint(held.active.get(key, {})) for key, rows in self.active.items())
            or any(not rows.isdisjoint(held.standby.get(key, ())) for key, rows in self.standby.items())
            or any(not rows.isdisjoint(held.warmup.get(key, ())) for key, rows in self.warmup.items())
        )


class HeldTasks(NamedTuple):
    """What a member has, or must give back."""

    active: ActiveTasks = NO_ACTIVE_TASKS
    standby: TaskSet = NO_TASKS
    warmup: TaskSet = NO_TASKS

    @property
    def is_empty(self) -> bool:
        return not (self.active or self.standby or self.warmup)

    def merged(self, other: "HeldTasks") -> "HeldTasks":
        active = {key: dict(rows) for key, rows in self.active.items()}
        for key, rows in other.active.items():
            active.setdefault(key, {}).update(rows)
        return HeldTasks(active, _merged(self.standby, other.standby), _merged(self.warmup, other.warmup))


NOTHING_HELD: Final = HeldTasks()


def task_set(rows: Iterable[TaskRow]) -> dict[str, frozenset[int]]:
    return {row.subtopology_id: frozenset(row.partitions) for row in rows}


def in_heartbeat_order(subtopologies: Iterable[str]) -> list[str]:
    """As Kafka's HashMap hands them out."""
    keys = list(subtopologies)
    return java_order(keys, string_hash, grown_table(len(keys)))


def _merged(some: TaskSet, others: TaskSet) -> TaskSet:
    return {**some, **{key: some.get(key, frozenset()) | rows for key, rows in others.items()}}
