"""What StickyTaskAssignor of Apache Kafka 4.3.1 answered in 360 random groups, and what any answer must be.

The groups and the answers were made by its own class: members of several processes that come and go, topologies with
and without state, standby replicas that are asked for and not.
"""

import gzip
import json
from pathlib import Path
from random import Random
from typing import Any

from pykbroker.coordinator.group.streams_assignor import StreamsSpecMember, assign_sticky
from pykbroker.coordinator.group.streams_configured_topology import ConfiguredInternalTopic, ConfiguredSubtopology
from pykbroker.coordinator.group.streams_tasks import Tasks, TaskSet

ANSWERS = json.loads(gzip.decompress(Path(__file__).with_name("sticky_assignments.json.gz").read_bytes()))
CHANGELOG = ConfiguredInternalTopic("changelog", 1, 0, ())


def subtopology(tasks: int, *, stateful: bool) -> ConfiguredSubtopology:
    changelogs = {"changelog": CHANGELOG} if stateful else {}
    return ConfiguredSubtopology(tasks, frozenset({"t"}), {}, frozenset(), changelogs)


def sets(tasks: dict[str, list[int]]) -> TaskSet:
    return {key: frozenset(rows) for key, rows in tasks.items()}


def lists(tasks: TaskSet) -> dict[str, list[int]]:
    return {key: sorted(rows) for key, rows in tasks.items()}


def ours(row: dict[str, Any]) -> dict[str, list[dict[str, list[int]]]]:
    subtopologies = {key: subtopology(tasks, stateful=state) for key, (tasks, state) in sorted(row["tasks"].items())}
    members = {
        name: StreamsSpecMember(process, Tasks(sets(active), sets(standby)))
        for name, process, active, standby in row["members"]
    }
    answer = assign_sticky(members, subtopologies, row["replicas"])
    return {name: [lists(tasks.active), lists(tasks.standby)] for name, tasks in answer.items()}


def test_the_answers_of_kafka() -> None:
    assert len(ANSWERS) == 360
    for row in ANSWERS:
        assert ours(row) == row["answer"], row


def test_everything_once_evenly_and_no_active_task_moves_without_need() -> None:
    for seed in range(40):
        random = Random(seed)
        subtopologies = {str(n): subtopology(random.randint(1, 5), stateful=True) for n in range(random.randint(1, 3))}
        members = {f"m{n}": StreamsSpecMember(f"p{n}", Tasks()) for n in range(random.randint(1, 6))}
        answer = assign_sticky(members, subtopologies, 1)
        active = [(key, p) for tasks in answer.values() for key, rows in tasks.active.items() for p in rows]
        assert sorted(active) == sorted((key, p) for key, row in subtopologies.items() for p in range(row.tasks))
        loads = [sum(map(len, tasks.active.values())) for tasks in answer.values()]
        assert max(loads) - min(loads) <= 1
        for tasks in answer.values():
            assert all(rows.isdisjoint(tasks.standby.get(key, ())) for key, rows in tasks.active.items())
        again = {name: StreamsSpecMember(f"p{name[1:]}", tasks) for name, tasks in answer.items()}
        kept = assign_sticky(again, subtopologies, 1)
        assert {name: tasks.active for name, tasks in kept.items()} == {
            name: row.active for name, row in answer.items()
        }


def test_whatever_the_members_claim() -> None:
    """Scenario 27: one task claimed by many, active and standby, or gone; each has one owner, and one replica."""
    for seed in range(200):
        random = Random(seed)
        subtopologies = {str(n): subtopology(random.randint(1, 5), stateful=True) for n in range(random.randint(1, 3))}

        def some(random: Random = random) -> TaskSet:
            return {str(n): frozenset(random.sample(range(7), random.randint(0, 4))) for n in range(4)}

        members = {f"m{n}": StreamsSpecMember(f"p{n}", Tasks(some(), some())) for n in range(random.randint(2, 6))}
        answer = assign_sticky(members, subtopologies, 1)
        every = sorted((key, p) for key, row in subtopologies.items() for p in range(row.tasks))
        for tasks in (
            [(key, p) for row in answer.values() for key, rows in row.active.items() for p in rows],
            [(key, p) for row in answer.values() for key, rows in row.standby.items() for p in rows],
        ):
            assert sorted(tasks) == every
        for row in answer.values():
            assert all(rows.isdisjoint(row.standby.get(key, ())) for key, rows in row.active.items())
