"""DescribeProducers, as the real Kafka 4.3.1 answers it. KIP-664."""

from typing import Any

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.describe_producers import DescribeProducersRequest, TopicRequest
from tests.handlers.broker.asker import TIMESTAMP, UNKNOWN_TOPIC, Asker
from tests.handlers.transaction_dialogue import begun


def described(asker: Asker, topic: str, *partitions: int) -> list[Any]:
    request = DescribeProducersRequest(topics=[TopicRequest(name=topic, partition_indexes=list(partitions))])
    (row,) = asker.ask(request, 0).topics
    assert row.name == topic
    return list(row.partitions)


def test_an_open_transaction(coordinated: Asker) -> None:
    topic = coordinated.create(2)
    producer = begun(coordinated)
    producer_id, epoch = producer.identity
    assert producer.produce(topic).error_code == 0
    assert producer.produce(topic, sequence=1).error_code == 0
    busy, idle = described(coordinated, topic.name, 0, 1)
    (row,) = busy.active_producers
    assert (row.producer_id, row.producer_epoch, row.last_sequence) == (producer_id, epoch, 1)
    assert (row.last_timestamp, row.coordinator_epoch, row.current_txn_start_offset) == (TIMESTAMP, -1, 0)
    assert (idle.error_code, idle.error_message, idle.active_producers) == (0, None, [])
    assert producer.end(True) == 0
    producer.at_rest()
    (row,) = described(coordinated, topic.name, 0)[0].active_producers
    assert (row.producer_id, row.producer_epoch, row.last_sequence) == (producer_id, epoch + 1, -1)
    assert (row.coordinator_epoch, row.current_txn_start_offset) == (0, -1)


def test_what_does_not_exist(coordinated: Asker) -> None:
    topic = coordinated.create(1)
    (row,) = described(coordinated, UNKNOWN_TOPIC.name, 0)
    assert row.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert row.error_message == "This server does not host this topic-partition."
    (row,) = described(coordinated, topic.name, 7)
    assert (row.error_code, row.error_message) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, None)


def test_names_that_are_none(coordinated: Asker) -> None:
    (row,) = described(coordinated, "a b", 0)
    assert row.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
    assert row.error_message.startswith("Topic name is invalid: 'a b' contains one or more characters")
