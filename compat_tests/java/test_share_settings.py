"""Java's share consumer in groups whose settings, made with `kafka-configs`, leave records out."""

import time

import pytest
from kafka import KafkaProducer

from compat_tests.java.tools import run

TOPICS = "org.apache.kafka.tools.TopicCommand"
CONFIGS = "kafka.admin.ConfigCommand"
CONSUMER = "org.apache.kafka.tools.consumer.ConsoleShareConsumer"
HOUR_MS = 3_600_000

pytestmark = pytest.mark.timeout(240)  # each tool is a JVM that starts


def configure(bootstrap: str, group: str, settings: str) -> None:
    who = ("--entity-type", "groups", "--entity-name", group)
    run(CONFIGS, "--bootstrap-server", bootstrap, "--alter", *who, "--add-config", settings)


def consumed(bootstrap: str, topic: str, group: str, count: int) -> list[str]:
    """As many, or fewer if no more come for a while."""
    limits = ("--max-messages", str(count), "--timeout-ms", "20000")
    output = run(CONSUMER, "--bootstrap-server", bootstrap, "--topic", topic, "--group", group, *limits)
    return [line for line in output.splitlines() if line.startswith("record ")]


def test_only_what_was_committed(bootstrap: str, topic: str, group: str) -> None:
    run(TOPICS, "--bootstrap-server", bootstrap, "--create", "--topic", topic, "--partitions", "1")
    configure(bootstrap, group, "share.auto.offset.reset=earliest,share.isolation.level=read_committed")
    with KafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"tx-{topic}") as producer:
        producer.init_transactions()
        for number in range(6):
            producer.begin_transaction()
            producer.send(topic, b"record %d" % number).get(10)
            if number % 2:
                producer.commit_transaction()
            else:
                producer.abort_transaction()
    assert consumed(bootstrap, topic, group, 3) == ["record 1", "record 3", "record 5"]


def test_only_what_is_not_too_old(bootstrap: str, topic: str, group: str) -> None:
    run(TOPICS, "--bootstrap-server", bootstrap, "--create", "--topic", topic, "--partitions", "1")
    configure(bootstrap, group, "share.auto.offset.reset=by_duration:PT90M")
    now = int(time.time() * 1000)
    with KafkaProducer(bootstrap_servers=bootstrap) as producer:
        for hours in range(4, -1, -1):
            producer.send(topic, b"record %d" % hours, timestamp_ms=now - hours * HOUR_MS).get(10)
    assert consumed(bootstrap, topic, group, 2) == ["record 1", "record 0"]
