"""What a server-side assignor is told, and what it answers (GroupSpec, SubscribedTopicDescriber, GroupAssignment)."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from pykbroker.coordinator.group.consumer_member import Partitions
from pykbroker.ids import Uuid


class SpecMember(NamedTuple):
    """A member as an assignor sees it; `target` is what it has been assigned so far."""

    topics: frozenset[Uuid]
    target: Partitions
    instance_id: str | None = None
    rack_id: str | None = None


class GroupSpec(NamedTuple):
    """`members` by id; `sizes`: number of partitions of each topic that is subscribed to, all of which exist."""

    members: Mapping[str, SpecMember]
    sizes: Mapping[Uuid, int]

    @property
    def is_homogeneous(self) -> bool:
        """Everyone subscribes to the same topics."""
        return len({member.topics for member in self.members.values()}) <= 1


Assignment = dict[str, dict[Uuid, set[int]]]
Assignor = Callable[[GroupSpec], Assignment]
