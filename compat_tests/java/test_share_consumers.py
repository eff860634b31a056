"""Java's share consumers in several processes of one group: Kafka's performance and verification tools, unchanged."""

import json
import re
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from compat_tests.brokers import pykbroker
from compat_tests.java.tools import command, run
from compat_tests.wire.raw_client import RawClient
from pykbroker.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pykbroker.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)

SHARE_PERFORMANCE = "org.apache.kafka.tools.ShareConsumerPerformance"
VERIFIABLE = "org.apache.kafka.tools.VerifiableShareConsumer"
RECORDS = 10_000
GROUP = 32  # resource type

Key = tuple[int, int]  # partition, offset


def fill(bootstrap: str, topic: str, group: str, records: int) -> None:
    """Records in two partitions, which the group reads from their beginning."""
    with RawClient(bootstrap) as client:
        creatable = CreatableTopic(name=topic, num_partitions=2, replication_factor=1)
        (row,) = client.ask(CreateTopicsRequest(topics=[creatable], timeout_ms=10_000), 7).topics
        assert row.error_code == 0, row
        config = AlterableConfig(name="share.auto.offset.reset", config_operation=0, value="earliest")
        resource = AlterConfigsResource(resource_type=GROUP, resource_name=group, configs=[config])
        (row,) = client.ask(IncrementalAlterConfigsRequest(resources=[resource]), 1).responses
        assert row.error_code == 0, row
    produce(bootstrap, topic, records)


def produce(bootstrap: str, topic: str, records: int) -> None:
    with KafkaProducer(bootstrap_servers=bootstrap, linger_ms=5) as producer:
        for number in range(records):
            producer.send(topic, b"%d" % number, partition=number % 2)
        producer.flush()


class Members:
    """Share consumers that print each record they get and what became of each acknowledgement: `confirmed` were
    answered without an error, `acknowledged` with or without (when a broker dies, nobody knows)."""

    def __init__(self, bootstrap: str, topic: str, group: str, count: int = 2) -> None:
        arguments = ("--bootstrap-server", bootstrap, "--topic", topic, "--group-id", group, "--verbose")
        self._received: Counter[Key] = Counter()
        self._acknowledged: Counter[Key] = Counter()
        self._confirmed: set[Key] = set()
        self._changed = threading.Condition()
        self._processes = [
            subprocess.Popen(
                command(VERIFIABLE, *arguments), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            for _ in range(count)
        ]
        self._threads = [threading.Thread(target=self._read, args=(one,)) for one in self._processes]
        for thread in self._threads:
            thread.start()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                if line.startswith("{"):
                    with self._changed:
                        self._note(json.loads(line))
                        self._changed.notify_all()

    def _note(self, event: dict[str, Any]) -> None:
        if event["name"] == "record_data":
            self._received[event["partition"], event["offset"]] += 1
        elif event["name"] == "offsets_acknowledged":
            for row in event["partitions"]:
                keys = [(row["partition"], offset) for offset in row["offsets"]]
                self._acknowledged.update(keys)
                if event["success"]:
                    self._confirmed.update(keys)

    @property
    def received(self) -> Counter[Key]:
        with self._changed:
            return Counter(self._received)

    @property
    def acknowledged(self) -> Counter[Key]:
        with self._changed:
            return Counter(self._acknowledged)

    @property
    def confirmed(self) -> set[Key]:
        with self._changed:
            return set(self._confirmed)

    def await_acknowledged(self, count: int) -> None:
        """Until so many different records are."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._acknowledged) >= count, 90), (
                f"{len(self._acknowledged)} of {count} records are acknowledged, {len(self._received)} received"
            )

    def stop(self, *, at_once: bool = False) -> None:
        """`at_once`: by SIGKILL. A share consumer that closes waits 30 s for brokers that died while it knew them."""
        for process in self._processes:
            if at_once:
                process.kill()
            else:
                process.terminate()
        for process, thread in zip(self._processes, self._threads, strict=True):
            process.wait(30)
            thread.join(30)


def test_the_performance_tool(bootstrap: str, topic: str, group: str) -> None:
    fill(bootstrap, topic, group, RECORDS)
    arguments = ("--group", group, "--num-records", str(RECORDS), "--timeout", "30000")
    output = run(SHARE_PERFORMANCE, "--bootstrap-server", bootstrap, "--topic", topic, *arguments)
    counts = [int(count) for count in re.findall(r", (\d+), \d+\s*$", output, re.MULTILINE)]
    assert counts, output
    assert counts[0] >= RECORDS


def test_each_record_is_acknowledged_by_one_of_the_members(bootstrap: str, topic: str, group: str) -> None:
    fill(bootstrap, topic, group, RECORDS)
    members = Members(bootstrap, topic, group)
    try:
        members.await_acknowledged(RECORDS)
    finally:
        members.stop()
    assert len(members.received) == RECORDS
    assert set(members.acknowledged.values()) == {1}, "a record was acknowledged twice"


@pytest.mark.own_broker
def test_state_outlives_the_broker(tmp_path: Path, unique: Callable[[str], str]) -> None:
    """SIGKILL in the midst: everything is delivered, and what was acknowledged before is not delivered afterwards."""
    topic, group = unique("topic"), unique("share")
    with pykbroker(tmp_path / "data") as broker:
        fill(broker.bootstrap, topic, group, RECORDS)
        members = Members(broker.bootstrap, topic, group)
        try:
            for part in (4, 2):
                members.await_acknowledged(RECORDS // part)
                broker.kill()
                before, seen = members.confirmed, members.received
                broker.start()
            produce(broker.bootstrap, topic, RECORDS)
            members.await_acknowledged(2 * RECORDS)
        finally:
            members.stop()
    again = [key for key, count in members.received.items() if key in before and count > seen[key]]
    assert not again, f"acknowledged, and delivered once more: {sorted(again)[:10]}"
    assert set(members.received) == set(members.acknowledged)
    assert len(members.acknowledged) == 2 * RECORDS
