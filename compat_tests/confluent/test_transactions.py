"""confluent-kafka (librdkafka): transactions, exactly-once pipelines, zombies, timeouts."""

import time
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from compat_tests.confluent.test_confluent import create, poll, produce

SECONDS = 20


def producer(bootstrap: str, transactional_id: str, **settings: object) -> Producer:
    client = Producer({"bootstrap.servers": bootstrap, "transactional.id": transactional_id, **settings})
    client.init_transactions(SECONDS)
    return client


def consumer(bootstrap: str, group: str, isolation: str = "read_committed") -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": isolation,
        }
    )


def read(bootstrap: str, topic: str, count: int, isolation: str = "read_committed") -> list[bytes]:
    reader = consumer(bootstrap, f"readers-of-{topic}", isolation)
    reader.assign([TopicPartition(topic, 0, 0)])
    values = poll(reader, count)
    # Whatever comes too many would come now.
    message = reader.poll(0.3)
    reader.close()
    assert message is None or message.error()
    return values


def test_committed_and_aborted(bootstrap: str, topic: str) -> None:
    create(bootstrap, topic)
    client = producer(bootstrap, f"tx-{topic}")
    for number in range(20):
        client.begin_transaction()
        for part in range(3):
            client.produce(topic, b"%d-%d" % (number, part))
        if number % 2:
            client.commit_transaction(SECONDS)
        else:
            client.abort_transaction(SECONDS)
    expected = [b"%d-%d" % (number, part) for number in range(1, 20, 2) for part in range(3)]
    assert read(bootstrap, topic, len(expected)) == expected


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_transactions(bootstrap: str, topic: str, codec: str) -> None:
    create(bootstrap, topic)
    client = producer(bootstrap, f"tx-{topic}", **{"compression.type": codec})
    client.begin_transaction()
    values = [b"value %d " % number * 50 for number in range(500)]
    for value in values:
        client.produce(topic, value)
    client.commit_transaction(SECONDS)
    assert read(bootstrap, topic, len(values)) == values


def test_a_pipeline_processes_everything_once(
    bootstrap: str, topic: str, group: str, unique: Callable[[str], str]
) -> None:
    """Consume, transform, produce; every third time the transaction is aborted and the consumer goes back."""
    create(bootstrap, topic)
    target = unique("target")
    create(bootstrap, target)
    values = [b"%d" % number for number in range(21)]
    produce(bootstrap, topic, values)
    client = producer(bootstrap, f"tx-{topic}")
    reader = consumer(bootstrap, group)
    reader.subscribe([topic])
    rounds = 0
    position = 0
    deadline = time.monotonic() + 50
    while position < len(values) and time.monotonic() < deadline:
        message = reader.poll(5)
        if message is None or message.error():
            continue
        rounds += 1
        client.begin_transaction()
        client.produce(target, b"<" + message.value() + b">")
        offsets = [TopicPartition(topic, 0, message.offset() + 1)]
        client.send_offsets_to_transaction(offsets, reader.consumer_group_metadata(), SECONDS)
        if rounds % 3 == 0:
            client.abort_transaction(SECONDS)
            reader.seek(TopicPartition(topic, 0, message.offset()))
        else:
            client.commit_transaction(SECONDS)
            position = message.offset() + 1
    (committed,) = reader.committed([TopicPartition(topic, 0)], SECONDS)
    reader.close()
    assert committed.offset == len(values)
    assert read(bootstrap, target, len(values)) == [b"<" + value + b">" for value in values]


def test_a_zombie_is_fenced(bootstrap: str, topic: str) -> None:
    create(bootstrap, topic)
    zombie = producer(bootstrap, f"tx-{topic}")
    zombie.begin_transaction()
    zombie.produce(topic, b"of the zombie")
    zombie.flush(SECONDS)
    heir = producer(bootstrap, f"tx-{topic}")
    heir.begin_transaction()
    heir.produce(topic, b"of the heir")
    heir.commit_transaction(SECONDS)
    with pytest.raises(KafkaException) as caught:
        zombie.commit_transaction(SECONDS)
    assert caught.value.args[0].code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED)
    assert caught.value.args[0].fatal()
    assert read(bootstrap, topic, 1) == [b"of the heir"]


def test_a_member_of_an_old_generation_commits_nothing(bootstrap: str, topic: str, group: str) -> None:
    """KIP-447: the consumer's generation fences, not the transactional id."""
    create(bootstrap, topic)
    produce(bootstrap, topic, [b"x"])
    reader = consumer(bootstrap, group)
    reader.subscribe([topic])
    assert poll(reader, 1) == [b"x"]
    stale = reader.consumer_group_metadata()
    reader.close()
    client = producer(bootstrap, f"tx-{topic}")
    client.begin_transaction()
    client.produce(topic, b"y")
    with pytest.raises(KafkaException) as caught:
        client.send_offsets_to_transaction([TopicPartition(topic, 0, 1)], stale, SECONDS)
    assert caught.value.args[0].txn_requires_abort()
    client.abort_transaction(SECONDS)


def test_a_silent_producer_is_aborted(bootstrap: str, topic: str) -> None:
    """The coordinator looks every ten seconds."""
    create(bootstrap, topic)
    client = producer(bootstrap, f"tx-{topic}", **{"transaction.timeout.ms": 1000, "message.timeout.ms": 1000})
    client.begin_transaction()
    client.produce(topic, b"inside")
    client.flush(SECONDS)
    produce(bootstrap, topic, [b"behind"])
    assert read(bootstrap, topic, 1) == [b"behind"]
    with pytest.raises(KafkaException):
        client.commit_transaction(SECONDS)
