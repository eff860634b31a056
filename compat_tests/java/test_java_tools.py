"""Kafka's own console and performance tools, unchanged."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from compat_tests.brokers import pykbroker
from compat_tests.java.tools import run

TOPICS = "org.apache.kafka.tools.TopicCommand"
PRODUCER = "org.apache.kafka.tools.ConsoleProducer"
CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
OFFSETS = "org.apache.kafka.tools.GetOffsetShell"
CONFIGS = "kafka.admin.ConfigCommand"
DELETE_RECORDS = "org.apache.kafka.tools.DeleteRecordsCommand"
LOG_DIRS = "org.apache.kafka.tools.LogDirsCommand"
PRODUCER_PERFORMANCE = "org.apache.kafka.tools.ProducerPerformance"
CONSUMER_PERFORMANCE = "org.apache.kafka.tools.ConsumerPerformance"
DUMP = "org.apache.kafka.tools.DumpLogSegments"


def topics(bootstrap: str, *arguments: str) -> str:
    return run(TOPICS, "--bootstrap-server", bootstrap, *arguments)


def test_topics_are_created_altered_described_and_deleted(bootstrap: str, topic: str) -> None:
    topics(bootstrap, "--create", "--topic", topic, "--partitions", "2", "--config", "retention.ms=60000")
    described = topics(bootstrap, "--describe", "--topic", topic)
    assert "PartitionCount: 2" in described
    assert "retention.ms=60000" in described
    assert re.search(r"Partition: 1\s+Leader: \d+\s+Replicas: \d+\s+Isr: \d+", described)
    topics(bootstrap, "--alter", "--topic", topic, "--partitions", "5")
    assert "PartitionCount: 5" in topics(bootstrap, "--describe", "--topic", topic)
    topics(bootstrap, "--delete", "--topic", topic)
    assert topic not in topics(bootstrap, "--list").split()


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_console_producer_and_consumer(bootstrap: str, topic: str, group: str, codec: str) -> None:
    lines = [f"line {i}" for i in range(200)]
    run(
        PRODUCER,
        "--bootstrap-server",
        bootstrap,
        "--topic",
        topic,
        "--compression-codec",
        codec,
        stdin="".join(f"{line}\n" for line in lines),
    )
    output = run(
        CONSUMER,
        "--bootstrap-server",
        bootstrap,
        "--topic",
        topic,
        "--group",
        group,
        "--from-beginning",
        "--max-messages",
        "200",
        "--timeout-ms",
        "30000",
    )
    assert [line for line in output.splitlines() if line.startswith("line ")] == lines


def test_groups_are_described_reset_and_deleted(bootstrap: str, topic: str, group: str) -> None:
    run(PRODUCER, "--bootstrap-server", bootstrap, "--topic", topic, stdin="a\nb\nc\n")
    run(
        CONSUMER,
        "--bootstrap-server",
        bootstrap,
        "--topic",
        topic,
        "--group",
        group,
        "--from-beginning",
        "--max-messages",
        "3",
        "--timeout-ms",
        "30000",
    )
    base = ("--bootstrap-server", bootstrap)
    described = run(GROUPS, *base, "--describe", "--group", group)
    assert re.search(rf"{group}\s+{topic}\s+0\s+3\s+3\s+0", described), described
    assert group in run(GROUPS, *base, "--list")
    run(GROUPS, *base, "--reset-offsets", "--to-earliest", "--topic", topic, "--group", group, "--execute")
    assert re.search(rf"{group}\s+{topic}\s+0\s+0\s+3\s+3", run(GROUPS, *base, "--describe", "--group", group))
    run(GROUPS, *base, "--delete", "--group", group)
    assert group not in run(GROUPS, *base, "--list").split()


def test_get_offsets_and_delete_records(bootstrap: str, topic: str, tmp_path: Path) -> None:
    run(PRODUCER, "--bootstrap-server", bootstrap, "--topic", topic, stdin="".join(f"{i}\n" for i in range(10)))
    base = ("--bootstrap-server", bootstrap, "--topic", topic)
    assert f"{topic}:0:10" in run(OFFSETS, *base)
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"partitions": [{"topic": topic, "partition": 0, "offset": 4}], "version": 1}))
    run(DELETE_RECORDS, "--bootstrap-server", bootstrap, "--offset-json-file", str(plan))
    assert f"{topic}:0:4" in run(OFFSETS, *base, "--time", "earliest")


def test_configs_and_log_dirs(bootstrap: str, topic: str) -> None:
    topics(bootstrap, "--create", "--topic", topic)
    base = ("--bootstrap-server", bootstrap, "--entity-type", "topics", "--entity-name", topic)
    run(CONFIGS, *base, "--alter", "--add-config", "max.message.bytes=4321")
    described = run(CONFIGS, *base, "--describe")
    assert "max.message.bytes=4321" in described
    assert "DYNAMIC_TOPIC_CONFIG:max.message.bytes=4321" in described
    run(CONFIGS, *base, "--alter", "--delete-config", "max.message.bytes")
    assert "4321" not in run(CONFIGS, *base, "--describe")
    assert f'"partition":"{topic}-0"' in run(
        LOG_DIRS, "--bootstrap-server", bootstrap, "--describe", "--topic-list", topic
    )


def test_performance_tools(bootstrap: str, topic: str) -> None:
    produced = run(
        PRODUCER_PERFORMANCE,
        "--topic",
        topic,
        "--num-records",
        "20000",
        "--record-size",
        "512",
        "--throughput",
        "-1",
        "--bootstrap-server",
        bootstrap,
    )
    assert "20000 records sent" in produced
    consumed = run(
        CONSUMER_PERFORMANCE,
        "--bootstrap-server",
        bootstrap,
        "--topic",
        topic,
        "--num-records",
        "20000",
        "--timeout",
        "30000",
    )
    assert re.search(r", 20\d\d\d, ", consumed), consumed


@pytest.mark.own_broker
def test_dump_log_reads_what_we_wrote(tmp_path: Path, unique: Callable[[str], str]) -> None:
    data = tmp_path / "data"
    name = unique("dumped")
    with pykbroker(data, "offsets.topic.num.partitions=1") as broker:
        topics(broker.bootstrap, "--create", "--topic", name, "--config", "segment.bytes=1048576")
        run(
            PRODUCER_PERFORMANCE,
            "--topic",
            name,
            "--num-records",
            "4000",
            "--record-size",
            "1000",
            "--throughput",
            "-1",
            "--bootstrap-server",
            broker.bootstrap,
        )
        run(
            CONSUMER,
            "--bootstrap-server",
            broker.bootstrap,
            "--topic",
            name,
            "--group",
            "g",
            "--from-beginning",
            "--max-messages",
            "10",
            "--timeout-ms",
            "30000",
        )
    segments = sorted((data / f"{name}-0").glob("*.log"))
    assert len(segments) > 2
    dumped = run(DUMP, "--deep-iteration", "--files", ",".join(map(str, segments)))
    assert dumped.count("isvalid: true") == dumped.count("isvalid:")
    indexes = ",".join(str(path) for path in sorted((data / f"{name}-0").glob("*index")))
    assert "mismatch" not in run(DUMP, "--index-sanity-check", "--files", indexes).lower()
    assert "Found" not in run(DUMP, "--verify-index-only", "--files", indexes)
    metadata = run(
        DUMP, "--cluster-metadata-decoder", "--files", str(next((data / "__cluster_metadata-0").glob("*.log")))
    )
    assert '"type":"TOPIC_RECORD"' in metadata
    assert name in metadata
    assert "error" not in metadata.lower()
    offsets = run(DUMP, "--offsets-decoder", "--files", str(next((data / "__consumer_offsets-0").glob("*.log"))))
    assert '"type":"2"' in offsets or '"group":"g"' in offsets
