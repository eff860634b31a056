"""kafka-python: produce with every codec, consume alone, seek, look up offsets."""

import time
from collections.abc import Callable

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import MessageSizeTooLargeError, TopicAlreadyExistsError


def create(bootstrap: str, topic: str, partitions: int = 1, **configs: str) -> None:
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}})


def read_all(bootstrap: str, topic: str, count: int, **options: object) -> list[object]:
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False, **options
    )
    partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    records: list[object] = []
    deadline = time.monotonic() + 20
    while len(records) < count and time.monotonic() < deadline:
        for batch in consumer.poll(timeout_ms=500).values():
            records += batch
    consumer.close()
    return records


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_round_trips(bootstrap: str, topic: str, codec: str | None) -> None:
    create(bootstrap, topic)
    sent = [(str(i).encode(), b"value %d " % i * 20) for i in range(500)]
    with KafkaProducer(bootstrap_servers=bootstrap, compression_type=codec, linger_ms=5) as producer:
        futures = [producer.send(topic, key=key, value=value, headers=[("h", b"x"), ("n", b"")]) for key, value in sent]
        producer.flush()
    assert [future.get(10).offset for future in futures] == list(range(500))
    records = read_all(bootstrap, topic, 500)
    assert [(r.key, r.value) for r in records] == sent
    assert [r.offset for r in records] == list(range(500))
    assert list(records[0].headers) == [("h", b"x"), ("n", b"")]


@pytest.mark.parametrize("acks", [0, 1, "all"])
def test_every_acks_level_stores(bootstrap: str, topic: str, acks: int | str) -> None:
    create(bootstrap, topic)
    with KafkaProducer(bootstrap_servers=bootstrap, acks=acks, enable_idempotence=False) as producer:
        for i in range(50):
            producer.send(topic, b"%d" % i)
        producer.flush()
    assert [r.value for r in read_all(bootstrap, topic, 50)] == [b"%d" % i for i in range(50)]


def test_auto_created_topic_takes_records(bootstrap: str, topic: str) -> None:
    with KafkaProducer(bootstrap_servers=bootstrap) as producer:
        assert producer.send(topic, b"first").get(20).offset == 0
    assert [r.value for r in read_all(bootstrap, topic, 1)] == [b"first"]


def test_offsets_by_time_and_at_the_ends(bootstrap: str, topic: str) -> None:
    create(bootstrap, topic)
    with KafkaProducer(bootstrap_servers=bootstrap) as producer:
        for i in range(10):
            producer.send(topic, b"%d" % i, timestamp_ms=1_700_000_000_000 + i * 1000)
            producer.flush()
    partition = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    assert consumer.beginning_offsets([partition]) == {partition: 0}
    assert consumer.end_offsets([partition]) == {partition: 10}
    found = consumer.offsets_for_times({partition: 1_700_000_004_500})[partition]
    assert (found.offset, found.timestamp) == (5, 1_700_000_005_000)
    assert consumer.offsets_for_times({partition: 1_800_000_000_000})[partition] is None
    consumer.close()


def test_keys_spread_over_partitions_and_order_holds_within(bootstrap: str, topic: str) -> None:
    create(bootstrap, topic, partitions=6)
    with KafkaProducer(bootstrap_servers=bootstrap) as producer:
        for i in range(600):
            producer.send(topic, key=b"k%d" % (i % 20), value=b"%d" % i)
        producer.flush()
    records = read_all(bootstrap, topic, 600)
    assert len(records) == 600
    assert len({r.partition for r in records}) == 6
    for key in {r.key for r in records}:
        values = [int(r.value) for r in records if r.key == key]
        assert values == sorted(values)


def test_a_record_over_the_topics_limit_is_refused(bootstrap: str, topic: str) -> None:
    create(bootstrap, topic, **{"max.message.bytes": "2000"})
    with KafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=False) as producer:
        with pytest.raises(MessageSizeTooLargeError):
            producer.send(topic, b"x" * 3000).get(10)
        assert producer.send(topic, b"small").get(10).offset == 0


def test_a_topic_exists_only_once(bootstrap: str, topic: str) -> None:
    create(bootstrap, topic)
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin, pytest.raises(TopicAlreadyExistsError):
        admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})


def test_log_append_time_is_the_brokers(bootstrap: str, topic: str) -> None:
    create(bootstrap, topic, **{"message.timestamp.type": "LogAppendTime"})
    with KafkaProducer(bootstrap_servers=bootstrap) as producer:
        before = time.time() * 1000 - 2000
        answer = producer.send(topic, b"x", timestamp_ms=1_600_000_000_000).get(10)
        assert before < answer.timestamp < time.time() * 1000 + 2000
    record = read_all(bootstrap, topic, 1)[0]
    assert (record.timestamp, record.timestamp_type) == (answer.timestamp, 1)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd", "uncompressed"])
def test_topic_codec_wins_over_the_producers(bootstrap: str, topic: str, codec: str) -> None:
    create(bootstrap, topic, **{"compression.type": codec})
    with KafkaProducer(bootstrap_servers=bootstrap, compression_type="gzip", linger_ms=10) as producer:
        for i in range(100):
            producer.send(topic, b"payload %d" % i)
        producer.flush()
    assert [r.value for r in read_all(bootstrap, topic, 100)] == [b"payload %d" % i for i in range(100)]


def test_large_records_pass(bootstrap: str, topic: str) -> None:
    create(bootstrap, topic, **{"max.message.bytes": "6000000"})
    values = [bytes([i]) * 5_000_000 for i in range(3)]
    with KafkaProducer(bootstrap_servers=bootstrap, max_request_size=6_000_000) as producer:
        for value in values:
            producer.send(topic, value).get(20)
    records = read_all(bootstrap, topic, 3, max_partition_fetch_bytes=1_000_000)
    assert [r.value for r in records] == values


def test_deleted_records_are_gone(bootstrap: str, topic: str, unique: Callable[[str], str]) -> None:
    create(bootstrap, topic)
    with KafkaProducer(bootstrap_servers=bootstrap) as producer:
        for i in range(20):
            producer.send(topic, b"%d" % i)
        producer.flush()
    partition = TopicPartition(topic, 0)
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        admin.delete_records({partition: 15})
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    assert consumer.beginning_offsets([partition]) == {partition: 15}
    consumer.close()
    assert [r.value for r in read_all(bootstrap, topic, 5)] == [b"%d" % i for i in range(15, 20)]
