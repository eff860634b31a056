"""DeleteRecords (21): moves log start offsets. KIP-107. (KafkaApis.handleDeleteRecordsRequest)"""

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.delete_records import (
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)
from pykbroker.request import RequestContext, Services

INTERNAL_TOPICS = frozenset(("__consumer_offsets", "__transaction_state", "__share_group_state"))


async def handle(broker: Services, ctx: RequestContext, request: DeleteRecordsRequest) -> DeleteRecordsResponse:
    """Of several entries for one partition the last counts."""
    asked: dict[str, dict[int, int]] = {}
    for topic in request.topics:
        asked.setdefault(topic.name, {}).update((p.partition_index, p.offset) for p in topic.partitions)
    return DeleteRecordsResponse(
        topics=[
            DeleteRecordsTopicResult(
                name=name, partitions=[delete(broker, name, index, offset) for index, offset in offsets.items()]
            )
            for name, offsets in asked.items()
        ]
    )


def delete(broker: Services, topic: str, index: int, offset: int) -> DeleteRecordsPartitionResult:
    try:
        if topic in INTERNAL_TOPICS and broker.replicas.knows(topic, index):
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Cannot delete records of internal topic {topic}")
        low_watermark = broker.replicas.partition(TopicPartition(topic, index)).delete_records_before(offset)
    except KafkaError as error:
        return DeleteRecordsPartitionResult(partition_index=index, low_watermark=-1, error_code=error.code)
    return DeleteRecordsPartitionResult(partition_index=index, low_watermark=low_watermark)


def error_response(request: DeleteRecordsRequest, error: KafkaError, version: int) -> DeleteRecordsResponse:
    """Every partition gets the error (DeleteRecordsRequest.getErrorResponse)."""
    return DeleteRecordsResponse(
        topics=[
            DeleteRecordsTopicResult(
                name=topic.name,
                partitions=[
                    DeleteRecordsPartitionResult(p.partition_index, low_watermark=-1, error_code=error.code)
                    for p in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
