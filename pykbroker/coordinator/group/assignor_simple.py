"""The assignor of share groups: every partition goes to as many members as there are members for it (SimpleAssignor).

Balance first, then what everybody has stays. When all subscribe to the same topics, all partitions are spread at once
(SimpleHomogeneousAssignmentBuilder), else each topic for itself (SimpleHeterogeneousAssignmentBuilder).
"""

from collections.abc import Callable, Iterable, Mapping
from math import ceil
from typing import Final

from pykbroker.coordinator.group.assignor_spec import Assignment, GroupSpec
from pykbroker.coordinator.group.java_order import (
    grown_table,
    int_hash,
    java_order,
    partition_hash,
    sized_table,
    uuid_hash,
)
from pykbroker.ids import Uuid

Key = tuple[Uuid, int]

SIMPLE: Final = "simple"


def assign_simple(spec: GroupSpec, assignable: Mapping[Uuid, frozenset[int]], *, alike: bool) -> Assignment:
    """Only `assignable` partitions are given to anyone. `alike`: all subscribe to the same names.

    Members and sizes come in the order of Kafka's maps of them.
    """
    members = list(spec.members.values())
    subscribed = frozenset[Uuid]().union(*(member.topics for member in members))
    if not subscribed:
        return {member_id: {} for member_id in spec.members}
    # Where topics are looked at one by one, one that nobody is subscribed to any more is passed over, as in Kafka.
    kept = [{key: None for key in _held(member.target) if not alike or key[0] in subscribed} for member in members]
    if alike:
        targets = [key for topic_id in spec.sizes for key in _targets(topic_id, spec, assignable)]
        _Spreading(kept, list(range(len(members))), targets, partition_hash).run()
    else:
        for topic_id in subscribed:
            those = [index for index, member in enumerate(members) if topic_id in member.topics]
            _spread_topic(kept, those, topic_id, _targets(topic_id, spec, assignable))
    return {member_id: _by_topic(keys) for member_id, keys in zip(spec.members, kept, strict=True)}


def _held(target: Mapping[Uuid, Iterable[int]]) -> list[Key]:
    topics = java_order(target, uuid_hash, grown_table(len(target)))
    return [(topic_id, partition) for topic_id in topics for partition in sorted(target[topic_id])]


def _targets(topic_id: Uuid, spec: GroupSpec, assignable: Mapping[Uuid, frozenset[int]]) -> list[Key]:
    known = assignable.get(topic_id, frozenset())
    return [(topic_id, partition) for partition in range(spec.sizes[topic_id]) if partition in known]


def _by_topic(keys: Iterable[Key]) -> dict[Uuid, set[int]]:
    result: dict[Uuid, set[int]] = {}
    for topic_id, partition in keys:
        result.setdefault(topic_id, set()).add(partition)
    return result


def _spread_topic(kept: list[dict[Key, None]], members: list[int], topic_id: Uuid, targets: list[Key]) -> None:
    parts = [{key: None for key in keys if key[0] == topic_id} for keys in kept]
    _Spreading(parts, members, targets, _index_hash).run()
    for keys, part in zip(kept, parts, strict=True):
        for key in [key for key in keys if key[0] == topic_id and key not in part]:
            del keys[key]
        keys.update(part)


def _index_hash(key: Key) -> int:
    return int_hash(key[1])


class _Spreading:
    """Changes what everyone has of some partitions; `members` are those who may have some, by their number."""

    def __init__(
        self, kept: list[dict[Key, None]], members: list[int], targets: list[Key], hash_of: Callable[[Key], int]
    ) -> None:
        self.kept = kept
        self.targets = targets
        self.hash_of = hash_of
        # How many members each partition should have, and how many partitions each member.
        self.sharing = -(-len(members) // len(targets)) if targets else 0
        each = self.sharing * len(targets) / len(members)
        self.quotas = {member: ceil(each * (n + 1)) - ceil(each * n) for n, member in enumerate(members)}
        self.holders: dict[Key, dict[int, None]] = {}
        for member, keys in enumerate(kept):
            for key in keys:
                self.holders.setdefault(key, {})[member] = None

    def run(self) -> None:
        tables = {key: grown_table(len(members)) for key, members in self.holders.items()}
        self._revoke_overfilled()
        self._revoke_overshared(tables)
        for key in self.targets:
            self.holders.setdefault(key, {})
        self._assign_remaining()

    def _revoke_overfilled(self) -> None:
        for member, keys in enumerate(self.kept):
            surplus = len(keys) - self.quotas.get(member, 0)
            if surplus > 0:
                for key in java_order(keys, self.hash_of, grown_table(len(keys)))[:surplus]:
                    del keys[key]
                    del self.holders[key][member]

    def _revoke_overshared(self, tables: Mapping[Key, int]) -> None:
        for key, members in self.holders.items():
            surplus = len(members) - self.sharing
            if surplus > 0:
                for member in java_order(members, int_hash, tables[key])[:surplus]:
                    del self.kept[member][key]
                    del members[member]

    def _assign_remaining(self) -> None:
        """In turns. A partition that everyone with room left has already stays shared less, as in Kafka.

        So does one that the turns come round with: who got it just now counts once more, as in Kafka.
        """
        unfilled = sorted(member for member, quota in self.quotas.items() if len(self.kept[member]) < quota)
        position, gave = 0, False
        # HashMap.computeIfAbsent puts what is new first into its bucket.
        table = sized_table(len(self.holders), len(self.targets))
        for key in java_order(reversed(self.holders), self.hash_of, table):
            members = self.holders[key]
            missing = self.sharing - len(members)
            while unfilled and missing > 0:
                if position == len(unfilled):
                    if not gave:
                        break
                    position, gave = 0, False
                member = unfilled[position]
                position += 1
                if member in members:
                    continue
                self.kept[member][key] = None
                missing -= 1
                gave = True
                if len(self.kept[member]) >= self.quotas[member]:
                    position -= 1
                    del unfilled[position]
