"""confluent-kafka (librdkafka): every codec, idempotence, groups with each assignor, admin."""

import time
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)


def admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap})


def create(bootstrap: str, topic: str, partitions: int = 1, **configs: str) -> None:
    client = admin(bootstrap)  # must outlive its futures
    client.create_topics([NewTopic(topic, partitions, 1, config=configs)])[topic].result(20)


def produce(bootstrap: str, topic: str, values: list[bytes], **settings: object) -> list[tuple[int, int]]:
    """Produces and returns (partition, offset) of each delivery; any delivery error fails."""
    delivered: list[tuple[int, int]] = []
    errors: list[KafkaError] = []

    def report(error: KafkaError | None, message: object) -> None:
        if error is not None:
            errors.append(error)
        else:
            delivered.append((message.partition(), message.offset()))  # type: ignore[attr-defined]

    producer = Producer({"bootstrap.servers": bootstrap, **settings})
    for value in values:
        producer.produce(topic, value, on_delivery=report)
        producer.poll(0)
    assert producer.flush(20) == 0
    assert not errors
    return delivered


def consume(bootstrap: str, topic: str, group: str, count: int, **settings: object) -> list[bytes]:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest", **settings}
    )
    consumer.subscribe([topic])
    values = poll(consumer, count)
    consumer.close()
    return values


def poll(consumer: Consumer, count: int, seconds: float = 25) -> list[bytes]:
    values: list[bytes] = []
    deadline = time.monotonic() + seconds
    while len(values) < count and time.monotonic() < deadline:
        for message in consumer.consume(count - len(values), 0.3):
            assert message.error() is None, message.error()
            values.append(message.value())
    return values


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_round_trips(bootstrap: str, topic: str, group: str, codec: str) -> None:
    create(bootstrap, topic)
    values = [b"value %d " % i * 30 for i in range(1000)]
    settings = {"compression.type": codec, "linger.ms": 5}
    assert produce(bootstrap, topic, values, **settings) == [(0, i) for i in range(1000)]
    assert consume(bootstrap, topic, group, 1000) == values


@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_every_acks_level_stores(bootstrap: str, topic: str, group: str, acks: str) -> None:
    create(bootstrap, topic)
    values = [b"%d" % i for i in range(100)]
    produce(bootstrap, topic, values, acks=acks)
    assert consume(bootstrap, topic, group, 100) == values


def test_idempotent_producer_keeps_order(bootstrap: str, topic: str, group: str) -> None:
    create(bootstrap, topic)
    values = [b"%d" % i for i in range(5000)]
    produce(bootstrap, topic, values, **{"enable.idempotence": True, "linger.ms": 1})
    assert consume(bootstrap, topic, group, 5000) == values


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "cooperative-sticky"])
def test_members_share_and_take_over(bootstrap: str, topic: str, group: str, strategy: str) -> None:
    create(bootstrap, topic, partitions=4)
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "partition.assignment.strategy": strategy,
        "heartbeat.interval.ms": 200,
    }
    first, second = Consumer(settings), Consumer(settings)
    for consumer in (first, second):
        consumer.subscribe([topic])

    def owned() -> list[int]:
        for consumer in (first, second):
            consumer.consume(10, 0.1)
        return [len(consumer.assignment()) for consumer in (first, second)]

    wait_until(lambda: owned() == [2, 2])
    second.close()
    wait_until(lambda: not first.consume(10, 0.1) and len(first.assignment()) == 4)
    first.close()


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"


def test_static_member_returns_without_a_rebalance(bootstrap: str, topic: str, group: str) -> None:
    create(bootstrap, topic, partitions=2)
    produce(bootstrap, topic, [b"x"] * 10)
    settings = {"group.instance.id": "me", "session.timeout.ms": 10000}
    assert len(consume(bootstrap, topic, group, 10, **settings)) == 10
    client = admin(bootstrap)
    described = client.describe_consumer_groups([group])[group].result(10)
    assert [member.group_instance_id for member in described.members] == ["me"]
    produce(bootstrap, topic, [b"y"] * 10)
    assert consume(bootstrap, topic, group, 10, **settings) == [b"y"] * 10


def test_committed_offsets_are_read_back(bootstrap: str, topic: str, group: str) -> None:
    create(bootstrap, topic, partitions=2)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, 42), TopicPartition(topic, 1, 7)], asynchronous=False)
    committed = consumer.committed([TopicPartition(topic, 0), TopicPartition(topic, 1)], 10)
    assert [partition.offset for partition in committed] == [42, 7]
    consumer.close()


def test_watermarks_and_offsets_for_times(bootstrap: str, topic: str, group: str) -> None:
    create(bootstrap, topic)
    producer = Producer({"bootstrap.servers": bootstrap})
    for i in range(10):
        producer.produce(topic, b"%d" % i, timestamp=1_700_000_000_000 + i)
    producer.flush(10)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), 10) == (0, 10)
    assert consumer.offsets_for_times([TopicPartition(topic, 0, 1_700_000_000_004)], 10)[0].offset == 4
    consumer.close()


def test_admin_creates_alters_and_deletes(bootstrap: str, topic: str) -> None:
    client = admin(bootstrap)
    create(bootstrap, topic, partitions=1, **{"retention.ms": "3600000"})
    client.create_partitions([NewPartitions(topic, 3)])[topic].result(10)
    wait_until(lambda: len(client.list_topics(topic, 10).topics[topic].partitions) == 3)
    resource = ConfigResource(ResourceType.TOPIC, topic)
    entries = client.describe_configs([resource])[resource].result(10)
    assert entries["retention.ms"].value == "3600000"
    change = ConfigEntry("max.message.bytes", "5000", incremental_operation=AlterConfigOpType.SET)
    altered = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])
    client.incremental_alter_configs([altered])[altered].result(10)
    assert client.describe_configs([resource])[resource].result(10)["max.message.bytes"].value == "5000"
    client.delete_topics([topic])[topic].result(10)
    wait_until(lambda: topic not in client.list_topics(timeout=10).topics)


def test_wrong_requests_get_kafkas_errors(bootstrap: str, topic: str) -> None:
    client = admin(bootstrap)
    create(bootstrap, topic)
    cases = [
        (NewTopic(topic, 1, 1), KafkaError.TOPIC_ALREADY_EXISTS),
        (NewTopic("not/legal", 1, 1), KafkaError.TOPIC_EXCEPTION),
        (NewTopic(topic + "x", 0, 1), KafkaError.INVALID_PARTITIONS),
        (NewTopic(topic + "x", 1, 3), KafkaError.INVALID_REPLICATION_FACTOR),
        (NewTopic(topic + "x", 1, 1, config={"no.such.config": "1"}), KafkaError.INVALID_CONFIG),
        (NewTopic(topic + "x", 1, 1, config={"retention.ms": "soon"}), KafkaError.INVALID_CONFIG),
    ]
    for new_topic, code in cases:
        with pytest.raises(KafkaException) as caught:
            client.create_topics([new_topic])[new_topic.topic].result(10)
        assert caught.value.args[0].code() == code
    with pytest.raises(KafkaException) as caught:
        client.delete_topics([topic + "-none"])[topic + "-none"].result(10)
    assert caught.value.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_list_offsets_and_cluster(bootstrap: str, topic: str) -> None:
    create(bootstrap, topic)
    produce(bootstrap, topic, [b"x"] * 5)
    client = admin(bootstrap)
    partition = TopicPartition(topic, 0)
    for spec, expected in ((OffsetSpec.earliest(), 0), (OffsetSpec.latest(), 5)):
        assert client.list_offsets({partition: spec})[partition].result(10).offset == expected
    cluster = client.describe_cluster().result(10)
    assert len(cluster.nodes) == 1
    assert cluster.controller is not None


def test_groups_are_listed_and_deleted(bootstrap: str, topic: str, group: str) -> None:
    create(bootstrap, topic)
    produce(bootstrap, topic, [b"x"] * 5)
    consume(bootstrap, topic, group, 5)
    client = admin(bootstrap)
    assert group in [listed.group_id for listed in client.list_consumer_groups().result(10).valid]
    client.delete_consumer_groups([group])[group].result(10)
    assert group not in [listed.group_id for listed in client.list_consumer_groups().result(10).valid]
