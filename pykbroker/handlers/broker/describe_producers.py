"""DescribeProducers (61): who writes to a partition, with which epoch and sequence, in an open transaction? KIP-664."""

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.log.producer_entry import ProducerEntry
from pykbroker.metadata.topic_names import why_invalid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    PartitionResponse,
    ProducerState,
    TopicResponse,
)
from pykbroker.request import RequestContext, Services

UNKNOWN = "This server does not host this topic-partition."


async def handle(broker: Services, ctx: RequestContext, request: DescribeProducersRequest) -> DescribeProducersResponse:
    return DescribeProducersResponse(
        topics=[
            TopicResponse(
                name=topic.name,
                partitions=[_partition(broker, TopicPartition(topic.name, index)) for index in topic.partition_indexes],
            )
            for topic in request.topics
        ]
    )


def error_response(request: DescribeProducersRequest, error: KafkaError, version: int) -> DescribeProducersResponse:
    return DescribeProducersResponse(
        topics=[
            TopicResponse(
                name=topic.name,
                partitions=[
                    PartitionResponse(partition_index=index, error_code=error.code) for index in topic.partition_indexes
                ],
            )
            for topic in request.topics
        ]
    )


def _partition(broker: Services, tp: TopicPartition) -> PartitionResponse:
    row = PartitionResponse(partition_index=tp.partition)
    why = why_invalid(tp.topic)
    if why is not None:
        row.error_code, row.error_message = ErrorCode.INVALID_TOPIC_EXCEPTION, why
    elif tp.topic not in broker.image.topics:
        row.error_code, row.error_message = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN
    else:
        try:
            partition = broker.replicas.partition(tp)
            partition.check_leader()
        except KafkaError as error:
            row.error_code = error.code
        else:
            row.active_producers = [_producer(entry) for entry in partition.log.producer_state.active()]
    return row


def _producer(entry: ProducerEntry) -> ProducerState:
    return ProducerState(
        producer_id=entry.producer_id,
        producer_epoch=entry.epoch,
        last_sequence=entry.last_sequence,
        last_timestamp=entry.last_timestamp,
        coordinator_epoch=entry.coordinator_epoch,
        current_txn_start_offset=entry.first_offset,
    )
