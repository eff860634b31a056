"""Stop, start again, and find everything; and the same after SIGKILL."""

from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.structs import OffsetAndMetadata

from compat_tests.brokers import PykbrokerProcess, pykbroker

pytestmark = pytest.mark.own_broker


def fill(broker: PykbrokerProcess, topic: str, group: str) -> list[tuple[int, bytes]]:
    """Acknowledged records as (offset, value), and a committed offset of 30."""
    with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
        admin.create_topics(
            {topic: {"num_partitions": 1, "replication_factor": 1, "configs": {"segment.bytes": "1048576"}}}
        )
    with KafkaProducer(bootstrap_servers=broker.bootstrap, compression_type="lz4") as producer:
        sent = [(producer.send(topic, b"%d " % i * 300), b"%d " % i * 300) for i in range(3000)]
        producer.flush()
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=group, enable_auto_commit=False)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.commit({partition: OffsetAndMetadata(30, "", -1)})
    consumer.close()
    return [(future.get(10).offset, value) for future, value in sent]


def check(broker: PykbrokerProcess, topic: str, group: str, acknowledged: list[tuple[int, bytes]]) -> None:
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=group, enable_auto_commit=False)
    partition = TopicPartition(topic, 0)
    assert consumer.committed(partition) == 30
    assert consumer.end_offsets([partition]) == {partition: len(acknowledged)}
    consumer.assign([partition])
    consumer.seek_to_beginning()
    found: list[tuple[int, bytes]] = []
    while len(found) < len(acknowledged):
        batches = consumer.poll(timeout_ms=10_000)
        assert batches, f"only {len(found)} records came back"
        found += [(record.offset, record.value) for batch in batches.values() for record in batch]
    consumer.close()
    assert found == acknowledged
    with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
        assert "1048576" in str(admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]))


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_everything_is_there_after(how: str, tmp_path: Path, unique: Callable[[str], str]) -> None:
    topic, group = unique("kept"), unique("group")
    with pykbroker(tmp_path / "data") as broker:
        acknowledged = fill(broker, topic, group)
        for _ in range(2):
            code = broker.stop() if how == "stop" else broker.kill()
            assert code == (0 if how == "stop" else -9)
            broker.start()
            check(broker, topic, group, acknowledged)
        with KafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
            offset = producer.send(topic, b"after").get(10).offset
        check(broker, topic, group, [*acknowledged, (offset, b"after")])
