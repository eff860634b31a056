"""A classic group: its states as one table, its members, its votes. No replies, no clock, no records (ClassicGroup)."""

from collections.abc import Collection
from typing import Final, Literal

from pykbroker.coordinator.group.classic_member import ClassicMember, Protocols
from pykbroker.coordinator.group.subscription import CONSUMER, subscribed_topics
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.verify import check

EMPTY: Final = "Empty"
PREPARING_REBALANCE: Final = "PreparingRebalance"
COMPLETING_REBALANCE: Final = "CompletingRebalance"
STABLE: Final = "Stable"
DEAD: Final = "Dead"

# state: states it may go to; anything else is our bug
TRANSITIONS: Final[dict[str, frozenset[str]]] = {
    EMPTY: frozenset({PREPARING_REBALANCE, DEAD}),
    PREPARING_REBALANCE: frozenset({COMPLETING_REBALANCE, EMPTY, DEAD}),
    COMPLETING_REBALANCE: frozenset({STABLE, PREPARING_REBALANCE, DEAD}),
    STABLE: frozenset({PREPARING_REBALANCE, DEAD}),
    DEAD: frozenset({DEAD}),
}
NO_TIMESTAMP: Final = -1


class ClassicGroup:
    """`protocol_type` and `protocol_name` are None where Kafka has no value; `state_timestamp` is wall milliseconds."""

    __slots__ = (
        "generation_id",
        "group_id",
        "initial_delay_ms",
        "initial_remaining_ms",
        "leader_id",
        "members",
        "new_member_added",
        "pending_join",
        "pending_sync",
        "previous_state",
        "protocol_name",
        "protocol_type",
        "state",
        "state_timestamp",
        "static_members",
        "subscribed_topics",
        "supported",
        "waiting",
    )
    group_type: Literal["classic"] = "classic"

    def __init__(self, group_id: str, state_timestamp: int, state: str = EMPTY) -> None:
        self.group_id = group_id
        self.state = state
        self.previous_state = DEAD
        self.state_timestamp = state_timestamp
        self.protocol_type: str | None = None
        self.protocol_name: str | None = None
        self.generation_id = 0
        self.leader_id: str | None = None
        self.members: dict[str, ClassicMember] = {}
        self.static_members: dict[str, str] = {}  # instance id → member id
        self.pending_join: dict[str, None] = {}  # told their member id, not joined with it yet (KIP-394)
        self.pending_sync: dict[str, None] = {}
        self.supported: dict[str, int] = {}  # protocol → how many members support it
        self.waiting = 0  # members whose JoinGroup waits
        self.subscribed_topics: frozenset[str] | None = None  # None: unknown
        self.new_member_added = False
        self.initial_delay_ms = 0
        self.initial_remaining_ms = 0

    # -- what it is

    @property
    def is_empty(self) -> bool:
        return self.state == EMPTY

    @property
    def can_rebalance(self) -> bool:
        return PREPARING_REBALANCE in TRANSITIONS[self.state]

    @property
    def uses_consumer_protocol(self) -> bool:
        return self.protocol_type == CONSUMER

    @property
    def rebalance_timeout_ms(self) -> int:
        """The longest of all members, never negative."""
        return max((0, *(member.rebalance_timeout_ms for member in self.members.values())))

    @property
    def all_joined(self) -> bool:
        return len(self.members) == self.waiting and not self.pending_join

    def is_subscribed_to(self, topic: str) -> bool:
        if self.subscribed_topics is None:
            return self.uses_consumer_protocol
        return topic in self.subscribed_topics

    def supports(self, protocol_type: str, names: Collection[str]) -> bool:
        """Whether a member with these protocols may join."""
        if self.state == EMPTY:
            return bool(protocol_type and names)
        return self.protocol_type == protocol_type and any(
            self.supported.get(name, 0) == len(self.members) for name in names
        )

    def static_member_id(self, instance_id: str | None) -> str | None:
        return self.static_members.get(instance_id) if instance_id is not None else None

    def validate_member(self, member_id: str, instance_id: str | None) -> ClassicMember:
        """The member, if it is one. Raises KafkaError UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID."""
        if instance_id is not None:
            existing = self.static_members.get(instance_id)
            if existing is None:
                raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
            if existing != member_id:
                raise KafkaError(ErrorCode.FENCED_INSTANCE_ID)
        member = self.members.get(member_id)
        if member is None:
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
        return member

    # -- members

    def add(self, member: ClassicMember, protocol_type: str) -> None:
        check(member.instance_id is None or member.instance_id not in self.static_members, "one member per instance id")
        if member.instance_id is not None:
            self.static_members[member.instance_id] = member.member_id
        if not self.members:
            self.protocol_type = protocol_type
        check(self.protocol_type == protocol_type, "a group has one protocol type")
        if self.leader_id is None:
            self.leader_id = member.member_id
        self.members[member.member_id] = member
        self._count(member.protocols, 1)
        if member.awaiting_join is not None:
            self.waiting += 1
        self.pending_join.pop(member.member_id, None)

    def remove(self, member_id: str) -> None:
        """Forgets a member or a pending member; the next one becomes leader."""
        member = self.members.pop(member_id, None)
        if member is not None:
            self._count(member.protocols, -1)
            if member.awaiting_join is not None:
                self.waiting -= 1
            if member.instance_id is not None:
                self.static_members.pop(member.instance_id, None)
        if self.leader_id == member_id:
            self.leader_id = next(iter(self.members), None)
        self.pending_join.pop(member_id, None)
        self.pending_sync.pop(member_id, None)

    def set_protocols(self, member: ClassicMember, protocols: Protocols) -> None:
        self._count(member.protocols, -1)
        member.protocols = protocols
        self._count(protocols, 1)

    def replace_static(self, instance_id: str, old: ClassicMember, new_id: str) -> ClassicMember:
        """The same static member under a new id, leader if it was. The old one must wait for nothing any more."""
        check(old.awaiting_join is None and old.awaiting_sync is None, "a replaced member waits for nothing")
        del self.members[old.member_id]
        self.pending_sync.pop(old.member_id, None)
        new = ClassicMember(
            self.group_id,
            new_id,
            instance_id,
            old.client_id,
            old.client_host,
            old.rebalance_timeout_ms,
            old.session_timeout_ms,
            old.protocols,
            old.assignment,
        )
        self.members[new_id] = new
        if self.leader_id == old.member_id:
            self.leader_id = new_id
        self.static_members[instance_id] = new_id
        return new

    def elect_joined_leader(self) -> bool:
        """Whether the leader has rejoined, or another member that has could take over."""
        if self.leader_id is None:
            return False
        if self.members[self.leader_id].awaiting_join is not None:
            return True
        joined = next((member for member in self.members.values() if member.awaiting_join is not None), None)
        if joined is None:
            return False
        self.leader_id = joined.member_id
        return True

    def _count(self, protocols: Protocols, change: int) -> None:
        for name, _ in protocols:
            count = self.supported.get(name, 0) + change
            if count:
                self.supported[name] = count
            else:
                self.supported.pop(name, None)

    # -- states

    def transition(self, state: str, now_ms: int) -> None:
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"group {self.group_id} can't go from {self.state} to {state}")
        self.previous_state = self.state
        self.state = state
        self.state_timestamp = now_ms

    def select_protocol(self) -> str:
        """What most members prefer among the protocols that all of them support.

        Kafka counts a name as often as a member repeats it, and so passes over it, if there is another one.
        """
        common = set.intersection(*({name for name, _ in member.protocols} for member in self.members.values()))
        candidates = {name for name in common if self.supported[name] == len(self.members)} or common
        votes: dict[str, int] = {}
        for member in self.members.values():
            choice = member.vote(candidates)
            votes[choice] = votes.get(choice, 0) + 1
        return max(votes, key=votes.__getitem__)

    def next_generation(self, now_ms: int) -> None:
        """All members have joined: to CompletingRebalance, or Empty when there is none."""
        self.generation_id += 1
        self.protocol_name = self.select_protocol() if self.members else None
        self.subscribed_topics = self.compute_subscribed_topics()
        self.transition(COMPLETING_REBALANCE if self.members else EMPTY, now_ms)
        self.pending_sync.clear()

    def compute_subscribed_topics(self) -> frozenset[str] | None:
        """What the members consume, None when that can't be known."""
        if self.protocol_type != CONSUMER:
            return None
        if not self.members:
            return frozenset()
        if self.protocol_name is None:
            return None
        return subscribed_topics([member.metadata(self.protocol_name) for member in self.members.values()])

    def __repr__(self) -> str:
        size = len(self.members)
        return f"<ClassicGroup {self.group_id} {self.state} generation {self.generation_id}, {size} members>"
