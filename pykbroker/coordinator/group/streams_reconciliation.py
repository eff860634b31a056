"""The next step of a member towards its target assignment (streams.CurrentAssignmentBuilder, KIP-1071).

First it gives back what is no longer its own, and stays in its epoch until it says it has; then it moves to the epoch
of the target assignment and gets what no other process has any more. A process has a task once, of whatever kind.
"""

from collections.abc import Callable
from typing import NamedTuple

from pykbroker.coordinator.group.streams_group import StreamsGroup, Task
from pykbroker.coordinator.group.streams_member import MemberState, StreamsMember
from pykbroker.coordinator.group.streams_tasks import NOTHING_HELD, ActiveTasks, HeldTasks, Tasks, TaskSet
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode

IsTaken = Callable[[Task], bool]


class Step(NamedTuple):
    """`reported`: what the member says it has, None when it says nothing."""

    target_epoch: int
    target: Tasks
    reported: Tasks | None


class _Difference(NamedTuple):
    """`waits`: another process, or another kind of task of its own process, is in the way of a part of the target."""

    kept: HeldTasks
    surplus: HeldTasks
    new: HeldTasks
    waits: bool


def reconcile(member: StreamsMember, step: Step, group: StreamsGroup) -> StreamsMember:
    """The member after the step; itself when it cannot move. Raises KafkaError FENCED_MEMBER_EPOCH."""
    reported = step.reported
    if member.state == MemberState.STABLE:
        return member if member.epoch == step.target_epoch else _moved(member, member.epoch, step, group)
    if member.state == MemberState.UNREVOKED_TASKS:
        if reported is None or reported.has_any_of(member.revoking):
            return member
        return _moved(member, member.epoch + 1, step, group)
    if member.state == MemberState.UNRELEASED_TASKS:
        return _moved(member, member.epoch, step, group)
    if reported is None or not reported.is_empty:
        raise KafkaError(
            ErrorCode.FENCED_MEMBER_EPOCH,
            "The streams group member is in a unknown state. The member must abandon all its tasks and rejoin.",
        )
    return _moved(member, step.target_epoch, step, group)


def _moved(member: StreamsMember, epoch: int, step: Step, group: StreamsGroup) -> StreamsMember:
    """`epoch`: the one to stay in while it has something to give back."""
    difference = _difference(member, step, group)
    surplus = difference.surplus
    if not surplus.is_empty and (step.reported is None or step.reported.has_any_of(surplus)):
        moved = member.moved_to(epoch)
        return moved._replace(state=MemberState.UNREVOKED_TASKS, held=difference.kept, revoking=surplus)
    state = MemberState.UNRELEASED_TASKS if difference.waits else MemberState.STABLE
    held = difference.kept if difference.new.is_empty else difference.kept.merged(difference.new)
    return member.moved_to(step.target_epoch)._replace(state=state, held=held, revoking=NOTHING_HELD)


def _difference(member: StreamsMember, step: Step, group: StreamsGroup) -> _Difference:
    process = member.process_id

    def is_elsewhere_in_process(task: Task) -> bool:
        return group.has_standby(task, process) or group.has_warmup(task, process)

    def is_active_taken(task: Task) -> bool:
        return task in group.active_processes or is_elsewhere_in_process(task)

    def is_passive_taken(task: Task) -> bool:
        return group.active_processes.get(task) == process or is_elsewhere_in_process(task)

    active = _active_difference(member.held.active, step.target.active, step.target_epoch, is_active_taken)
    standby = _passive_difference(member.held.standby, step.target.standby, is_passive_taken)
    warmup = _passive_difference(member.held.warmup, step.target.warmup, is_passive_taken)
    return _Difference(
        HeldTasks(active[0], standby[0], warmup[0]),
        HeldTasks(active[1], standby[1], warmup[1]),
        HeldTasks(active[2], standby[2], warmup[2]),
        active[3] or standby[3] or warmup[3],
    )


def _active_difference(
    has: ActiveTasks, target: TaskSet, epoch: int, is_taken: IsTaken
) -> tuple[ActiveTasks, ActiveTasks, ActiveTasks, bool]:
    """What it keeps, what it must give back, what it gets, and whether there is more to get later."""
    wanted = {(key, partition): epoch for key, rows in target.items() for partition in rows}
    held = {(key, partition): since for key, rows in has.items() for partition, since in rows.items()}
    missing = sorted(wanted.keys() - held.keys())
    free = {task: epoch for task in missing if not is_taken(task)}
    kept = {task: since for task, since in held.items() if task in wanted}
    surplus = {task: since for task, since in held.items() if task not in wanted}
    return _by_subtopology(kept), _by_subtopology(surplus), _by_subtopology(free), len(free) < len(missing)


def _passive_difference(has: TaskSet, target: TaskSet, is_taken: IsTaken) -> tuple[TaskSet, TaskSet, TaskSet, bool]:
    epochs = {key: dict.fromkeys(rows, 0) for key, rows in has.items()}
    kept, surplus, free, waits = _active_difference(epochs, target, 0, is_taken)
    return _as_sets(kept), _as_sets(surplus), _as_sets(free), waits


def _by_subtopology(tasks: dict[Task, int]) -> ActiveTasks:
    rows: dict[str, dict[int, int]] = {}
    for (key, partition), epoch in tasks.items():
        rows.setdefault(key, {})[partition] = epoch
    return rows


def _as_sets(tasks: ActiveTasks) -> TaskSet:
    return {key: frozenset(rows) for key, rows in tasks.items()}
