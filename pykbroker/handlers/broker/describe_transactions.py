"""DescribeTransactions (65): state of transactional ids. KIP-664."""

from pykbroker.coordinator.transaction.transaction_metadata import STATE_NAMES
from pykbroker.errors import KafkaError
from pykbroker.pending import pause_after
from pykbroker.protocol.messages.describe_transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    TopicData,
    TransactionState,
)
from pykbroker.request import RequestContext, Services


async def handle(
    broker: Services, ctx: RequestContext, request: DescribeTransactionsRequest
) -> DescribeTransactionsResponse:
    response = DescribeTransactionsResponse()
    for transactional_id in request.transactional_ids:
        response.transaction_states.append(_describe(broker, transactional_id))
        await pause_after(len(response.transaction_states))
    return response


def error_response(
    request: DescribeTransactionsRequest, error: KafkaError, version: int
) -> DescribeTransactionsResponse:
    return DescribeTransactionsResponse(
        transaction_states=[
            TransactionState(transactional_id=transactional_id, error_code=error.code)
            for transactional_id in request.transactional_ids
        ]
    )


def _describe(broker: Services, transactional_id: str) -> TransactionState:
    row = TransactionState(transactional_id=transactional_id)
    try:
        metadata = broker.transactions.describe(transactional_id)
    except KafkaError as error:
        row.error_code = error.code
        return row
    row.transaction_state = STATE_NAMES[metadata.state]
    row.transaction_timeout_ms = metadata.timeout_ms
    row.transaction_start_time_ms = metadata.start_timestamp
    row.producer_id, row.producer_epoch = metadata.identity
    topics: dict[str, TopicData] = {}
    for topic, partition in sorted(metadata.partitions):
        topics.setdefault(topic, TopicData(topic=topic)).partitions.append(partition)
    row.topics = list(topics.values())
    return row
