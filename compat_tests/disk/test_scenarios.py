"""What restarts, retention and the clock must not do to clients: rows of scenarios.md, section 1, named in each test.

With --oracle the real Kafka is asked the same.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from compat_tests.disk import served
from compat_tests.disk.handover import SETTINGS, asking
from compat_tests.disk.restartable import Restartable, restartable
from compat_tests.disk.workload import SMALL_SEGMENTS
from compat_tests.wire.conftest import SocketAsker
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from tests.handlers.broker.asker import Topic, batch, fetch, produce, rows_of, wants
from tests.handlers.cluster_asker import eventually
from tests.handlers.transaction_dialogue import begun

QUICK = {
    **SETTINGS,
    "log.retention.check.interval.ms": "100",
    "log.initial.task.delay.ms": "100",
    "log.segment.delete.delay.ms": "100",
    "producer.id.expiration.check.interval.ms": "100",
}
RESTARTS = ("stop", "kill")
PRODUCER = 4711
FORGOTTEN = ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


@pytest.fixture
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Restartable]:
    settings = {**QUICK, **getattr(request, "param", {})}
    with restartable(request, tmp_path, settings) as broker:
        yield broker


def again(broker: Restartable, how: str) -> None:
    broker.stop() if how == "stop" else broker.kill()
    broker.start()


def now() -> int:
    return time.time_ns() // 1_000_000


def send(asker: SocketAsker, topic: Topic, sequence: int, count: int = 2) -> tuple[int, int]:
    """(error code, first offset) of an idempotent batch; asked again while a broker that has started leads nothing."""
    records = batch(count, size=100, timestamp=now(), producer_id=PRODUCER, producer_epoch=0, base_sequence=sequence)
    row = eventually(lambda: produce(asker, topic, [(0, records)])[0], lambda row: row.error_code not in (3, 6))
    return row.error_code, row.base_offset


def trim(asker: SocketAsker, topic: Topic, offset: int) -> None:
    rows = [DeleteRecordsPartition(partition_index=0, offset=offset)]
    request = DeleteRecordsRequest(topics=[DeleteRecordsTopic(name=topic.name, partitions=rows)], timeout_ms=10_000)
    (answer,) = asker.ask(request, 2).topics[0].partitions
    assert answer.error_code == 0, answer


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", RESTARTS)
def test_a_retry_is_answered_although_its_segment_was_deleted(broker: Restartable, how: str) -> None:
    """Scenario 9, redpanda#5356: the original offset, not UNKNOWN_SERVER_ERROR, and no second copy."""
    with asking(broker.bootstrap) as asker:
        topic = asker.create(1, "gone", **(SMALL_SEGMENTS | {"internal_segment_bytes": "300"}))
        for sequence in range(0, 12, 2):
            assert send(asker, topic, sequence) == (0, sequence)
        trim(asker, topic, 11)
        folder = broker.data_dir / "gone-0"
        eventually(lambda: [file.name for file in folder.glob("*.log")], lambda names: names == [f"{10:020}.log"])
        assert send(asker, topic, 10) == (0, 10)
        assert send(asker, topic, 4) == (0, 4)
    again(broker, how)
    with asking(broker.bootstrap) as asker:
        assert send(asker, topic, 10) == (0, 10)
        assert send(asker, topic, 4) == (FORGOTTEN, -1)  # fatal to the client, as it must not write it again
        assert send(asker, topic, 12) == (0, 12)
        assert served.offset_for(asker, topic, 0, served.LATEST).offset == 14


@pytest.mark.parametrize("broker", [{"producer.id.expiration.ms": "500"}], indirect=True)
def test_an_idle_producer_that_was_forgotten_goes_on(broker: Restartable) -> None:
    """Scenario 10, redpanda#22670: whatever its sequence, no error that a client cannot get over, no second copy."""
    with asking(broker.bootstrap) as asker:
        topic = asker.create(1, "idle")
        assert send(asker, topic, 0) == (0, 0)
        eventually(lambda: served.producers(asker, topic, 0), lambda rows: not rows)
        assert send(asker, topic, 2) == (0, 2)
        assert served.offset_for(asker, topic, 0, served.LATEST).offset == 4
        assert [row["last_sequence"] for row in served.producers(asker, topic, 0)] in ([3], [])


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", RESTARTS)
def test_read_committed_goes_on_where_it_was(broker: Restartable, how: str) -> None:
    """Scenario 30, redpanda#17966: no OFFSET_OUT_OF_RANGE at the last known offset, and the end is reached."""
    with asking(broker.bootstrap) as asker:
        topic = asker.create(1, "committed", **SMALL_SEGMENTS)
        producer = begun(asker, "writer")
        for commits in (True, True, False):  # the last offset is that of an abort marker
            assert producer.produce(topic).error_code == 0
            assert producer.end(commits) == 0
            producer.at_rest()
        assert served.offset_for(asker, topic, 0, served.LATEST).offset == 6
    again(broker, how)
    assert read_on(broker, topic, 6) == ([], 6)
    assert read_on(broker, topic, 4) == ([], 6)
    assert read_on(broker, topic, 3) == ([], 6)
    assert read_on(broker, topic, 2) == ([2], 6)
    with asking(broker.bootstrap) as asker:
        opened = begun(asker, "other")
        assert eventually(lambda: opened.produce(topic).error_code, lambda code: code == 0) == 0
        again(broker, how)
    assert read_on(broker, topic, 6) == ([], 6)
    assert read_on(broker, topic, 2) == ([2], 6)
    with asking(broker.bootstrap) as asker:  # behind the last stable offset
        response = fetch(asker, (topic, [wants(0, 7)]), isolation_level=1)
        assert rows_of(response) == [(0, 0, 7, 0, 0)]


def read_on(broker: Restartable, topic: Topic, offset: int) -> tuple[list[int], int]:
    """The offsets of what is read from there to the end, and where that is."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": "reader",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
        }
    )
    consumer.assign([TopicPartition(topic.name, 0, offset)])
    found: list[int] = []
    ends: list[int | None] = []

    def poll() -> bool:
        for message in consumer.consume(1, 0.5):
            if (error := message.error()) is None:
                found.append(message.offset() or 0)
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                ends.append(message.offset())
        return bool(ends)

    eventually(poll, bool)
    consumer.close()
    (end,) = ends
    assert end is not None
    return found, end


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", RESTARTS)
def test_a_topic_created_again_inherits_nothing(broker: Restartable, how: str) -> None:
    """Scenario 31, kfake 3825bbc1, 20a5749a: neither records nor producers, and the old id is unknown."""
    with asking(broker.bootstrap) as asker:
        old = asker.create(1, "again", **SMALL_SEGMENTS)
        assert send(asker, old, 0) == (0, 0)
        assert send(asker, old, 2) == (0, 2)
        asker.delete(old)
        new = asker.create(1, "again", **SMALL_SEGMENTS)
        assert send(asker, new, 4) == (0, 0)
    again(broker, how)
    with asking(broker.bootstrap) as asker:
        assert served.offset_for(asker, new, 0, served.LATEST).offset == 2
        (row,) = served.producers(asker, new, 0)
        assert row["last_sequence"] == 5
        records = batch(2, timestamp=now(), producer_id=PRODUCER, producer_epoch=0, base_sequence=6)
        assert produce(asker, old, [(0, records)], 13)[0].error_code == ErrorCode.UNKNOWN_TOPIC_ID
        assert produce(asker, new, [(0, records)], 13)[0].error_code == 0
