"""OffsetCommit (8): how far a group has read. KIP-211, 345, 848. Kafka: KafkaApis.handleOffsetCommitRequest."""

from pykbroker.coordinator.group.service import commit_error
from pykbroker.errors import KafkaError
from pykbroker.ids import ZERO_UUID, Uuid
from pykbroker.metadata.topics import TopicImage
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from pykbroker.request import RequestContext, Services

FIRST_VERSION_WITH_TOPIC_IDS = 10

Rows = dict[str | Uuid, OffsetCommitResponseTopic]


async def handle(broker: Services, ctx: RequestContext, request: OffsetCommitRequest) -> OffsetCommitResponse:
    use_ids = ctx.api_version >= FIRST_VERSION_WITH_TOPIC_IDS
    unknown = ErrorCode.UNKNOWN_TOPIC_ID if use_ids else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    rows: Rows = {}
    known = []
    topics = broker.image.topics
    for topic in request.topics:
        image = topics.by_id(topic.topic_id) if use_ids else topics.get(topic.name)
        if image is None:
            _add(rows, use_ids, topic.name, topic.topic_id, topic.partitions, unknown)
            continue
        topic.name, topic.topic_id = image.name, image.id
        topic.partitions = _existing(rows, use_ids, topic, image)
        if topic.partitions:
            known.append(topic)
    if not known:
        return OffsetCommitResponse(topics=list(rows.values()))
    request.topics = known
    response = await broker.groups.offset_commit(ctx, request)
    if not rows and len(known) == 1:
        return response  # nothing to merge with
    _merge(rows, use_ids, response.topics)
    return OffsetCommitResponse(topics=list(rows.values()))


def error_response(request: OffsetCommitRequest, error: KafkaError, version: int) -> OffsetCommitResponse:
    return commit_error(request, error.code)


def _existing(
    rows: Rows, use_ids: bool, topic: OffsetCommitRequestTopic, image: TopicImage
) -> list[OffsetCommitRequestPartition]:
    """The partitions that exist; the others get their error."""
    partitions = image.partitions
    for row in topic.partitions:
        if row.partition_index not in partitions:
            break
    else:
        return topic.partitions
    missing = [row for row in topic.partitions if row.partition_index not in partitions]
    _add(rows, use_ids, image.name, image.id, missing, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    return [row for row in topic.partitions if row.partition_index in partitions]


def _add(
    rows: Rows, use_ids: bool, name: str, topic_id: Uuid, partitions: list[OffsetCommitRequestPartition], code: int
) -> None:
    answers = [
        OffsetCommitResponsePartition(partition_index=row.partition_index, error_code=code) for row in partitions
    ]
    topic = OffsetCommitResponseTopic(name=name, topic_id=topic_id if use_ids else ZERO_UUID, partitions=answers)
    _merge(rows, use_ids, [topic])


def _merge(rows: Rows, use_ids: bool, topics: list[OffsetCommitResponseTopic]) -> None:
    """A topic comes once in the answer, whatever became of its partitions."""
    for topic in topics:
        existing = rows.setdefault(topic.topic_id if use_ids else topic.name, topic)
        if existing is not topic:
            existing.partitions.extend(topic.partitions)
