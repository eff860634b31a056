"""DescribeTopicPartitions (75): topics in order of name, so many partitions at a time, with their ELR. KIP-966."""

from pykbroker.errors import KafkaError
from pykbroker.handlers.cluster_view import all_operations, leader_of, offline_replicas
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.topic_names import is_internal, why_invalid
from pykbroker.metadata.topics import PartitionImage, TopicImage
from pykbroker.protocol.enums import ResourceType
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)
from pykbroker.request import RequestContext, Services


async def handle(
    broker: Services, ctx: RequestContext, request: DescribeTopicPartitionsRequest
) -> DescribeTopicPartitionsResponse:
    """Raises KafkaError."""
    image = broker.image
    names, first = asked_topics(image, request)
    remaining = max(min(broker.config.max_request_partition_size_limit, request.response_partition_limit), 1)
    response = DescribeTopicPartitionsResponse()
    for name in names:
        if not remaining:
            response.next_cursor = Cursor(topic_name=name, partition_index=0)
            break
        topic = image.topics.get(name)
        if topic is None:
            response.topics.append(unknown_topic(name))
            continue
        start = first if request.cursor is not None and name == request.cursor.topic_name else 0
        end = min(len(topic.partitions), start + remaining)
        response.topics.append(topic_row(ctx, image, topic, start, end))
        if end < len(topic.partitions):
            response.next_cursor = Cursor(topic_name=name, partition_index=end)
            break
        remaining -= max(end - start, 0)
    return response


def asked_topics(image: MetadataImage, request: DescribeTopicPartitionsRequest) -> tuple[list[str], int]:
    """Names from the cursor on, in order, and the first partition of the cursor's topic. Raises KafkaError."""
    names = {topic.name for topic in request.topics} if request.topics else set(image.topics.by_name)
    cursor = request.cursor
    if cursor is None:
        return sorted(names), 0
    names = {name for name in names if name >= cursor.topic_name}
    if request.topics and cursor.topic_name not in names:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"DescribeTopicPartitionsRequest topic list should contain the cursor topic: {cursor.topic_name}",
        )
    if cursor.partition_index < 0:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"DescribeTopicPartitionsRequest cursor partition must be valid: {cursor}",
        )
    return sorted(names), cursor.partition_index


def unknown_topic(name: str) -> DescribeTopicPartitionsResponseTopic:
    return DescribeTopicPartitionsResponseTopic(
        error_code=ErrorCode.INVALID_TOPIC_EXCEPTION if why_invalid(name) else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        name=name,
        is_internal=is_internal(name),
        topic_authorized_operations=all_operations(ResourceType.TOPIC),
    )


def topic_row(
    ctx: RequestContext, image: MetadataImage, topic: TopicImage, start: int, end: int
) -> DescribeTopicPartitionsResponseTopic:
    return DescribeTopicPartitionsResponseTopic(
        name=topic.name,
        topic_id=topic.id,
        is_internal=is_internal(topic.name),
        partitions=[partition_row(ctx, image, index, topic.partitions[index]) for index in range(start, end)],
        topic_authorized_operations=all_operations(ResourceType.TOPIC),
    )


def partition_row(
    ctx: RequestContext, image: MetadataImage, index: int, partition: PartitionImage
) -> DescribeTopicPartitionsResponsePartition:
    return DescribeTopicPartitionsResponsePartition(
        partition_index=index,
        leader_id=leader_of(ctx, image, partition),
        leader_epoch=partition.leader_epoch,
        replica_nodes=list(partition.replicas),
        isr_nodes=list(partition.isr),
        eligible_leader_replicas=list(partition.elr),
        last_known_elr=list(partition.last_known_elr),
        offline_replicas=offline_replicas(ctx, image, partition),
    )


def error_response(
    request: DescribeTopicPartitionsRequest, error: KafkaError, version: int
) -> DescribeTopicPartitionsResponse:
    """Every topic gets the error (DescribeTopicPartitionsRequest.getErrorResponse)."""
    return DescribeTopicPartitionsResponse(
        topics=[
            DescribeTopicPartitionsResponseTopic(error_code=error.code, name=topic.name) for topic in request.topics
        ]
    )
