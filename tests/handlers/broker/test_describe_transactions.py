"""DescribeTransactions, as the real Kafka 4.3.1 answers it. KIP-664."""

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.describe_transactions import DescribeTransactionsRequest
from tests.handlers.broker.asker import Asker
from tests.handlers.transaction_dialogue import TransactionalProducer, begun


def test_many_at_once(coordinated: Asker) -> None:
    topic = coordinated.create(3)
    open_one, fresh = begun(coordinated), begun(coordinated, timeout_ms=1234)
    assert open_one.produce(topic, 2).error_code == 0
    assert open_one.produce(topic, 0).error_code == 0
    unknown = f"{fresh.id}-of-nobody"
    request = DescribeTransactionsRequest(transactional_ids=[open_one.id, unknown, fresh.id, ""])
    rows = coordinated.ask(request, 0).transaction_states
    assert [row.transactional_id for row in rows] == [open_one.id, unknown, fresh.id, ""]
    assert [row.error_code for row in rows] == [
        0,
        ErrorCode.TRANSACTIONAL_ID_NOT_FOUND,
        0,
        ErrorCode.INVALID_REQUEST,
    ]
    assert [(item.topic, sorted(item.partitions)) for item in rows[0].topics] == [(topic.name, [0, 2])]
    assert (rows[2].transaction_state, rows[2].transaction_timeout_ms) == ("Empty", 1234)
    assert (rows[2].producer_id, rows[2].producer_epoch) == fresh.identity


def test_one_that_has_ended_has_no_partitions(coordinated: Asker) -> None:
    topic = coordinated.create(1)
    producer = begun(coordinated)
    assert producer.produce(topic).error_code == 0
    started = producer.described().transaction_start_time_ms
    assert producer.end(False) == 0
    row = producer.at_rest()
    assert (row.transaction_state, row.topics) == ("CompleteAbort", [])
    assert row.transaction_start_time_ms == started


def test_one_that_was_never_initialized(coordinated: Asker) -> None:
    assert TransactionalProducer(coordinated).described().error_code == ErrorCode.TRANSACTIONAL_ID_NOT_FOUND
