"""What SimpleAssignor of Apache Kafka 4.3.1 answered in 180 random groups, and what any answer must be.

The groups and the answers were made by its own class: members that come and go, topics of which more and more
partitions can be assigned, in HashMaps of all sizes.
"""

import gzip
import json
from pathlib import Path
from random import Random
from typing import Any

from pykbroker.coordinator.group.assignor_simple import assign_simple
from pykbroker.coordinator.group.assignor_spec import GroupSpec, SpecMember
from pykbroker.coordinator.group.java_order import grown_table, java_order, string_hash
from pykbroker.ids import Uuid

ANSWERS = json.loads(gzip.decompress(Path(__file__).with_name("simple_assignments.json.gz").read_bytes()))
IDS = [Uuid(bytes([n]) * 16) for n in range(1, 4)]


def kafkas(row: dict[str, Any]) -> dict[str, dict[str, list[int]]]:
    """Our answer in the form of theirs."""
    ids = [Uuid.parse(text) for text, _, _ in row["topics"]]
    members = {
        name: SpecMember(
            frozenset(ids[index] for index in topics),
            {ids[int(index)]: frozenset(rows) for index, rows in target.items()},
        )
        for name, (topics, target) in row["members"].items()
    }
    ordered = java_order(members, string_hash, grown_table(len(members)))
    subscribed = {topic_id for member in members.values() for topic_id in member.topics}
    sizes = {
        topic_id: size for topic_id, (_, size, _) in zip(ids, row["topics"], strict=True) if topic_id in subscribed
    }
    assignable = {topic_id: frozenset(rows) for topic_id, (_, _, rows) in zip(ids, row["topics"], strict=True)}
    spec = GroupSpec({name: members[name] for name in ordered}, sizes)
    answer = assign_simple(spec, assignable, alike=row["alike"])
    return {
        name: {str(ids.index(topic_id)): sorted(partitions) for topic_id, partitions in rows.items() if partitions}
        for name, rows in answer.items()
    }


def test_the_answers_of_kafka() -> None:
    assert len(ANSWERS) == 180
    for row in ANSWERS:
        assert kafkas(row) == row["answer"], row


def test_evenly_and_everything() -> None:
    for seed in range(40):
        random = Random(seed)
        count, size = random.randint(1, 12), random.randint(1, 12)
        members = {f"m{n}": SpecMember(frozenset({IDS[0]}), {}) for n in range(count)}
        answer = assign_simple(GroupSpec(members, {IDS[0]: size}), {IDS[0]: frozenset(range(size))}, alike=True)
        loads = [sum(map(len, rows.values())) for rows in answer.values()]
        assert max(loads) - min(loads) <= 1
        assert set().union(*(rows.get(IDS[0], set()) for rows in answer.values())) == set(range(size))


def test_only_what_is_initialized() -> None:
    members = {"a": SpecMember(frozenset(IDS[:2]), {}), "b": SpecMember(frozenset(IDS[:2]), {})}
    answer = assign_simple(GroupSpec(members, {IDS[0]: 4, IDS[1]: 2}), {IDS[0]: frozenset({1, 3})}, alike=True)
    assert sorted(p for rows in answer.values() for p in rows.get(IDS[0], ())) == [1, 3]
    assert not any(IDS[1] in rows for rows in answer.values())


def test_nobody_subscribes_to_anything() -> None:
    members = {"a": SpecMember(frozenset(), {IDS[0]: frozenset({0})})}
    assert assign_simple(GroupSpec(members, {}), {}, alike=True) == {"a": {}}
