"""AddPartitionsToTxn (24): a transaction will write to partitions; from v4 on brokers ask, for many at once.

KIP-98, KIP-588, KIP-890. One partition that does not exist fails its whole transaction.
"""

from collections.abc import Mapping
from typing import Final

from pykbroker.coordinator.transaction.transaction_metadata import EPOCH_BUMP, ProducerIdentity
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.add_partitions_to_txn import (
    AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult,
    AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction,
)
from pykbroker.request import RequestContext, Services

FENCED_FROM: Final = 2  # older clients know only INVALID_PRODUCER_EPOCH
BATCHED_FROM: Final = 4

Errors = Mapping[TopicPartition, int]


async def handle(
    broker: Services, ctx: RequestContext, request: AddPartitionsToTxnRequest
) -> AddPartitionsToTxnResponse:
    results = []
    for transaction in _transactions(request, ctx.api_version):
        errors = await _add(broker, ctx.api_version, transaction)
        results.append(AddPartitionsToTxnResult(transaction.transactional_id, _topics(transaction, errors)))
    return _response(results, ctx.api_version)


def error_response(request: AddPartitionsToTxnRequest, error: KafkaError, version: int) -> AddPartitionsToTxnResponse:
    if version >= BATCHED_FROM:
        return AddPartitionsToTxnResponse(error_code=error.code)
    (transaction,) = _transactions(request, version)
    errors = dict.fromkeys(_partitions(transaction), error.code)
    return _response([AddPartitionsToTxnResult("", _topics(transaction, errors))], version)


async def _add(broker: Services, version: int, transaction: AddPartitionsToTxnTransaction) -> Errors:
    """The errors of partitions that were not added."""
    partitions = _partitions(transaction)
    topics = broker.image.topics
    unknown = [tp for tp in partitions if topics.partition(*tp) is None]
    if unknown:
        errors = dict.fromkeys(partitions, ErrorCode.OPERATION_NOT_ATTEMPTED)
        errors.update(dict.fromkeys(unknown, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
        return errors
    producer = ProducerIdentity(transaction.producer_id, transaction.producer_epoch)
    coordinator = broker.transactions
    try:
        if transaction.verify_only:
            missing = coordinator.missing_partitions(transaction.transactional_id, producer, partitions)
            return dict.fromkeys(missing, ErrorCode.TRANSACTION_ABORTABLE)
        client_version = EPOCH_BUMP if version >= BATCHED_FROM else 0
        await coordinator.add_partitions(transaction.transactional_id, producer, partitions, client_version)
    except KafkaError as error:
        is_unknown = error.code == ErrorCode.PRODUCER_FENCED and version < FENCED_FROM
        return dict.fromkeys(partitions, ErrorCode.INVALID_PRODUCER_EPOCH if is_unknown else error.code)
    return {}


def _transactions(request: AddPartitionsToTxnRequest, version: int) -> list[AddPartitionsToTxnTransaction]:
    if version >= BATCHED_FROM:
        return request.transactions
    return [
        AddPartitionsToTxnTransaction(
            transactional_id=request.v3_and_below_transactional_id,
            producer_id=request.v3_and_below_producer_id,
            producer_epoch=request.v3_and_below_producer_epoch,
            topics=request.v3_and_below_topics,
        )
    ]


def _partitions(transaction: AddPartitionsToTxnTransaction) -> list[TopicPartition]:
    return [TopicPartition(topic.name, index) for topic in transaction.topics for index in topic.partitions]


def _topics(transaction: AddPartitionsToTxnTransaction, errors: Errors) -> list[AddPartitionsToTxnTopicResult]:
    return [
        AddPartitionsToTxnTopicResult(
            topic.name,
            [
                AddPartitionsToTxnPartitionResult(index, errors.get(TopicPartition(topic.name, index), ErrorCode.NONE))
                for index in topic.partitions
            ],
        )
        for topic in transaction.topics
    ]


def _response(results: list[AddPartitionsToTxnResult], version: int) -> AddPartitionsToTxnResponse:
    if version >= BATCHED_FROM:
        return AddPartitionsToTxnResponse(results_by_transaction=results)
    return AddPartitionsToTxnResponse(results_by_topic_v3_and_below=results[0].topic_results)
