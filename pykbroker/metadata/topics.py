"""Topics and partitions as immutable values (TopicsImage, TopicImage, PartitionRegistration)."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pykbroker.ids import DIRECTORY_MIGRATING, Uuid

NO_LEADER = -1
RECOVERED = 0
RECOVERING = 1


class PartitionImage(NamedTuple):
    """State of one partition as the controller decided it (PartitionRegistration).

    `directories` is parallel to `replicas`; all DIRECTORY_MIGRATING below metadata.version 3.7-IV2.
    `elr` and `last_known_elr` are KIP-966's.
    """

    replicas: tuple[int, ...]
    directories: tuple[Uuid, ...]
    isr: tuple[int, ...]
    removing_replicas: tuple[int, ...]
    adding_replicas: tuple[int, ...]
    leader: int
    leader_recovery_state: int
    leader_epoch: int
    partition_epoch: int
    elr: tuple[int, ...] = ()
    last_known_elr: tuple[int, ...] = ()

    def directory(self, replica: int) -> Uuid:
        """The log directory of `replica`; DIRECTORY_MIGRATING if it is not a replica."""
        return self.directories[self.replicas.index(replica)] if replica in self.replicas else DIRECTORY_MIGRATING

    @property
    def is_reassigning(self) -> bool:
        return bool(self.removing_replicas or self.adding_replicas)


class TopicImage(NamedTuple):
    name: str
    id: Uuid
    partitions: Mapping[int, PartitionImage]


class TopicsImage:
    """All topics, by name and by id. Immutable; iterates over TopicImage in order of creation."""

    __slots__ = ("_by_id", "_by_name")

    def __init__(self, by_id: Mapping[Uuid, TopicImage], by_name: Mapping[str, TopicImage]) -> None:
        self._by_id = by_id
        self._by_name = by_name

    def get(self, name: str) -> TopicImage | None:
        return self._by_name.get(name)

    def by_id(self, topic_id: Uuid) -> TopicImage | None:
        return self._by_id.get(topic_id)

    def names(self) -> list[str]:
        return list(self._by_name)

    def partition(self, name: str, partition: int) -> PartitionImage | None:
        topic = self._by_name.get(name)
        return topic.partitions.get(partition) if topic else None

    @property
    def ids(self) -> Mapping[Uuid, TopicImage]:
        return self._by_id

    @property
    def by_name(self) -> Mapping[str, TopicImage]:
        return self._by_name

    def partitions(self) -> Iterator[tuple[TopicImage, int, PartitionImage]]:
        """All of all topics."""
        for topic in self:
            for index, partition in topic.partitions.items():
                yield topic, index, partition

    def __iter__(self) -> Iterator[TopicImage]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TopicsImage) and self._by_id == other._by_id

    __hash__ = None  # type: ignore[assignment]  # equality by value, and big

    def __repr__(self) -> str:
        return f"TopicsImage({len(self)} topics)"


EMPTY_TOPICS = TopicsImage({}, {})
