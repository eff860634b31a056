"""What librdkafka reads of a topic."""

import time

from confluent_kafka import Consumer, KafkaError, TopicPartition

from compat_tests.confluent.settings import brokers_at


def read_all(bootstrap: str, topic: str, partitions: int = 1, seconds: float = 60) -> list[list[bytes]]:
    """The committed values of each partition, in order, up to its end. Raises AssertionError after `seconds`."""
    settings = {"group.id": "reader", "isolation.level": "read_committed", "enable.auto.commit": False}
    consumer = Consumer({**brokers_at(bootstrap), **settings, "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    found: list[list[bytes]] = [[] for _ in range(partitions)]
    ended: set[int | None] = set()
    deadline = time.monotonic() + seconds
    while len(ended) < partitions:
        assert time.monotonic() < deadline, f"only {ended} have been read to their ends"
        message = consumer.poll(0.5)
        if message is None:
            continue
        if (error := message.error()) is None:
            found[message.partition() or 0].append(message.value() or b"")
        elif error.code() == KafkaError._PARTITION_EOF:
            ended.add(message.partition())
    consumer.close()
    return found
