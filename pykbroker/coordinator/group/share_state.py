"""How far the share coordinator knows the partitions of a share group: unknown → initializing → initialized → deleting.

Values and what becomes of them; `ShareGroupStatePartitionMetadata` is their record. Kafka: the parts of
GroupMetadataManager around ShareGroupStatePartitionMetadataInfo and InitMapValue.
"""

from collections.abc import Mapping, Set
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from pykbroker.coordinator.group.consumer_member import Partitions
from pykbroker.ids import Uuid

if TYPE_CHECKING:
    from pykbroker.metadata.topics import TopicsImage

UNKNOWN_NAME: Final = "<UNKNOWN>"


class TopicState(NamedTuple):
    """Some partitions of a topic. `since`: wall milliseconds of when it was written, or loaded."""

    name: str
    partitions: frozenset[int]
    since: int


TopicStates = Mapping[Uuid, TopicState]
_NONE: Final[TopicStates] = MappingProxyType({})


class SharePartitionStates(NamedTuple):
    """By topic id. Only `initialized` partitions are assigned; topics in `deleting` are deleted as a whole."""

    initializing: TopicStates = _NONE
    initialized: TopicStates = _NONE
    deleting: frozenset[Uuid] = frozenset()

    def begin(self, topics: TopicStates) -> "SharePartitionStates":
        """Their initialization is under way, whatever was to be deleted."""
        initializing = merge(self.initializing, topics)
        return SharePartitionStates(initializing, self.initialized, self.deleting - initializing.keys())

    def complete(self, topics: TopicStates) -> "SharePartitionStates":
        """They are initialized."""
        done = {topic_id: state.partitions for topic_id, state in topics.items()}
        return SharePartitionStates(without(self.initializing, done), merge(self.initialized, topics), self.deleting)

    def give_up(self, topics: Partitions) -> "SharePartitionStates":
        """They could not be initialized; somebody's next heartbeat tries again."""
        return self._replace(initializing=without(self.initializing, topics))

    def forget(self, topic_ids: Set[Uuid]) -> "SharePartitionStates":
        """The topics are gone, and their state with them."""
        return SharePartitionStates(
            {key: state for key, state in self.initializing.items() if key not in topic_ids},
            {key: state for key, state in self.initialized.items() if key not in topic_ids},
            self.deleting - topic_ids,
        )

    def uninitialized(
        self, names: frozenset[str], topics: "TopicsImage", now_ms: int, retry_ms: int
    ) -> dict[Uuid, TopicState]:
        """What of these topics must be initialized; again, when that began long ago."""
        recent = {key: state for key, state in self.initializing.items() if now_ms - state.since < retry_ms}
        found: dict[Uuid, TopicState] = {}
        for name in names:
            topic = topics.get(name)
            if topic is None:
                continue
            known = frozenset[int]()
            for states in (self.initialized, recent):
                if topic.id in states:
                    known |= states[topic.id].partitions
            if len(known) < len(topic.partitions):
                found[topic.id] = TopicState(name, frozenset(topic.partitions) - known, now_ms)
        return found


def merge(old: TopicStates, new: TopicStates) -> dict[Uuid, TopicState]:
    """All partitions of both; names and times are the new ones."""
    merged = dict(old)
    for topic_id, state in new.items():
        known = old[topic_id].partitions if topic_id in old else frozenset()
        merged[topic_id] = state._replace(partitions=known | state.partitions)
    return merged


def without(states: TopicStates, gone: Partitions) -> dict[Uuid, TopicState]:
    """Topics of which nothing is left are left out; one that had nothing stays, as in Kafka."""
    left: dict[Uuid, TopicState] = {}
    for topic_id, state in states.items():
        if topic_id not in gone:
            left[topic_id] = state
        elif partitions := state.partitions - gone[topic_id]:
            left[topic_id] = state._replace(partitions=partitions)
    return left


def topic_states(partitions: Partitions, topics: "TopicsImage", now_ms: int) -> dict[Uuid, TopicState]:
    return {key: TopicState(topic_name(key, topics), frozenset(rows), now_ms) for key, rows in partitions.items()}


def topic_name(topic_id: Uuid, topics: "TopicsImage") -> str:
    topic = topics.by_id(topic_id)
    return topic.name if topic is not None else UNKNOWN_NAME
