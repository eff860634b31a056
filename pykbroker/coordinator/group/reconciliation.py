"""The next step of a member towards its target assignment (CurrentAssignmentBuilder, KIP-848).

First it gives back what is no longer its own, and stays in its epoch until it says it has; then it moves to the epoch
of the target assignment and gets what nobody else owns any more.
"""

from collections.abc import Mapping
from typing import NamedTuple

from pykbroker.coordinator.group.consumer_member import ConsumerMember, MemberState, OwnedPartitions, Partitions
from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode

Owned = dict[Uuid, dict[int, int]]


class Step(NamedTuple):
    """`subscribed`: topics it subscribes to; `reported`: what it says it owns, None when it says nothing.

    `partition_epochs`: which partitions are anybody's. `changed`: its subscription has changed just now.
    """

    target_epoch: int
    target: Partitions
    subscribed: frozenset[Uuid]
    partition_epochs: Mapping[tuple[Uuid, int], int]
    reported: Partitions | None
    changed: bool


def reconcile(member: ConsumerMember, step: Step) -> ConsumerMember:
    """The member after the step; itself when it cannot move. Raises KafkaError FENCED_MEMBER_EPOCH."""
    if not step.changed and member.is_reconciled_to(step.target_epoch):
        return member
    if member.state == MemberState.STABLE and member.epoch == step.target_epoch:
        return _without_unsubscribed(member, step)
    if member.state == MemberState.UNREVOKED_PARTITIONS and _still_owns(member.revoking, step):
        return _without_unsubscribed(member, step) if step.changed else member
    if member.state == MemberState.UNKNOWN and (step.reported is None or step.reported):
        raise KafkaError(
            ErrorCode.FENCED_MEMBER_EPOCH,
            "The consumer group member is in a unknown state. The member must abandon all its partitions and rejoin.",
        )
    return _advanced(member, step)


def _still_owns(revoking: OwnedPartitions, step: Step) -> bool:
    """A member that does not say what it owns may own everything."""
    if step.reported is None:
        return True
    return any(not rows.isdisjoint(revoking.get(topic_id, {})) for topic_id, rows in step.reported.items())


def _without_unsubscribed(member: ConsumerMember, step: Step) -> ConsumerMember:
    """Topics it does not subscribe to any more are taken away at once, before there is a new target assignment."""
    gone = [topic_id for topic_id in member.owned if topic_id not in step.subscribed]
    if not gone:
        return member
    owned = {topic_id: rows for topic_id, rows in member.owned.items() if topic_id in step.subscribed}
    revoking: Owned = {topic_id: dict(rows) for topic_id, rows in member.revoking.items()}
    for topic_id in gone:
        revoking.setdefault(topic_id, {}).update(member.owned[topic_id])
    moved = member.moved_to(member.epoch)._replace(owned=owned)
    if _still_owns(revoking, step):
        return moved._replace(state=MemberState.UNREVOKED_PARTITIONS, revoking=revoking)
    return moved


def _advanced(member: ConsumerMember, step: Step) -> ConsumerMember:
    owned: Owned = {}
    revoking: Owned = {}
    pending: dict[Uuid, list[int]] = {}
    waits = False
    for topic_id in {**dict.fromkeys(step.target), **dict.fromkeys(member.owned)}:
        target = step.target.get(topic_id, frozenset()) if topic_id in step.subscribed else frozenset()
        has = member.owned.get(topic_id, {})
        _put(owned, topic_id, {partition: epoch for partition, epoch in has.items() if partition in target})
        _put(revoking, topic_id, {partition: epoch for partition, epoch in has.items() if partition not in target})
        free = [p for p in sorted(target) if p not in has and _is_free(member, step, topic_id, p)]
        waits = waits or len(free) < sum(partition not in has for partition in target)
        if free:
            pending[topic_id] = free
    if revoking and _still_owns(revoking, step):
        epoch = step.target_epoch if member.state == MemberState.UNKNOWN else member.epoch
        return member.moved_to(epoch)._replace(state=MemberState.UNREVOKED_PARTITIONS, owned=owned, revoking=revoking)
    for topic_id, partitions in pending.items():
        owned.setdefault(topic_id, {}).update(dict.fromkeys(partitions, step.target_epoch))
    state = MemberState.UNRELEASED_PARTITIONS if waits else MemberState.STABLE
    return member.moved_to(step.target_epoch)._replace(state=state, owned=owned, revoking={})


def _is_free(member: ConsumerMember, step: Step, topic_id: Uuid, partition: int) -> bool:
    """Nobody's, or its own until now."""
    return (topic_id, partition) not in step.partition_epochs or partition in member.revoking.get(topic_id, {})


def _put(owned: Owned, topic_id: Uuid, rows: dict[int, int]) -> None:
    if rows:
        owned[topic_id] = rows
