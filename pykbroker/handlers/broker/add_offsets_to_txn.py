"""AddOffsetsToTxn (25): a transaction will commit offsets of a group. KIP-98, KIP-588."""

from typing import Final

from pykbroker.coordinator.transaction.transaction_metadata import ProducerIdentity
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.metadata.topic_names import GROUP_METADATA_TOPIC
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse
from pykbroker.request import RequestContext, Services

FENCED_FROM: Final = 2  # older clients know only INVALID_PRODUCER_EPOCH


async def handle(broker: Services, ctx: RequestContext, request: AddOffsetsToTxnRequest) -> AddOffsetsToTxnResponse:
    """Raises KafkaError."""
    partition = TopicPartition(GROUP_METADATA_TOPIC, broker.groups.partition_for(request.group_id))
    producer = ProducerIdentity(request.producer_id, request.producer_epoch)
    await broker.transactions.add_partitions(request.transactional_id, producer, [partition], 0)
    return AddOffsetsToTxnResponse()


def error_response(request: AddOffsetsToTxnRequest, error: KafkaError, version: int) -> AddOffsetsToTxnResponse:
    is_unknown = error.code == ErrorCode.PRODUCER_FENCED and version < FENCED_FROM
    return AddOffsetsToTxnResponse(error_code=ErrorCode.INVALID_PRODUCER_EPOCH if is_unknown else error.code)
