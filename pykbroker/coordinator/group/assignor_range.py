"""The range assignor: of each topic every subscriber gets a run of neighbouring partitions (RangeAssignor of 4.x).

Topics with equally many partitions and the same subscribers are shared out alike, which joins need.
"""

from pykbroker.coordinator.group.assignor_spec import Assignment, GroupSpec, SpecMember
from pykbroker.ids import Uuid


def assign_range(spec: GroupSpec) -> Assignment:
    members = sorted(spec.members.items(), key=_order)
    subscribers: dict[Uuid, list[str]] = {}
    for member_id, member in members:
        for topic_id in member.topics:
            subscribers.setdefault(topic_id, []).append(member_id)
    result: Assignment = {member_id: {} for member_id, _ in members}
    for topic_id, member_ids in subscribers.items():
        quota, extra = divmod(spec.sizes[topic_id], len(member_ids))
        start = 0
        for index, member_id in enumerate(member_ids):
            end = start + quota + (index < extra)
            if start < end:
                result[member_id][topic_id] = set(range(start, end))
            start = end
    return result


def _order(row: tuple[str, SpecMember]) -> tuple[bool, str]:
    """Static members come first, by their instance ids, which outlive the members."""
    member_id, member = row
    return member.instance_id is None, member.instance_id or member_id
