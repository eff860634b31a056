"""Segments with message sets of magic 0 and 1, as brokers before 0.11 left them, served by a whole broker.

Kafka 4 converts neither way: the bytes are served as they are stored, to any version of Fetch that is left. With
--oracle the real Kafka is asked the same on the same directory.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer
from kafka import TopicPartition as KafkaPythonPartition

from compat_tests.disk import served
from compat_tests.disk.handover import SETTINGS, asking
from compat_tests.disk.restartable import Restartable, restartable
from compat_tests.wire.conftest import SocketAsker
from pykbroker.record.batch import iterate_frames, parse_header
from tests.golden_data import golden_lines
from tests.handlers.broker.asker import Topic, batch, fetch, produce, wants

LINES = [
    line
    for line in golden_lines("records/batches.jsonl.gz")
    if line["magic"] < 2 and line["case"] in ("plain", "log_append_time", "gaps", "one")
]
FETCH_VERSIONS = (4, 7, 11, 12, 13, 16, 17)
NEWER = 1_790_000_000_000  # than all of them


@pytest.fixture
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Restartable]:
    with restartable(request, tmp_path, SETTINGS) as broker:
        yield broker


def name_of(line: dict[str, Any]) -> str:
    return f"{line['case']}.{line['magic']}.{line['codec']}"


def records_of(line: dict[str, Any]) -> list[dict[str, Any]]:
    return [record for each in line["batches"] for record in each["records"]]


def stored(broker: Restartable) -> dict[str, Topic]:
    """A topic for each line, with nothing but the old segment in its directory, and the broker started again on it."""
    with asking(broker.bootstrap) as asker:
        topics = {name_of(line): asker.create(1, name_of(line), retention_ms="-1") for line in LINES}
    broker.stop()
    for line in LINES:
        folder = broker.data_dir / f"{name_of(line)}-0"
        for path in folder.iterdir():
            if path.name != "partition.metadata":
                path.unlink()
        (folder / f"{0:020}.log").write_bytes(bytes.fromhex(line["hex"]))
    (broker.data_dir / ".kafka_cleanshutdown").unlink()  # there are no indexes
    broker.start()
    return topics


@pytest.mark.timeout(120)
def test_they_are_served_as_they_are_stored(broker: Restartable) -> None:
    topics = stored(broker)
    with asking(broker.bootstrap) as asker:
        for line in LINES:
            topic, end = topics[name_of(line)], records_of(line)[-1]["offset"] + 1
            assert served.offset_for(asker, topic, 0, served.EARLIEST).offset == 0
            assert served.offset_for(asker, topic, 0, served.LATEST).offset == end
            for version in FETCH_VERSIONS:
                assert fetched(asker, topic, 0, version) == bytes.fromhex(line["hex"]), (name_of(line), version)
            check_each_offset(asker, topic, line)
            check_times(asker, topic, line)
        check_newer_ones_behind(asker, topics)
    check_client(broker.bootstrap)
    broker.stop()
    broker.start()
    with asking(broker.bootstrap) as asker:
        for line in LINES:
            assert fetched(asker, topics[name_of(line)], 0).startswith(bytes.fromhex(line["hex"]))


def fetched(asker: SocketAsker, topic: Topic, offset: int, version: int = 12) -> bytes:
    (row,) = fetch(asker, (topic, [wants(0, offset)]), version=version).responses[0].partitions
    assert row.error_code == 0, row
    return bytes(row.records)


def check_each_offset(asker: SocketAsker, topic: Topic, line: dict[str, Any]) -> None:
    """The answer begins with the message set that holds the offset."""
    data = bytes.fromhex(line["hex"])
    for (position, _), described in zip(iterate_frames(data), line["batches"], strict=True):
        for record in described["records"]:
            assert fetched(asker, topic, record["offset"]) == data[position:], (name_of(line), record["offset"])


def check_times(asker: SocketAsker, topic: Topic, line: dict[str, Any]) -> None:
    """Magic 0 has none."""
    times = [record["timestamp"] for record in records_of(line)]
    newest = served.offset_for(asker, topic, 0, served.MAX_TIMESTAMP)
    if line["magic"] == 0:
        assert served.offset_for(asker, topic, 0, 0).offset == -1
        assert newest.offset == -1
        return
    assert newest.timestamp == max(times)
    for timestamp in times:
        row = served.offset_for(asker, topic, 0, timestamp)
        first = next(record for record in records_of(line) if record["timestamp"] >= timestamp)
        assert (row.offset, row.timestamp, row.leader_epoch) == (first["offset"], first["timestamp"], -1)


def check_newer_ones_behind(asker: SocketAsker, topics: dict[str, Topic]) -> None:
    """What is produced from now on is of magic 2."""
    for line in LINES:
        topic, end = topics[name_of(line)], records_of(line)[-1]["offset"] + 1
        row = produce(asker, topic, [(0, batch(1, timestamp=NEWER))])[0]
        assert (row.error_code, row.base_offset) == (0, end)
        assert parse_header(fetched(asker, topic, end)).base_offset == end  # in a segment of its own, so much later
        assert served.offset_for(asker, topic, 0, NEWER).offset == end


def check_client(bootstrap: str) -> None:
    """kafka-python still decodes all three."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    try:
        for line in LINES:
            if line["codec"] in ("none", "gzip") and line["case"] in ("plain", "one"):
                partition = KafkaPythonPartition(name_of(line), 0)
                consumer.assign([partition])
                consumer.seek(partition, 0)
                expected = records_of(line)
                found: list[Any] = []
                for _ in range(50):
                    found += consumer.poll(200).get(partition, [])
                    if len(found) > len(expected):
                        break
                told = [(one.offset, served.hexed(one.key), served.hexed(one.value)) for one in found[:-1]]
                assert told == [(one["offset"], one["key"], one["value"]) for one in expected], name_of(line)
                assert found[-1].timestamp == NEWER
    finally:
        consumer.close()
