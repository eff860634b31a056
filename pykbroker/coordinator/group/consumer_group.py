"""A consumer group as its records say: members, target assignment, resolved patterns, epochs (KIP-848).

It changes by replay alone (`consumer_replay.py`); deciding is `consumer.py`'s. Kafka: ConsumerGroup.
"""

from collections.abc import Collection, Iterable
from typing import Final, Literal, NamedTuple

from pykbroker.coordinator.group.consumer_member import ConsumerMember, Partitions, pairs
from pykbroker.coordinator.group.modern_group import EMPTY, STABLE, Epochs, ModernGroup
from pykbroker.coordinator.timeline import Timeline, TimelineDict
from pykbroker.ids import Uuid

ASSIGNING: Final = "Assigning"
RECONCILING: Final = "Reconciling"
CONSUMER: Final = "consumer"


class ResolvedPattern(NamedTuple):
    """The topics that a regular expression matched at a version of the metadata (ResolvedRegularExpression)."""

    topics: frozenset[str]
    version: int
    timestamp: int


class ConsumerGroup(ModernGroup[ConsumerMember]):
    """The indexes follow what is written."""

    __slots__ = (
        "classic_protocols",
        "has_partition_metadata",
        "partition_epochs",
        "patterns",
        "regex_counts",
        "static_members",
    )
    group_type: Literal["consumer"] = CONSUMER
    protocol_type = CONSUMER

    def __init__(self, group_id: str, timeline: Timeline) -> None:
        super().__init__(group_id, timeline)
        self.patterns: TimelineDict[str, ResolvedPattern] = TimelineDict(timeline)
        self.has_partition_metadata = False  # a record that Kafka wrote before 4.1, to be removed
        self.static_members: dict[str, str] = {}  # instance id → member id
        self.partition_epochs: dict[tuple[Uuid, int], int] = {}  # partition → epoch of its owner
        self.regex_counts: dict[str, int] = {}  # pattern → how many members subscribe to it
        self.classic_protocols: dict[str, int] = {}  # protocol → how many classic members support it

    # -- what it is

    @property
    def state(self) -> str:
        return _state(self.epochs, [member for _, member in self.members.items()])

    @property
    def committed_state(self) -> str:
        return _state(self.committed_epochs, self.committed_members())

    @property
    def classic_count(self) -> int:
        return sum(member.uses_classic for _, member in self.members.items())

    def is_subscribed_to(self, topic: str) -> bool:
        return any(topic in member.topics for _, member in self.members.items()) or any(
            topic in pattern.topics for _, pattern in self.patterns.items()
        )

    def topics_of(self, member: ConsumerMember) -> frozenset[str]:
        """What it subscribes to, by name and by pattern as far as that is resolved."""
        pattern = self.patterns.get(member.regex) if member.regex else None
        return member.topics | pattern.topics if pattern is not None else member.topics

    def static_member(self, instance_id: str | None) -> ConsumerMember | None:
        member_id = self.static_members.get(instance_id) if instance_id is not None else None
        return self.members.get(member_id) if member_id is not None else None

    def target(self, member: ConsumerMember) -> Partitions:
        """Its target assignment, or that of the static member whose place it takes."""
        target = self.targets.get(member.member_id)
        if target is None and member.instance_id is not None:
            target = self.targets.get(self.static_members.get(member.instance_id, ""))
        return target or {}

    def preferred_assignor(self, members: Iterable[ConsumerMember]) -> str | None:
        """What most of the members ask for."""
        votes: dict[str, int] = {}
        for member in members:
            if member.assignor is not None:
                votes[member.assignor] = votes.get(member.assignor, 0) + 1
        return max(votes, key=lambda name: (votes[name], name)) if votes else None

    def with_member(self, updated: ConsumerMember) -> list[ConsumerMember]:
        """All members as they will be; it takes the place of a static member with its instance id."""
        replaced = self.static_members.get(updated.instance_id or "")
        rows = [member for _, member in self.members.items() if member.member_id not in (updated.member_id, replaced)]
        at = next((i for i, key in enumerate(self.members) if key in (updated.member_id, replaced)), len(rows))
        rows.insert(at, updated)
        return rows

    def supports_classic(self, protocol_type: str, names: Collection[str]) -> bool:
        """Whether a member with these protocols may join: all classic members must have one of them."""
        if protocol_type != CONSUMER:
            return False
        if self.is_empty:
            return bool(names)
        count = self.classic_count
        return any(self.classic_protocols.get(name, 0) == count for name in names)

    def waits_for_others(self, member: ConsumerMember) -> bool:
        """Whether a partition of its target assignment still is another member's."""
        return any(
            partition not in member.owned.get(topic_id, {}) and (topic_id, partition) in self.partition_epochs
            for topic_id, rows in (self.targets.get(member.member_id) or {}).items()
            for partition in rows
        )

    # -- replay

    def put_member(self, member: ConsumerMember) -> None:
        old = self.members.get(member.member_id)
        self.members[member.member_id] = member
        if old is not None:
            self._forget(old)
        if member.instance_id is not None:
            self.static_members[member.instance_id] = member.member_id
        _count(self.regex_counts, [member.regex] if member.regex else [], 1)
        _count(self.classic_protocols, _protocols(member), 1)
        for owned in (member.owned, member.revoking):
            for key in pairs(owned):
                # Compaction may have removed the record in which another member gave it back (KAFKA-19862).
                if (since := self.partition_epochs.get(key)) is None or since < member.epoch:
                    self.partition_epochs[key] = member.epoch

    def remove_member(self, member_id: str) -> None:
        member = self.members.pop(member_id)
        if member is not None:
            self._forget(member)

    def _forget(self, member: ConsumerMember) -> None:
        """A static member's place may be another's by now, and so may its partitions."""
        if self.static_members.get(member.instance_id or "") == member.member_id:
            del self.static_members[member.instance_id or ""]
        _count(self.regex_counts, [member.regex] if member.regex else [], -1)
        _count(self.classic_protocols, _protocols(member), -1)
        for owned in (member.owned, member.revoking):
            for key in pairs(owned):
                if self.partition_epochs.get(key) == member.epoch:
                    del self.partition_epochs[key]

    def __repr__(self) -> str:
        return f"<ConsumerGroup {self.group_id} {self.state} {self.epochs}, {len(self.members)} members>"


def _state(epochs: Epochs, members: list[ConsumerMember]) -> str:
    if not members:
        return EMPTY
    if epochs.group > epochs.assignment:
        return ASSIGNING
    if all(member.is_reconciled_to(epochs.assignment) for member in members):
        return STABLE
    return RECONCILING


def _protocols(member: ConsumerMember) -> list[str]:
    return [name for name, _ in member.classic.protocols] if member.classic is not None else []


def _count(counts: dict[str, int], keys: list[str], change: int) -> None:
    for key in keys:
        count = counts.get(key, 0) + change
        if count > 0:
            counts[key] = count
        else:
            counts.pop(key, None)
