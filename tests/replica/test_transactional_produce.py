"""Batches of a transaction in a Produce request: one producer, and errors that it understands."""

from typing import Any

import pytest

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.fast_produce import ProduceQuery, decode_produce_request
from pykbroker.replica.transaction_admission import Admission, start_verification
from pykbroker.replica.transactional_produce import NotAdmitted, TransactionalProduce
from tests.handlers.broker.asker import Topic, batch, for_version, produce_request
from tests.replica.stand import Stand, context

TP = TopicPartition("t", 0)


def records(producer_id: int = 7, **fields: Any) -> bytes:
    settings: dict[str, Any] = {"producer_epoch": 0, "base_sequence": 0, "is_transactional": True, **fields}
    return batch(producer_id=producer_id, **settings)


def query(
    stand: Stand, *rows: tuple[int, bytes], version: int = 12, transactional_id: str | None = "tx"
) -> ProduceQuery:
    topic = Topic("t", stand.create("t", 3))
    request = for_version(produce_request(topic, rows, transactional_id=transactional_id), version)
    return decode_produce_request(memoryview(bytearray(request.encode(version))), version, 0)[0]


async def admitted(stand: Stand, asked: ProduceQuery, version: int = 12) -> TransactionalProduce:
    return await TransactionalProduce.admitted(stand, context(0, version), asked, asked.topics)  # type: ignore[arg-type]


def refusal(transaction: TransactionalProduce, stand: Stand, index: int = 0) -> tuple[int, str | None]:
    with pytest.raises(KafkaError) as caught:
        transaction.check("t", index, memoryview(records()), stand.partition("t", index))
    return caught.value.code, caught.value.message


async def test_several_producers(stand: Stand) -> None:
    with pytest.raises(KafkaError) as caught:
        await admitted(stand, query(stand, (0, records(7)), (1, records(8))))
    assert caught.value.code == E.INVALID_PRODUCER_ID_MAPPING


async def test_what_is_refused_anyway_does_not_count(stand: Stand) -> None:
    """Of another producer, but for a partition that is not there, or no batch at all."""
    asked = query(stand, (0, records(7)), (9, records(8)), (1, records(9)[:-1]), (2, batch()))
    transaction = await admitted(stand, asked)
    transaction.check("t", 2, memoryview(batch()), stand.partition("t", 2))
    code, message = refusal(transaction, stand)
    assert code == E.NOT_ENOUGH_REPLICAS  # nobody coordinates anything here
    assert message is not None
    assert message.endswith("Underlying error: COORDINATOR_NOT_AVAILABLE")


@pytest.mark.parametrize(
    ("code", "bumps", "told"),
    [
        (E.NOT_COORDINATOR, True, E.NOT_ENOUGH_REPLICAS),
        (E.COORDINATOR_LOAD_IN_PROGRESS, False, E.NOT_ENOUGH_REPLICAS),
        (E.CONCURRENT_TRANSACTIONS, False, E.NOT_ENOUGH_REPLICAS),
        (E.CONCURRENT_TRANSACTIONS, True, E.CONCURRENT_TRANSACTIONS),
        (E.INVALID_PRODUCER_EPOCH, True, E.INVALID_PRODUCER_EPOCH),
        (E.TRANSACTION_ABORTABLE, False, E.TRANSACTION_ABORTABLE),
        (E.INVALID_TXN_STATE, False, E.INVALID_TXN_STATE),
    ],
)
def test_errors_as_producers_know_them(stand: Stand, code: int, bumps: bool, told: int) -> None:
    stand.create("t")
    transaction = TransactionalProduce({TP: Admission(code)}, bumps)
    with pytest.raises(NotAdmitted) as caught:
        transaction.check("t", 0, memoryview(records()), stand.partition("t"))
    assert caught.value.code == told
    has_message = told in (E.NOT_ENOUGH_REPLICAS, E.INVALID_TXN_STATE)
    assert (caught.value.message is not None) == has_message


def test_a_guard_opens_once(stand: Stand) -> None:
    stand.create("t")
    partition = stand.partition("t")
    guard = start_verification(partition, 7, 0, 0, bumps_epochs=True, now_ms=0)
    transaction = TransactionalProduce({TP: Admission(guard=guard)}, True)
    transaction.check("t", 0, memoryview(records()), partition)
    transaction.on_append(partition, memoryview(records()))
    assert refusal(transaction, stand)[0] == E.INVALID_TXN_STATE
