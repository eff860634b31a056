"""Records of consumer, share and streams groups → groups (GroupMetadataManager.replay): what is alike in the three.

Nothing is refused: after compaction the log may tell things in an order in which they never happened.
"""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from pykbroker.coordinator.group.classic_group import ClassicGroup
from pykbroker.coordinator.shard import CoordinatorRecord

if TYPE_CHECKING:
    from pykbroker.coordinator.group.consumer_group import ConsumerGroup
    from pykbroker.coordinator.group.groups import Group, Groups
    from pykbroker.coordinator.group.share_group import ShareGroup
    from pykbroker.coordinator.group.streams_group import StreamsGroup
    from pykbroker.coordinator.timeline import Timeline

logger = logging.getLogger(__name__)

G = TypeVar("G", bound="ConsumerGroup | ShareGroup | StreamsGroup")

# Does to a group what a record says: the group, the record's key, its value (None: a tombstone).
Step = Callable[[Any, Any, Any], None]

NO_EPOCH = -1


class GroupReplay(Generic[G]):
    """`prefix`: what the names of all records of these groups begin with; `steps` by the rest of the names.

    `replaces_simple_groups`: a classic group in the way is the simple one that an offset commit read before has made.
    """

    def __init__(
        self, prefix: str, new_group: type[G], steps: Mapping[str, Step], *, replaces_simple_groups: bool = True
    ) -> None:
        self.prefix = prefix
        self._new_group = new_group
        self._steps = steps
        self._replaces_simple_groups = replaces_simple_groups

    def concerns(self, record: CoordinatorRecord) -> bool:
        return type(record.key).__name__.startswith(self.prefix)

    def replay(self, groups: "Groups", timeline: "Timeline", record: CoordinatorRecord) -> None:
        key = cast("Any", record.key)
        group = self._group(groups, timeline, key.group_id, create=record.value is not None)
        if group is None:
            return
        name = type(key).__name__.removeprefix(self.prefix).removesuffix("Key")
        if name == "Metadata" and record.value is None:
            groups.remove(group.group_id)
        else:
            self._steps[name](group, key, record.value)

    def _group(self, groups: "Groups", timeline: "Timeline", group_id: str, *, create: bool) -> G | None:
        existing = groups.get(group_id)
        if isinstance(existing, self._new_group):
            return existing
        if not create:
            return None
        if existing is not None and not self._may_replace(existing):
            logger.error("A %s record of group %s is passed over: it is %r", self.prefix, group_id, existing)
            return None
        group = self._new_group(group_id, timeline)
        groups.put(group)
        return group

    def _may_replace(self, existing: "Group") -> bool:
        return self._replaces_simple_groups and isinstance(existing, ClassicGroup) and existing.protocol_type is None


def member_metadata(new_member: Callable[[str], Any], with_metadata: Callable[[Any, Any], Any]) -> Step:
    def step(group: Any, key: Any, value: Any) -> None:
        if value is None:
            group.remove_member(key.member_id)
        else:
            group.put_member(with_metadata(group.members.get(key.member_id) or new_member(key.member_id), value))

    return step


def current_assignment(
    new_member: Callable[[str], Any], with_current_assignment: Callable[[Any, Any], Any], **nothing: object
) -> Step:
    """`nothing`: what a member without an assignment has."""

    def step(group: Any, key: Any, value: Any) -> None:
        member = group.members.get(key.member_id)
        if value is not None:
            group.put_member(with_current_assignment(member or new_member(key.member_id), value))
        elif member is not None:
            group.put_member(member._replace(epoch=NO_EPOCH, previous_epoch=NO_EPOCH, **nothing))

    return step


def target_assignment(target_of: Callable[[Any], Any]) -> Step:
    def step(group: Any, key: Any, value: Any) -> None:
        if value is None:
            group.targets.pop(key.member_id)
        else:
            group.targets[key.member_id] = target_of(value)

    return step


def target_epoch(group: Any, key: Any, value: Any) -> None:
    if value is None:
        group.epochs = group.epochs._replace(assignment=NO_EPOCH, assigned_at=0)
    else:
        group.epochs = group.epochs._replace(assignment=value.assignment_epoch, assigned_at=value.assignment_timestamp)


def group_epoch(group: Any, key: Any, value: Any) -> None:
    group.epochs = group.epochs._replace(group=value.epoch, metadata_hash=value.metadata_hash)
