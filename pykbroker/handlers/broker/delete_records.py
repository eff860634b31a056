"""DeleteRecords (21): moves log start offsets. KIP-107. (KafkaApis.handleDeleteRecordsRequest)"""

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.delete_records import (
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)
from pykbroker.replica.partition import Partition
from pykbroker.request import RequestContext, Services

INTERNAL_TOPICS = frozenset(("__consumer_offsets", "__transaction_state", "__share_group_state"))


async def handle(broker: Services, ctx: RequestContext, request: DeleteRecordsRequest) -> DeleteRecordsResponse:
    """Of several entries for one partition the last counts. Answered when all replicas have dropped the records."""
    asked: dict[str, dict[int, int]] = {}
    for topic in request.topics:
        asked.setdefault(topic.name, {}).update((p.partition_index, p.offset) for p in topic.partitions)
    required: dict[Partition, tuple[DeleteRecordsPartitionResult, int]] = {}
    response = DeleteRecordsResponse(
        topics=[
            DeleteRecordsTopicResult(
                name=name,
                partitions=[delete(broker, name, index, offset, required) for index, offset in offsets.items()],
            )
            for name, offsets in asked.items()
        ]
    )
    if required:
        await wait_for_replicas(required, ctx.received_at + request.timeout_ms / 1000)
    return response


def delete(
    broker: Services,
    topic: str,
    index: int,
    offset: int,
    required: dict[Partition, tuple[DeleteRecordsPartitionResult, int]],
) -> DeleteRecordsPartitionResult:
    """`required` gets the row when other replicas have not dropped the records yet."""
    try:
        if topic in INTERNAL_TOPICS and broker.replicas.knows(topic, index):
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Cannot delete records of internal topic {topic}")
        partition = broker.replicas.partition(TopicPartition(topic, index))
        target = partition.delete_records_before(offset)
    except KafkaError as error:
        return DeleteRecordsPartitionResult(partition_index=index, low_watermark=-1, error_code=error.code)
    row = DeleteRecordsPartitionResult(partition_index=index, low_watermark=partition.low_watermark())
    if row.low_watermark < target:
        required[partition] = (row, target)
    return row


async def wait_for_replicas(
    required: dict[Partition, tuple[DeleteRecordsPartitionResult, int]], deadline: float
) -> None:
    from pykbroker.replica.delayed_delete_records import DelayedDeleteRecords

    pending: Pending[None] = Pending()
    offsets = {partition: offset for partition, (_, offset) in required.items()}
    waiting = DelayedDeleteRecords(offsets, lambda: pending.try_complete(None))
    waiting.arm()
    try:
        await pending.wait_until(deadline)
    finally:
        waiting.disarm()
    for partition, (row, _) in required.items():
        row.error_code, row.low_watermark = waiting.results[partition]


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
