"""Metadata (3): brokers, topics, partitions; creates topics that are asked for by name. KIP-516, KIP-700, KIP-1102."""

from typing import Final

from pykbroker.errors import KafkaError
from pykbroker.handlers.cluster_view import (
    all_operations,
    any_alive_broker,
    leader_of,
    nodes,
    offline_replicas,
    reachable,
)
from pykbroker.ids import ZERO_UUID
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.topic_names import is_internal, why_invalid
from pykbroker.metadata.topics import NO_LEADER, PartitionImage, TopicImage
from pykbroker.pending import pause_after
from pykbroker.protocol.enums import ResourceType
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.metadata import (
    MetadataRequest,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from pykbroker.request import RequestContext, Services

LISTENER_NOT_FOUND_FROM: Final = 6
TOPIC_IDS_FROM: Final = 12
ERROR_CODE_FROM: Final = 13


async def handle(broker: Services, ctx: RequestContext, request: MetadataRequest) -> MetadataResponse:
    """Raises KafkaError."""
    asks_all = request.topics is None or (ctx.api_version == 0 and not request.topics)
    unknown: list[MetadataResponseTopic] = []
    image = broker.image
    if asks_all:
        names = image.topics.names()
    else:
        check_topics(request, ctx.api_version)
        names, unknown = asked_topics(image, request)
        missing = [name for name in names if name not in image.topics]
        if missing and request.allow_auto_topic_creation and broker.config.auto_create_topics_enable:
            # As in Kafka the answer is still UNKNOWN_TOPIC_OR_PARTITION and the client asks again: one that has just
            # deleted the topic must not be told of it, newly created by its own question.
            await broker.topic_creation.create(ctx, missing)
    topics = []
    for name in names:
        topics.append(topic_row(ctx, image, name))
        await pause_after(len(topics))
    if request.include_topic_authorized_operations:
        for row in topics:
            row.topic_authorized_operations = all_operations(ResourceType.TOPIC)
    response = MetadataResponse(
        brokers=[
            MetadataResponseBroker(node.id, node.host, node.port, node.rack)
            for node in nodes(broker, ctx, image)
            if not node.is_fenced
        ],
        cluster_id=broker.cluster_id,
        controller_id=any_alive_broker(image),
        topics=unknown + topics,
    )
    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = all_operations(ResourceType.CLUSTER)
    return response


def check_topics(request: MetadataRequest, version: int) -> None:
    """Raises KafkaError for what only the schema allows: ids in versions 10 and 11, neither name nor id."""
    topics = request.topics or ()
    if version >= TOPIC_IDS_FROM:
        if all(t.topic_id == ZERO_UUID for t in topics) and any(t.name is None for t in topics):
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)
        return
    for topic in topics:
        if topic.name is None:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Topic name can not be null for version {version}")
        if topic.topic_id != ZERO_UUID:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST, f"Topic IDs are not supported in requests for version {version}"
            )


def asked_topics(image: MetadataImage, request: MetadataRequest) -> tuple[list[str], list[MetadataResponseTopic]]:
    """Names without repetition, and the rows of unknown ids. With one id, names do not count."""
    topics = request.topics or []
    ids = dict.fromkeys(topic.topic_id for topic in topics if topic.topic_id != ZERO_UUID)
    if not ids:
        return list(dict.fromkeys(topic.name for topic in topics if topic.name is not None)), []
    known = [topic.name for topic in map(image.topics.by_id, ids) if topic is not None]
    unknown = [
        MetadataResponseTopic(error_code=ErrorCode.UNKNOWN_TOPIC_ID, name=None, topic_id=topic_id)
        for topic_id in ids
        if image.topics.by_id(topic_id) is None
    ]
    return known, unknown


def topic_row(ctx: RequestContext, image: MetadataImage, name: str) -> MetadataResponseTopic:
    topic = image.topics.get(name)
    if topic is None:
        code = ErrorCode.INVALID_TOPIC_EXCEPTION if why_invalid(name) else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return MetadataResponseTopic(error_code=code, name=name, is_internal=is_internal(name))
    return known_topic_row(ctx, image, topic)


def known_topic_row(ctx: RequestContext, image: MetadataImage, topic: TopicImage) -> MetadataResponseTopic:
    return MetadataResponseTopic(
        name=topic.name,
        topic_id=topic.id,
        is_internal=is_internal(topic.name),
        partitions=[partition_row(ctx, image, index, partition) for index, partition in topic.partitions.items()],
    )


def partition_row(
    ctx: RequestContext, image: MetadataImage, index: int, partition: PartitionImage
) -> MetadataResponsePartition:
    replicas, isr = list(partition.replicas), list(partition.isr)
    if ctx.api_version == 0:  # its clients know no offline replicas
        replicas, isr = reachable(ctx, image, replicas), reachable(ctx, image, isr)
    leader = leader_of(ctx, image, partition)
    error = ErrorCode.NONE
    if leader == NO_LEADER:
        lacks_listener = partition.leader in image.brokers and ctx.api_version >= LISTENER_NOT_FOUND_FROM
        error = ErrorCode.LISTENER_NOT_FOUND if lacks_listener else ErrorCode.LEADER_NOT_AVAILABLE
    elif len(replicas) < len(partition.replicas) or len(isr) < len(partition.isr):
        error = ErrorCode.REPLICA_NOT_AVAILABLE
    return MetadataResponsePartition(
        error_code=error,
        partition_index=index,
        leader_id=leader,
        leader_epoch=partition.leader_epoch,
        replica_nodes=replicas,
        isr_nodes=isr,
        offline_replicas=offline_replicas(ctx, image, partition),
    )


def error_response(request: MetadataRequest, error: KafkaError, version: int) -> MetadataResponse:
    """Every topic gets the error (MetadataRequest.getErrorResponse)."""
    response = MetadataResponse(
        topics=[
            MetadataResponseTopic(error_code=error.code, name=topic.name or "", topic_id=topic.topic_id)
            for topic in request.topics or ()
        ]
    )
    if version >= ERROR_CODE_FROM:
        response.error_code = error.code
    return response
