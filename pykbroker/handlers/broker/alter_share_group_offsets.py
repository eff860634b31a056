"""AlterShareGroupOffsets (91): where the partitions of an empty share group start from now on. KIP-932.

Kafka: KafkaApis.handleAlterShareGroupOffsetsRequest.
"""

from pykbroker.coordinator.group.share_errors import message_for
from pykbroker.errors import KafkaError
from pykbroker.handlers.share_protocol import require_share_protocol
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.alter_share_group_offsets import (
    AlterShareGroupOffsetsRequest,
    AlterShareGroupOffsetsRequestTopic,
    AlterShareGroupOffsetsResponse,
    AlterShareGroupOffsetsResponsePartition,
    AlterShareGroupOffsetsResponseTopic,
)
from pykbroker.request import RequestContext, Services


async def handle(
    broker: Services, ctx: RequestContext, request: AlterShareGroupOffsetsRequest
) -> AlterShareGroupOffsetsResponse:
    """Raises KafkaError."""
    require_share_protocol(broker)
    topics = broker.image.topics
    refused = [_refusal(topic) for topic in request.topics if topic.topic_name not in topics]
    known = [topic for topic in request.topics if topic.topic_name in topics]
    altered = await broker.share_groups.alter_offsets(
        AlterShareGroupOffsetsRequest(group_id=request.group_id, topics=known)
    )
    return AlterShareGroupOffsetsResponse(responses=[*refused, *altered])


def _refusal(topic: AlterShareGroupOffsetsRequestTopic) -> AlterShareGroupOffsetsResponseTopic:
    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return AlterShareGroupOffsetsResponseTopic(
        topic_name=topic.topic_name,
        partitions=[
            AlterShareGroupOffsetsResponsePartition(
                partition_index=row.partition_index, error_code=code, error_message=message_for(code)
            )
            for row in topic.partitions
        ],
    )


def error_response(
    request: AlterShareGroupOffsetsRequest, error: KafkaError, version: int
) -> AlterShareGroupOffsetsResponse:
    return AlterShareGroupOffsetsResponse(error_code=error.code, error_message=error.message or message_for(error.code))
