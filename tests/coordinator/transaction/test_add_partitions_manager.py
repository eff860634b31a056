"""Partitions of transactions coordinated elsewhere: what is asked, as Kafka asks it, and how it is answered."""

from typing import Any

from pykbroker.coordinator.broker_queue import BrokerRequest
from pykbroker.coordinator.transaction.add_partitions_manager import AddPartitionsManager
from pykbroker.coordinator.transaction.transaction_metadata import ProducerIdentity
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.headers import decode_request_header
from pykbroker.protocol.messages.add_partitions_to_txn import (
    AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult,
    AddPartitionsToTxnTopicResult,
)
from tests.golden_data import golden_lines

A, B = TopicPartition("t", 0), TopicPartition("t", 1)
ME = ProducerIdentity(7, 3)


def only(manager: AddPartitionsManager) -> tuple[BrokerRequest, Any]:
    (request,) = manager.next_requests()
    return request, request.message


def answer(request: BrokerRequest, **codes: dict[TopicPartition, int]) -> None:
    results = [
        AddPartitionsToTxnResult(
            transactional_id,
            [
                AddPartitionsToTxnTopicResult(tp.topic, [AddPartitionsToTxnPartitionResult(tp.partition, code)])
                for tp, code in rows.items()
            ],
        )
        for transactional_id, rows in codes.items()
    ]
    request.on_response(AddPartitionsToTxnResponse(results_by_transaction=results))


def test_as_kafka_asks() -> None:
    sent = [
        bytes.fromhex(line["hex"])
        for line in golden_lines("conversations/kraft-interbroker-1.jsonl.gz")
        if line.get("api") == "AddPartitionsToTxn" and line["dir"] == ">"
    ]
    assert len(sent) == 4
    for frame in sent:
        body = frame[decode_request_header(memoryview(frame))[-1] :]
        manager = AddPartitionsManager()
        for row in AddPartitionsToTxnRequest.decode(body, 5)[0].transactions:
            producer = ProducerIdentity(row.producer_id, row.producer_epoch)
            partitions = [TopicPartition(topic.name, index) for topic in row.topics for index in topic.partitions]
            manager.ask(1, row.transactional_id, producer, partitions, adds=not row.verify_only)
        request, message = only(manager)
        assert (request.api_key, request.lowest) == (ApiKey.ADD_PARTITIONS_TO_TXN, 4)
        assert bytes(message.encode(5)) == body


def test_transactions_go_together_and_partitions_are_told_apart() -> None:
    manager = AddPartitionsManager()
    verified = manager.ask(1, "v", ME, [A, B], adds=False)
    added = manager.ask(1, "a", ME, [A], adds=True)
    request, message = only(manager)
    assert [(row.transactional_id, row.verify_only) for row in message.transactions] == [("v", True), ("a", False)]
    answer(request, a={A: 0}, v={A: 0, B: E.TRANSACTION_ABORTABLE})
    assert (verified.result(), added.result()) == ({B: E.TRANSACTION_ABORTABLE}, {})


def test_a_client_that_tries_again_gets_the_answer_to_its_last_try() -> None:
    manager = AddPartitionsManager()
    first = manager.ask(1, "tx", ME, [A], adds=True)
    second = manager.ask(1, "tx", ME, [A, B], adds=True)
    assert first.result() == {A: E.NETWORK_EXCEPTION}
    request, message = only(manager)
    assert len(message.transactions) == 1
    answer(request, tx={A: 0, B: 0})
    assert second.result() == {}


def test_the_older_of_two_producers_is_fenced() -> None:
    manager = AddPartitionsManager()
    old = manager.ask(1, "tx", ME, [A], adds=True)
    new = manager.ask(1, "tx", ProducerIdentity(7, 4), [A], adds=True)
    assert old.result() == {A: E.INVALID_PRODUCER_EPOCH}
    late = manager.ask(1, "tx", ME, [A], adds=True)
    assert late.result() == {A: E.INVALID_PRODUCER_EPOCH}
    _, message = only(manager)
    assert [row.producer_epoch for row in message.transactions] == [4]
    assert not new.done


def test_what_is_under_way_is_not_withdrawn() -> None:
    manager = AddPartitionsManager()
    first = manager.ask(1, "tx", ME, [A], adds=True)
    request, _ = only(manager)
    second = manager.ask(1, "tx", ME, [B], adds=True)
    assert not first.done
    answer(request, tx={A: 0})
    assert first.result() == {}
    request, _ = only(manager)
    answer(request, tx={B: 0})
    assert second.result() == {}


def test_errors_of_the_whole_request() -> None:
    for code, told in ((E.COORDINATOR_NOT_AVAILABLE,) * 2, (E.CLUSTER_AUTHORIZATION_FAILED, E.INVALID_TXN_STATE)):
        manager = AddPartitionsManager()
        pending = manager.ask(1, "tx", ME, [A, B], adds=True)
        request, _ = only(manager)
        request.on_response(AddPartitionsToTxnResponse(error_code=code))
        assert pending.result() == {A: told, B: told}


def test_a_coordinator_that_is_away_or_forgets_to_answer() -> None:
    manager = AddPartitionsManager()
    pending = manager.ask(1, "tx", ME, [A], adds=True)
    only(manager)[0].on_failure(KafkaError(E.NETWORK_EXCEPTION))
    assert pending.result() == {A: E.NETWORK_EXCEPTION}
    pending = manager.ask(1, "tx", ME, [A], adds=True)
    answer(only(manager)[0], other={A: 0})
    assert pending.result() == {A: E.UNKNOWN_SERVER_ERROR}


def test_a_coordinator_that_verifies_nothing() -> None:
    """As Kafka: its clients have added their partitions by themselves."""
    manager = AddPartitionsManager()
    pending = manager.ask(1, "tx", ME, [A], adds=False)
    only(manager)[0].on_failure(KafkaError(E.UNSUPPORTED_VERSION))
    assert pending.result() == {}
