"""A process of a Kafka Streams application while its tasks are assigned: its members, their loads (ProcessState)."""

from typing import NamedTuple

from pykbroker.coordinator.group.java_order import grown_table, java_order, string_hash
from pykbroker.coordinator.group.java_queue import JavaQueue


class TaskId(NamedTuple):
    subtopology_id: str
    partition: int


class ProcessState:
    """`counts`: member → number of its tasks, in the order in which members came; `load`: tasks per member."""

    __slots__ = ("_by_load", "_tasks", "active", "counts", "process_id", "standby")

    def __init__(self, process_id: str) -> None:
        self.process_id = process_id
        self.counts: dict[str, int] = {}
        self.active: dict[str, set[TaskId]] = {}
        self.standby: dict[str, set[TaskId]] = {}
        self._tasks: set[TaskId] = set()
        self._by_load: JavaQueue[tuple[int, str]] | None = None

    @property
    def load(self) -> float:
        return sum(self.counts.values()) / len(self.counts)

    def has(self, task: TaskId) -> bool:
        return task in self._tasks

    def add_member(self, member_id: str) -> None:
        self.counts[member_id] = 0
        self.active[member_id] = set()
        self.standby[member_id] = set()

    def add(self, member_id: str, task: TaskId, *, active: bool) -> int:
        """How many tasks the member has then."""
        self._by_load = None
        return self._add(member_id, task, active)

    def add_to_least_loaded(self, task: TaskId, *, active: bool) -> int:
        """How many tasks that member has then."""
        queue = self._by_load
        if queue is None:
            members = java_order(self.counts, string_hash, grown_table(len(self.counts)))
            queue = JavaQueue(lambda row: row[0], ((self.counts[member_id], member_id) for member_id in members))
            self._by_load = queue
        least = queue.poll()
        if least is None:
            raise RuntimeError(f"process {self.process_id} has no member")
        count = self._add(least[1], task, active)
        queue.add((count, least[1]))
        return count

    def _add(self, member_id: str, task: TaskId, active: bool) -> int:
        self._tasks.add(task)
        (self.active if active else self.standby)[member_id].add(task)
        self.counts[member_id] += 1
        return self.counts[member_id]
