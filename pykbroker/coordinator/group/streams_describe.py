"""How a streams group looks in StreamsGroupDescribe, as far as it is committed (StreamsGroup.asDescribedGroup)."""

from collections.abc import Iterable, Mapping

from pykbroker.coordinator.group.java_order import grown_table, java_order, string_hash
from pykbroker.coordinator.group.streams_configured_topology import (
    ConfiguredInternalTopic,
    ConfiguredSubtopology,
    ConfiguredTopology,
)
from pykbroker.coordinator.group.streams_group import StreamsGroup
from pykbroker.coordinator.group.streams_member import StreamsMember
from pykbroker.coordinator.group.streams_tasks import Tasks
from pykbroker.coordinator.group.streams_topology import InternalTopic
from pykbroker.coordinator.group.streams_topology import Subtopology as ToldSubtopology
from pykbroker.coordinator.group.streams_topology import Topology as ToldTopology
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.streams_group_describe import (
    Assignment,
    DescribedGroup,
    Endpoint,
    KeyValue,
    Member,
    Subtopology,
    TaskIds,
    TopicInfo,
    Topology,
)


def described_streams(group: StreamsGroup) -> DescribedGroup:
    """Raises KafkaError UNKNOWN_SERVER_ERROR for a group whose topology record is lost, as Kafka."""
    epochs, members = group.committed_epochs, group.committed_members()
    return DescribedGroup(
        group_id=group.group_id,
        group_state=group.committed_state,
        group_epoch=epochs.group,
        assignment_epoch=epochs.assignment,
        topology=_topology(group),
        members=[_member(member, group.targets.committed_get(member.member_id)) for member in members],
    )


def _topology(group: StreamsGroup) -> Topology:
    """With the numbers of partitions that came of the topics that there are, once all of them are there."""
    configured = group.configured_topology()
    if configured is not None and configured.is_ready:
        return _configured(configured)
    told = group.committed_topology
    if told is None:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)
    return _told(told)


def _configured(topology: ConfiguredTopology) -> Topology:
    rows = topology.subtopologies or {}
    return Topology(epoch=topology.epoch, subtopologies=[_configured_row(key, row) for key, row in rows.items()])


def _configured_row(key: str, row: ConfiguredSubtopology) -> Subtopology:
    return Subtopology(
        subtopology_id=key,
        source_topics=sorted(row.source_topics),
        repartition_sink_topics=sorted(row.repartition_sinks),
        repartition_source_topics=_topics(row.repartition_sources.values(), hashed=True),
        state_changelog_topics=_topics(row.changelogs.values(), hashed=True),
    )


def _told(topology: ToldTopology) -> Topology:
    rows = topology.subtopologies
    return Topology(epoch=topology.epoch, subtopologies=[_told_row(rows[key]) for key in sorted(rows)])


def _told_row(row: ToldSubtopology) -> Subtopology:
    return Subtopology(
        subtopology_id=row.subtopology_id,
        source_topics=sorted(row.source_topics),
        repartition_sink_topics=sorted(row.repartition_sinks),
        repartition_source_topics=_topics(row.repartition_sources, hashed=False),
        state_changelog_topics=_topics(row.changelogs, hashed=False),
    )


def _topics(topics: Iterable[InternalTopic | ConfiguredInternalTopic], *, hashed: bool) -> list[TopicInfo]:
    """By name. `hashed`: configs in the order of Kafka's HashMap, else as the member told them."""
    return [
        TopicInfo(
            name=topic.name,
            partitions=topic.partitions,
            replication_factor=topic.replication_factor,
            topic_configs=_configs(topic.configs, hashed),
        )
        for topic in sorted(topics)
    ]


def _configs(configs: tuple[tuple[str, str], ...], hashed: bool) -> list[KeyValue]:
    values = dict(configs)
    keys = java_order(values, string_hash, grown_table(len(values))) if hashed else list(values)
    return [KeyValue(key=key, value=values[key]) for key in keys]


def _member(member: StreamsMember, target: Tasks | None) -> Member:
    endpoint = member.user_endpoint
    held = member.held
    tags = dict(member.client_tags)
    return Member(
        member_id=member.member_id,
        member_epoch=member.epoch,
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        client_id=member.client_id,
        client_host=member.client_host,
        topology_epoch=member.topology_epoch,
        process_id=member.process_id,
        user_endpoint=None if endpoint is None else Endpoint(host=endpoint.host, port=endpoint.port),
        client_tags=[
            KeyValue(key=key, value=tags[key]) for key in java_order(tags, string_hash, grown_table(len(tags)))
        ],
        assignment=_assignment(held.active, held.standby, held.warmup),
        target_assignment=_assignment(*(target or Tasks())),
    )


def _assignment(
    active: Mapping[str, Iterable[int]], standby: Mapping[str, Iterable[int]], warmup: Mapping[str, Iterable[int]]
) -> Assignment:
    return Assignment(active_tasks=_rows(active), standby_tasks=_rows(standby), warmup_tasks=_rows(warmup))


def _rows(tasks: Mapping[str, Iterable[int]]) -> list[TaskIds]:
    return [TaskIds(subtopology_id=key, partitions=sorted(tasks[key])) for key in sorted(tasks)]
