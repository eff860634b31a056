"""OffsetFetch (9): how far groups have read. KIP-447, 709, 848. Kafka: KafkaApis.handleOffsetFetchRequest."""

from pykbroker.coordinator.group.offset_and_metadata import INVALID_OFFSET
from pykbroker.errors import KafkaError
from pykbroker.ids import ZERO_UUID
from pykbroker.metadata.topics import TopicsImage
from pykbroker.pending import SLICE, pause_after
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)
from pykbroker.request import RequestContext, Services

# A partition asked for takes four bytes, its answer twenty times as much.
MAX_PARTITIONS = 200_000
FIRST_VERSION_WITH_TOP_LEVEL_ERROR = 2
FIRST_VERSION_WITH_GROUPS = 8
FIRST_VERSION_WITH_TOPIC_IDS = 10


async def handle(broker: Services, ctx: RequestContext, request: OffsetFetchRequest) -> OffsetFetchResponse:
    """Raises KafkaError."""
    rows = []
    groups = _groups(request, ctx.api_version)
    if sum(len(topic.partition_indexes) for group in groups for topic in group.topics or ()) > MAX_PARTITIONS:
        raise KafkaError(ErrorCode.INVALID_REQUEST)
    for group in groups:
        try:
            rows.append(await _fetch(broker, ctx, group, request.require_stable))
        except KafkaError as error:
            rows.append(_group_error(group, error.code, ctx.api_version))
        await pause_after(len(rows))
    return _response(rows, ctx.api_version)


def error_response(request: OffsetFetchRequest, error: KafkaError, version: int) -> OffsetFetchResponse:
    return _response([_group_error(group, error.code, version) for group in _groups(request, version)], version)


async def _fetch(
    broker: Services, ctx: RequestContext, group: OffsetFetchRequestGroup, require_stable: bool
) -> OffsetFetchResponseGroup:
    topics = broker.image.topics
    use_ids = ctx.api_version >= FIRST_VERSION_WITH_TOPIC_IDS
    unknown = _resolve(group, topics) if use_ids and group.topics is not None else []
    everything = group.topics is None
    if sum(len(topic.partition_indexes) for topic in group.topics or ()) > SLICE:
        response = await _fetch_in_parts(broker, ctx, group, require_stable)
    else:
        response = await broker.groups.offset_fetch(ctx, group, require_stable)
    if use_ids and everything:
        response.topics = [topic for topic in response.topics if _set_id(topic, topics)]
    response.topics.extend(unknown)
    return response


async def _fetch_in_parts(
    broker: Services, ctx: RequestContext, group: OffsetFetchRequestGroup, require_stable: bool
) -> OffsetFetchResponseGroup:
    """Some partitions of a topic at a time, the others go on in between."""
    response = OffsetFetchResponseGroup(group_id=group.group_id)
    rows = response.topics
    for topic in group.topics or ():
        indexes = topic.partition_indexes
        for start in range(0, max(1, len(indexes)), SLICE):
            some = OffsetFetchRequestTopics(
                name=topic.name, topic_id=topic.topic_id, partition_indexes=indexes[start : start + SLICE]
            )
            part = OffsetFetchRequestGroup(
                group_id=group.group_id, member_id=group.member_id, member_epoch=group.member_epoch, topics=[some]
            )
            (row,) = (await broker.groups.offset_fetch(ctx, part, require_stable)).topics
            if start:
                rows[-1].partitions += row.partitions
            else:
                rows.append(row)
            await pause_after(SLICE if len(some.partition_indexes) == SLICE else len(rows))
    return response


def _resolve(group: OffsetFetchRequestGroup, topics: TopicsImage) -> list[OffsetFetchResponseTopics]:
    """Finds the names of the topics asked for by id; returns the answers for those that do not exist."""
    known, unknown = [], []
    for topic in group.topics or ():
        image = topics.by_id(topic.topic_id)
        if image is None:
            unknown.append(_failed_topic(topic, ErrorCode.UNKNOWN_TOPIC_ID, metadata=""))
        else:
            topic.name = image.name
            known.append(topic)
    group.topics = known
    return unknown


def _set_id(topic: OffsetFetchResponseTopics, topics: TopicsImage) -> bool:
    """False: the topic is gone, so it has no id to tell."""
    image = topics.get(topic.name)
    topic.topic_id = image.id if image is not None else ZERO_UUID
    return image is not None


def _groups(request: OffsetFetchRequest, version: int) -> list[OffsetFetchRequestGroup]:
    """The groups asked for; before version 8 there is one, in the request itself."""
    if version >= FIRST_VERSION_WITH_GROUPS:
        return request.groups
    topics = None
    if request.topics is not None:
        topics = [
            OffsetFetchRequestTopics(name=topic.name, partition_indexes=topic.partition_indexes)
            for topic in request.topics
        ]
    return [OffsetFetchRequestGroup(group_id=request.group_id, topics=topics)]


def _group_error(group: OffsetFetchRequestGroup, code: int, version: int) -> OffsetFetchResponseGroup:
    """Version 1 has no place for the error but the partitions."""
    if version >= FIRST_VERSION_WITH_TOP_LEVEL_ERROR:
        return OffsetFetchResponseGroup(group_id=group.group_id, error_code=code, topics=[])
    topics = [_failed_topic(topic, code, metadata="") for topic in group.topics or ()]
    return OffsetFetchResponseGroup(group_id=group.group_id, topics=topics)


def _failed_topic(topic: OffsetFetchRequestTopics, code: int, metadata: str) -> OffsetFetchResponseTopics:
    rows = [
        OffsetFetchResponsePartitions(
            partition_index=index, committed_offset=INVALID_OFFSET, metadata=metadata, error_code=code
        )
        for index in topic.partition_indexes
    ]
    return OffsetFetchResponseTopics(name=topic.name, topic_id=topic.topic_id, partitions=rows)


def _response(groups: list[OffsetFetchResponseGroup], version: int) -> OffsetFetchResponse:
    if version >= FIRST_VERSION_WITH_GROUPS:
        return OffsetFetchResponse(groups=groups)
    (group,) = groups
    topics = [
        OffsetFetchResponseTopic(
            name=topic.name,
            partitions=[
                OffsetFetchResponsePartition(
                    partition_index=row.partition_index,
                    committed_offset=row.committed_offset,
                    committed_leader_epoch=row.committed_leader_epoch,
                    metadata=row.metadata,
                    error_code=row.error_code,
                )
                for row in topic.partitions
            ],
        )
        for topic in group.topics
    ]
    return OffsetFetchResponse(topics=topics, error_code=group.error_code)
