"""The sticky assignor of streams groups: tasks stay where they or their state are, evenly (StickyTaskAssignor).

It takes its steps in Kafka's order, so that both assign alike.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pykbroker.coordinator.group.java_order import grown_table, java_order, string_hash
from pykbroker.coordinator.group.java_queue import JavaQueue
from pykbroker.coordinator.group.streams_configured_topology import ConfiguredSubtopology
from pykbroker.coordinator.group.streams_process import ProcessState, TaskId
from pykbroker.coordinator.group.streams_tasks import Tasks, TaskSet

logger = logging.getLogger(__name__)


class StreamsSpecMember(NamedTuple):
    """`target`: what it should have until now."""

    process_id: str
    target: Tasks


class _Member(NamedTuple):
    process: ProcessState
    member_id: str

    @property
    def tasks(self) -> int:
        return self.process.counts[self.member_id]


def assign_sticky(
    members: Mapping[str, StreamsSpecMember], subtopologies: Mapping[str, ConfiguredSubtopology], standby_replicas: int
) -> dict[str, Tasks]:
    """What each member should have. `subtopologies` by id, sorted."""
    ordered = java_order(members, string_hash, grown_table(len(members)))
    assignment = _Assignment({name: members[name] for name in ordered}, subtopologies, standby_replicas)
    assignment.assign_active()
    if standby_replicas > 0:
        assignment.assign_standby()
    return assignment.result()


class _Quota:
    """How many tasks a member may keep, so that all get about as many."""

    def __init__(self, tasks: int, members: int) -> None:
        self._tasks = tasks
        self._members = members
        self.per_member = 0
        self._divide()

    def used(self, count: int) -> None:
        """A member has so many tasks now; who has its quota leaves the division of the rest."""
        if count == self.per_member:
            self._members -= 1
            self._tasks -= count
            self._divide()

    def _divide(self) -> None:
        # Truncates towards zero, rounds up what is left over, as Java does.
        if self._members == 0:
            self.per_member = 0
            return
        quotient = int(self._tasks / self._members)
        self.per_member = quotient + (self._tasks - quotient * self._members > 0)


class _Assignment:
    def __init__(
        self,
        members: Mapping[str, StreamsSpecMember],
        subtopologies: Mapping[str, ConfiguredSubtopology],
        standby_replicas: int,
    ) -> None:
        self._replicas = standby_replicas
        self._active = [TaskId(key, index) for key, row in subtopologies.items() for index in range(row.tasks)]
        self._stateful = [task for task in self._active if subtopologies[task.subtopology_id].changelogs]
        self._active_quota = _Quota(len(self._active), len(members))
        self._total_quota = _Quota(len(self._active) + len(self._stateful) * standby_replicas, len(members))
        self._processes: dict[str, ProcessState] = {}
        self._had_active: dict[TaskId, _Member] = {}
        self._had_standby: dict[TaskId, list[_Member]] = {}
        for member_id, row in members.items():
            process = self._processes.setdefault(row.process_id, ProcessState(row.process_id))
            process.add_member(member_id)
            member = _Member(process, member_id)
            self._had_active.update((task, member) for task in _ids(row.target.active))
            for task in _ids(row.target.standby):
                self._had_standby.setdefault(task, []).append(member)
        table = grown_table(len(self._processes), _table_for(len(members)))
        self._ordered = [self._processes[key] for key in java_order(self._processes, string_hash, table)]

    # -- active tasks

    def assign_active(self) -> None:
        """To who had it, else to who has its state, else to the least loaded."""
        tasks = sorted(self._active, key=_by_partition)
        tasks = [task for task in tasks if not self._keep_active(task, self._had_active.get(task))]
        tasks = [task for task in tasks if not self._keep_active(task, _least_loaded(self._had_standby.get(task)))]
        queue = self._by_load()
        for task in sorted(tasks):
            process = queue.poll()
            if process is None:
                raise RuntimeError(f"no process for {task}")
            self._added_active(process.add_to_least_loaded(task, active=True))
            queue.add(process)

    def _keep_active(self, task: TaskId, member: _Member | None) -> bool:
        if member is None or member.tasks >= self._active_quota.per_member:
            return False
        self._added_active(member.process.add(member.member_id, task, active=True))
        return True

    def _added_active(self, count: int) -> None:
        self._active_quota.used(count)
        self._total_quota.used(count)

    # -- standby tasks

    def assign_standby(self) -> None:
        left = []
        for task in sorted(self._stateful, key=_by_partition, reverse=True):
            kept = 0
            while kept < self._replicas and self._keep_standby(task):
                kept += 1
            if kept < self._replicas:
                left.append((task, self._replicas - kept))
        queue = self._by_load()
        for task, replicas in sorted(left, reverse=True):
            for number in range(replicas):
                if not self._to_least_loaded(queue, task):
                    logger.warning(
                        "No process has room for %d of %d standby replicas of task %s_%d",
                        self._replicas - number,
                        self._replicas,
                        task.subtopology_id,
                        task.partition,
                    )
                    break

    def _keep_standby(self, task: TaskId) -> bool:
        """With who had the task, or another one of its standbys."""
        member = self._had_active.get(task)
        if member is None or member.process.has(task) or not self._has_room(member):
            member = _least_loaded_without(self._had_standby.get(task), task)
            if member is None or not self._has_room(member):
                return False
        self._total_quota.used(member.process.add(member.member_id, task, active=False))
        return True

    def _has_room(self, member: _Member) -> bool:
        return member.tasks < self._total_quota.per_member

    def _to_least_loaded(self, queue: JavaQueue[ProcessState], task: TaskId) -> bool:
        process = queue.poll()
        if process is None:
            return False
        found = False
        if not process.has(task):
            self._total_quota.used(process.add_to_least_loaded(task, active=False))
            found = True
        elif len(queue):
            found = self._to_least_loaded(queue, task)
        queue.add(process)
        return found

    # -- the whole

    def _by_load(self) -> JavaQueue[ProcessState]:
        return JavaQueue(lambda process: process.load, self._ordered)

    def result(self) -> dict[str, Tasks]:
        return {
            member_id: Tasks(_rows(process.active[member_id]), _rows(process.standby[member_id]))
            for process in self._processes.values()
            for member_id in process.counts
        }


def _least_loaded(members: list[_Member] | None) -> _Member | None:
    return _least(members, None) if members else None


def _least_loaded_without(members: list[_Member] | None, task: TaskId) -> _Member | None:
    """None when the process of the first one has the task, as in Kafka."""
    if not members or members[0].process.has(task):
        return None
    return _least(members, task)


def _least(members: list[_Member], task: TaskId | None) -> _Member:
    """Only who is less loaded in both ways, as a process and as a member, comes before the first one."""
    least = members[0]
    for member in members[1:]:
        lighter = member.process.load < least.process.load and member.tasks < least.tasks
        if lighter and (task is None or not member.process.has(task)):
            least = member
    return least


def _ids(tasks: TaskSet) -> Iterable[TaskId]:
    return (TaskId(key, partition) for key, rows in tasks.items() for partition in rows)


def _by_partition(task: TaskId) -> tuple[int, str]:
    return task.partition, task.subtopology_id


def _rows(tasks: Iterable[TaskId]) -> dict[str, frozenset[int]]:
    rows: dict[str, set[int]] = {}
    for task in tasks:
        rows.setdefault(task.subtopology_id, set()).add(task.partition)
    return {key: frozenset(rows[key]) for key in sorted(rows)}


def _table_for(expected: int) -> int:
    """Buckets of a HashMap made with an initial capacity (HashMap.tableSizeFor)."""
    return 1 << max(expected - 1, 0).bit_length()
