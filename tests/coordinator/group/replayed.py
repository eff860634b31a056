"""What of a shard's state must survive in the log, and the same read back from the log."""

from collections.abc import Callable
from typing import Any

from pykbroker.coordinator.group.classic_group import EMPTY, STABLE, ClassicGroup
from pykbroker.coordinator.group.consumer_group import ConsumerGroup
from pykbroker.coordinator.group.group_shard import GroupShard
from pykbroker.coordinator.group.share_group import ShareGroup
from pykbroker.coordinator.group.streams_group import StreamsGroup
from pykbroker.coordinator.log_records import EndTransaction, decode_batches
from pykbroker.ids import TopicPartition
from tests.coordinator.memory_log import MemoryLog


def replayed(log: MemoryLog, tp: TopicPartition, new_shard: Callable[[], GroupShard]) -> GroupShard:
    """A fresh shard that has read the whole log."""
    shard = new_shard()
    for batch in log.batches.get(tp, ()):
        for entry in decode_batches("group", batch):
            shard.timeline.offset = entry.offset
            if isinstance(entry.content, EndTransaction):
                shard.replay_end_transaction(entry.producer_id, entry.content.committed)
            elif entry.content is not None:
                shard.replay(entry.offset, entry.producer_id, entry.content)
    return shard


def persistent_state(shard: GroupShard, live: GroupShard) -> dict[str, Any]:
    """Of groups that rebalance in `live` only that they exist: until they are stable they live in memory."""
    groups: dict[str, Any] = {}
    for group in shard.groups:
        if isinstance(group, ConsumerGroup):
            groups[group.group_id] = consumer_state(group)
            continue
        if isinstance(group, StreamsGroup):
            groups[group.group_id] = streams_state(group)
            continue
        if isinstance(group, ShareGroup):
            groups[group.group_id] = share_state(group)
            continue
        if not isinstance(group, ClassicGroup):
            groups[group.group_id] = (group.group_type, group.is_empty)
            continue
        now = live.groups.get(group.group_id)
        settled = isinstance(now, ClassicGroup) and now.state in (EMPTY, STABLE)
        groups[group.group_id] = _group(group) if settled else "rebalancing"
    offsets = {group_id: dict(rows.items()) for group_id, rows in shard.offsets.offsets.groups()}
    return {"groups": groups, "offsets": offsets}


def consumer_state(group: ConsumerGroup) -> tuple[Any, ...]:
    """All of it, its indexes too."""
    return (
        group.epochs,
        dict(group.members.items()),
        dict(group.targets.items()),
        dict(group.patterns.items()),
        group.static_members,
        group.partition_epochs,
        group.regex_counts,
        group.classic_protocols,
        group.has_partition_metadata,
    )


def share_state(group: ShareGroup) -> tuple[Any, ...]:
    """All of it, its indexes too; but not since when something is being initialized, which a load begins anew."""
    states = group.states
    topics: Any = None
    if states is not None:
        topics = [
            {key: (row.name, row.partitions) for key, row in rows.items()}
            for rows in (states.initializing, states.initialized)
        ]
    return (
        group.epochs,
        dict(group.members.items()),
        dict(group.targets.items()),
        group.subscribers,
        group.assigned(),
        topics,
        states and states.deleting,
    )


def streams_state(group: StreamsGroup) -> tuple[Any, ...]:
    """All of it that is stored, and its indexes."""
    return (
        group.epochs,
        group.topology,
        dict(group.members.items()),
        dict(group.targets.items()),
        group.active_processes,
        group.standby_processes,
        group.warmup_processes,
    )


def _group(group: ClassicGroup) -> tuple[Any, ...]:
    members = {
        member.member_id: (
            member.instance_id,
            member.client_id,
            member.client_host,
            member.session_timeout_ms,
            member.rebalance_timeout_ms,
            member.metadata(group.protocol_name),
            member.assignment,
        )
        for member in group.members.values()
    }
    return (
        group.state,
        group.generation_id,
        group.protocol_type,
        group.protocol_name,
        group.leader_id,
        group.subscribed_topics,
        members,
    )
