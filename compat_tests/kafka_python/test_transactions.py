"""kafka-python: transactions, what read_committed sees of them, zombies."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata


@contextmanager
def producer(bootstrap: str, transactional_id: str) -> Iterator[KafkaProducer]:
    client = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=transactional_id, linger_ms=0)
    client.init_transactions()
    try:
        yield client
    finally:
        client.close(timeout=5)


def create(bootstrap: str, topic: str, partitions: int = 1) -> None:
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1}})


def read(bootstrap: str, topic: str, isolation: str = "read_committed") -> list[bytes]:
    """All that can be read to the end, of all partitions."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, isolation_level=isolation, enable_auto_commit=False)
    partitions = [TopicPartition(topic, index) for index in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(partitions)
    values: list[bytes] = []
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        values += [record.value for batch in consumer.poll(timeout_ms=1000).values() for record in batch]
    consumer.close()
    return values


def test_committed_and_aborted(bootstrap: str, topic: str) -> None:
    create(bootstrap, topic, 2)
    with producer(bootstrap, f"tx-{topic}") as client:
        for number in range(10):
            client.begin_transaction()
            for partition in (0, 1):
                client.send(topic, b"%d-%d" % (number, partition), partition=partition).get(10)
            if number % 3:
                client.commit_transaction()
            else:
                client.abort_transaction()
    expected = sorted(b"%d-%d" % (number, partition) for number in range(10) if number % 3 for partition in (0, 1))
    assert sorted(read(bootstrap, topic)) == expected
    assert set(expected) < set(read(bootstrap, topic, "read_uncommitted"))


def test_an_open_transaction_holds_readers_back(bootstrap: str, topic: str) -> None:
    create(bootstrap, topic)
    with producer(bootstrap, f"tx-{topic}") as client, KafkaProducer(bootstrap_servers=bootstrap) as plain:
        plain.send(topic, b"before").get(10)
        client.begin_transaction()
        client.send(topic, b"inside").get(10)
        plain.send(topic, b"behind").get(10)
        assert read(bootstrap, topic) == [b"before"]
        assert read(bootstrap, topic, "read_uncommitted") == [b"before", b"inside", b"behind"]
        client.commit_transaction()
        assert read(bootstrap, topic) == [b"before", b"inside", b"behind"]


def test_a_zombie_is_fenced(bootstrap: str, topic: str) -> None:
    create(bootstrap, topic)
    with producer(bootstrap, f"tx-{topic}") as zombie:
        zombie.begin_transaction()
        zombie.send(topic, b"of the zombie").get(10)
        with producer(bootstrap, f"tx-{topic}") as heir:
            heir.begin_transaction()
            heir.send(topic, b"of the heir")
            heir.commit_transaction()
            with pytest.raises(KafkaError):
                zombie.commit_transaction()
    assert read(bootstrap, topic) == [b"of the heir"]


def test_offsets_are_part_of_the_transaction(bootstrap: str, topic: str, group: str) -> None:
    create(bootstrap, topic)
    partition = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    consumer.assign([partition])
    with producer(bootstrap, f"tx-{topic}") as client:
        for offset, commit in ((5, True), (9, False)):
            client.begin_transaction()
            client.send(topic, b"%d" % offset).get(10)
            client.send_offsets_to_transaction({partition: OffsetAndMetadata(offset, "", -1)}, group)
            if commit:
                client.commit_transaction()
            else:
                client.abort_transaction()
    assert consumer.committed(partition) == 5
    consumer.close()
    assert read(bootstrap, topic) == [b"5"]
