"""The uniform assignor: partitions are spread evenly, and stay where they are as far as that allows (UniformAssignor).

When everyone subscribes to the same topics: UniformHomogeneousAssignmentBuilder; else `assignor_mixed.py`.
"""

from collections.abc import Iterable
from itertools import islice

from pykbroker.coordinator.group.assignor_mixed import assign_mixed
from pykbroker.coordinator.group.assignor_spec import Assignment, GroupSpec
from pykbroker.ids import Uuid


def assign_uniform(spec: GroupSpec) -> Assignment:
    return _assign_alike(spec) if spec.is_homogeneous else assign_mixed(spec)


def _assign_alike(spec: GroupSpec) -> Assignment:
    topics = next(iter(spec.members.values())).topics if spec.members else frozenset()
    result: Assignment = {member_id: {} for member_id in spec.members}
    if not topics:
        return result
    assigned = {
        (topic_id, partition)
        for member in spec.members.values()
        for topic_id, rows in member.target.items()
        for partition in rows
    }
    free = [
        (topic_id, partition)
        for topic_id in topics
        for partition in range(spec.sizes[topic_id])
        if (topic_id, partition) not in assigned
    ]
    quota, extra = divmod(sum(spec.sizes[topic_id] for topic_id in topics), len(spec.members))
    room: dict[str, int] = {}
    for index, (member_id, member) in enumerate(spec.members.items()):
        left = quota + (index < extra)
        kept = result[member_id]
        for topic_id, partition in _present(member.target.items(), topics, spec):
            if (topic_id, partition) not in assigned:
                continue  # another member had it as well, and came first
            assigned.remove((topic_id, partition))
            if left:
                kept.setdefault(topic_id, set()).add(partition)
                left -= 1
            else:
                free.append((topic_id, partition))
        room[member_id] = left
    supply = iter(free)
    for member_id, left in room.items():
        for topic_id, partition in islice(supply, left):
            result[member_id].setdefault(topic_id, set()).add(partition)
    return result


def _present(
    target: Iterable[tuple[Uuid, frozenset[int]]], topics: frozenset[Uuid], spec: GroupSpec
) -> Iterable[tuple[Uuid, int]]:
    return (
        (topic_id, partition)
        for topic_id, rows in target
        if topic_id in topics
        for partition in sorted(rows)
        if partition < spec.sizes[topic_id]
    )
