"""A share group as its records say: members, target assignment, epochs, initialized partitions (KIP-932).

It changes by replay alone (`share_replay.py`); deciding is `share.py`'s. Kafka: ShareGroup.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from pykbroker.coordinator.group.consumer_member import Partitions
from pykbroker.coordinator.group.group_types import SHARE
from pykbroker.coordinator.group.modern_group import EMPTY, STABLE, ModernGroup
from pykbroker.coordinator.group.share_member import ShareMember
from pykbroker.coordinator.group.share_state import SharePartitionStates
from pykbroker.coordinator.timeline import Timeline, TimelineDict
from pykbroker.ids import Uuid


class ShareGroup(ModernGroup[ShareMember]):
    """The indexes follow what is written."""

    __slots__ = ("_assigned", "_states", "subscribers")
    group_type: Literal["share"] = SHARE
    protocol_type = SHARE

    def __init__(self, group_id: str, timeline: Timeline) -> None:
        super().__init__(group_id, timeline)
        self._states: TimelineDict[str, SharePartitionStates] = TimelineDict(timeline)
        self.subscribers: dict[str, int] = {}  # topic → how many members subscribe to it
        self._assigned: dict[Uuid, frozenset[int]] | None = None  # of all targets; None: to be found out again

    # -- what it is

    @property
    def states(self) -> SharePartitionStates | None:
        """None: there is no record of it."""
        return self._states.get("")

    @states.setter
    def states(self, states: SharePartitionStates | None) -> None:
        if states is None:
            self._states.pop("")
        else:
            self._states[""] = states

    @property
    def state(self) -> str:
        return STABLE if len(self.members) else EMPTY

    @property
    def committed_state(self) -> str:
        return STABLE if self.committed_members() else EMPTY

    def is_subscribed_to(self, topic: str) -> bool:
        return topic in self.subscribers

    def topics_with(self, updated: ShareMember) -> frozenset[str]:
        """The topics of all members, with the updated one in its new form."""
        old = self.members.get(updated.member_id)
        if old is not None and old.topics == updated.topics:
            return frozenset(self.subscribers)
        return self.topics_without(updated.member_id) | updated.topics

    def topics_without(self, member_id: str) -> frozenset[str]:
        old = self.members.get(member_id)
        gone = old.topics if old is not None else frozenset()
        return frozenset(topic for topic, count in self.subscribers.items() if count > (topic in gone))

    def assigned(self) -> Mapping[Uuid, frozenset[int]]:
        """What anyone's target has."""
        if self._assigned is None:
            self._assigned = _union(target for _, target in self.targets.items())
        return self._assigned

    # -- replay

    def put_member(self, member: ShareMember) -> None:
        old = self.members.get(member.member_id)
        self.members[member.member_id] = member
        self._count(member.topics, 1)
        if old is not None:
            self._count(old.topics, -1)

    def remove_member(self, member_id: str) -> None:
        member = self.members.pop(member_id)
        if member is not None:
            self._count(member.topics, -1)

    def put_target(self, member_id: str, target: Partitions | None) -> None:
        self._assigned = None
        if target is None:
            self.targets.pop(member_id)
        else:
            self.targets[member_id] = target

    def _count(self, topics: Iterable[str], change: int) -> None:
        for topic in topics:
            count = self.subscribers.get(topic, 0) + change
            if count > 0:
                self.subscribers[topic] = count
            else:
                self.subscribers.pop(topic, None)

    def __repr__(self) -> str:
        return f"<ShareGroup {self.group_id} {self.state} {self.epochs}, {len(self.members)} members>"


def _union(targets: Iterable[Partitions]) -> dict[Uuid, frozenset[int]]:
    assigned: dict[Uuid, set[int]] = {}
    for target in targets:
        for topic_id, partitions in target.items():
            assigned.setdefault(topic_id, set()).update(partitions)
    return {topic_id: frozenset(partitions) for topic_id, partitions in assigned.items()}
