"""The uniform assignor for members with different subscriptions (UniformHeterogeneousAssignmentBuilder).

Everyone keeps what it has and still subscribes to; what is free goes to the least loaded subscriber; then, topic by
topic, partitions move from the most to the least loaded one until loads differ by one at most, or nothing changes.
"""

from pykbroker.coordinator.group.assignor_spec import Assignment, GroupSpec
from pykbroker.ids import Uuid

# Rounds over all topics; each brings the loads closer, and almost always the second one finds nothing to do.
_MAX_ROUNDS = 16


def assign_mixed(spec: GroupSpec) -> Assignment:
    return _Builder(spec).build()


class _Builder:
    def __init__(self, spec: GroupSpec) -> None:
        self._spec = spec
        self._order = {member_id: index for index, member_id in enumerate(spec.members)}
        self._load = dict.fromkeys(spec.members, 0)
        self._subscribers: dict[Uuid, list[str]] = {}
        for member_id, member in spec.members.items():
            for topic_id in member.topics:
                self._subscribers.setdefault(topic_id, []).append(member_id)
        self._owners: dict[Uuid, list[str | None]] = {
            topic_id: [None] * spec.sizes[topic_id] for topic_id in self._subscribers
        }

    def build(self) -> Assignment:
        self._keep()
        topics = sorted(self._subscribers, key=self._topic_order)
        for topic_id in topics:
            self._fill(topic_id)
        shared = [topic_id for topic_id in topics if len(self._subscribers[topic_id]) > 1]
        for _ in range(_MAX_ROUNDS):
            if not sum(self._balance(topic_id) for topic_id in shared):
                break
        result: Assignment = {member_id: {} for member_id in self._spec.members}
        for topic_id, owners in self._owners.items():
            for partition, owner in enumerate(owners):
                if owner is not None:
                    result[owner].setdefault(topic_id, set()).add(partition)
        return result

    def _topic_order(self, topic_id: Uuid) -> tuple[float, int, Uuid]:
        """Most partitions per subscriber first: what is left afterwards can even things out."""
        count = len(self._subscribers[topic_id])
        return -self._spec.sizes[topic_id] / count, count, topic_id

    def _by_load(self, member_id: str) -> tuple[int, int]:
        return self._load[member_id], self._order[member_id]

    def _keep(self) -> None:
        for member_id, member in self._spec.members.items():
            for topic_id, rows in member.target.items():
                if topic_id not in member.topics:
                    continue
                for partition in rows:
                    if partition < self._spec.sizes[topic_id] and self._owners[topic_id][partition] is None:
                        self._give(topic_id, partition, member_id)

    def _give(self, topic_id: Uuid, partition: int, member_id: str) -> None:
        owner = self._owners[topic_id][partition]
        if owner is not None:
            self._load[owner] -= 1
        self._owners[topic_id][partition] = member_id
        self._load[member_id] += 1

    def _fill(self, topic_id: Uuid) -> None:
        """Free partitions, level by level as water fills a vessel."""
        free = [partition for partition, owner in enumerate(self._owners[topic_id]) if owner is None]
        for partition, member_id in zip(free, self._lowest(topic_id, len(free)), strict=True):
            self._give(topic_id, partition, member_id)

    def _lowest(self, topic_id: Uuid, count: int) -> list[str]:
        """Who gets the next `count` partitions, each time the least loaded."""
        if not count:
            return []
        members = sorted(self._subscribers[topic_id], key=self._by_load)
        level, reached = self._load[members[0]], 0
        order: list[str] = []
        while len(order) < count:
            while reached < len(members) and self._load[members[reached]] == level:
                reached += 1
            order += members[:reached]
            level += 1
        return order[:count]

    def _balance(self, topic_id: Uuid) -> int:
        """Moves partitions of one topic; how many."""
        members = sorted(self._subscribers[topic_id], key=self._by_load)
        held: dict[str, list[int]] = {}
        for partition, owner in enumerate(self._owners[topic_id]):
            held.setdefault(owner or "", []).append(partition)
        moved = 0
        while True:
            givers = [member_id for member_id in members if held.get(member_id)]
            if not givers:
                return moved
            giver = max(givers, key=self._by_load)
            taker = min(members, key=self._by_load)
            if self._load[giver] - self._load[taker] <= 1:
                return moved
            partition = held[giver].pop()
            held.setdefault(taker, []).append(partition)
            self._give(topic_id, partition, taker)
            moved += 1
