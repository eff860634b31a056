"""ListOffsets, as the real Kafka 4.3.1 answers it."""

from collections.abc import Sequence

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from pykbroker.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from tests.handlers.broker.asker import TIMESTAMP, UNKNOWN_TOPIC, Asker, Topic, batch, produce

LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED, EARLIEST_PENDING_UPLOAD = range(-1, -7, -1)
Row = tuple[int, int, int, int, int]


def list_offsets(
    asker: Asker, topic: Topic, asked: Sequence[tuple[int, ...]], version: int = 11, **fields: int
) -> list[Row]:
    """(partition, error, timestamp, offset, leader epoch) for each (partition, timestamp, current leader epoch)."""
    partitions = [
        ListOffsetsPartition(partition_index=index, timestamp=timestamp, current_leader_epoch=[*epoch, -1][0])
        for index, timestamp, *epoch in asked
    ]
    request = ListOffsetsRequest(
        topics=[ListOffsetsTopic(name=topic.name, partitions=partitions)], **{"replica_id": -1, **fields}
    )
    response = asker.ask(request, version)
    assert response.throttle_time_ms == 0
    return [
        (row.partition_index, row.error_code, row.timestamp, row.offset, row.leader_epoch)
        for one in response.topics
        for row in one.partitions
    ]


def one(asker: Asker, topic: Topic, timestamp: int, version: int = 11, **fields: int) -> Row:
    (row,) = list_offsets(asker, topic, [(0, timestamp)], version, **fields)
    return row


def filled(asker: Asker, **configs: str) -> Topic:
    """Three equal batches of three records each, their timestamps 0, 1, 2."""
    topic = asker.create(**configs)
    for _ in range(3):
        produce(asker, topic, [(0, batch(3))])
    return topic


@pytest.mark.parametrize("version", range(1, 12))
def test_special_timestamps_by_version(asker: Asker, version: int) -> None:
    epoch = 0 if version >= 4 else -1
    unsupported = (0, ErrorCode.UNSUPPORTED_VERSION, -1, -1, -1)
    answers = {
        LATEST: (1, (0, 0, -1, 9, epoch)),
        EARLIEST: (1, (0, 0, -1, 0, epoch)),
        MAX_TIMESTAMP: (7, (0, 0, TIMESTAMP + 2, 2, epoch)),
        EARLIEST_LOCAL: (8, (0, 0, -1, 0, epoch)),
        LATEST_TIERED: (9, (0, 0, -1, -1, -1)),
        EARLIEST_PENDING_UPLOAD: (11, (0, 0, -1, -1, -1)),
        -7: (99, unsupported),
        -99: (99, unsupported),
    }
    topic = filled(asker)
    for timestamp, (since, answer) in answers.items():
        assert one(asker, topic, timestamp, version) == (answer if version >= since else unsupported), timestamp


def test_of_an_empty_log(asker: Asker) -> None:
    topic = asker.create()
    assert one(asker, topic, LATEST) == (0, 0, -1, 0, 0)
    assert one(asker, topic, EARLIEST) == (0, 0, -1, 0, 0)
    assert one(asker, topic, EARLIEST_LOCAL) == (0, 0, -1, 0, 0)
    for timestamp in (MAX_TIMESTAMP, LATEST_TIERED, EARLIEST_PENDING_UPLOAD, 0, TIMESTAMP):
        assert one(asker, topic, timestamp) == (0, 0, -1, -1, -1)


def test_by_timestamp(asker: Asker) -> None:
    topic = filled(asker)
    assert one(asker, topic, 0) == (0, 0, TIMESTAMP, 0, 0)
    assert one(asker, topic, TIMESTAMP + 1) == (0, 0, TIMESTAMP + 1, 1, 0)
    assert one(asker, topic, TIMESTAMP + 3) == (0, 0, -1, -1, -1)
    assert one(asker, topic, TIMESTAMP + 1, 1) == (0, 0, TIMESTAMP + 1, 1, -1)


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_by_timestamp_inside_a_compressed_batch(asker: Asker, codec: int) -> None:
    topic = asker.create()
    produce(asker, topic, [(0, batch(50, codec=codec))])
    assert one(asker, topic, TIMESTAMP + 30) == (0, 0, TIMESTAMP + 30, 30, 0)
    assert one(asker, topic, MAX_TIMESTAMP) == (0, 0, TIMESTAMP + 49, 49, 0)


def delete_records(asker: Asker, topic: Topic, offset: int) -> None:
    partition = DeleteRecordsPartition(partition_index=0, offset=offset)
    asker.ask(
        DeleteRecordsRequest(timeout_ms=5000, topics=[DeleteRecordsTopic(name=topic.name, partitions=[partition])]), 2
    )


def test_records_before_the_log_start_are_not_found(asker: Asker) -> None:
    topic = filled(asker)
    delete_records(asker, topic, 5)
    assert one(asker, topic, EARLIEST) == (0, 0, -1, 5, 0)
    assert one(asker, topic, EARLIEST_LOCAL) == (0, 0, -1, 5, 0)
    assert one(asker, topic, 0) == (0, 0, TIMESTAMP + 2, 5, 0)
    delete_records(asker, topic, -1)
    assert one(asker, topic, EARLIEST) == (0, 0, -1, 9, 0)
    assert one(asker, topic, 0) == (0, 0, -1, -1, -1)
    assert one(asker, topic, MAX_TIMESTAMP) == (0, 0, TIMESTAMP + 2, 2, 0), "the segment is still there"


def test_unknown_partitions(asker: Asker) -> None:
    assert one(asker, UNKNOWN_TOPIC, LATEST) == (0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1, -1, -1)
    topic = asker.create()
    (row,) = list_offsets(asker, topic, [(9, LATEST, 5)])
    assert row == (9, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1, -1, -1)


def test_leader_epochs_are_checked(asker: Asker) -> None:
    topic = asker.create()
    assert list_offsets(asker, topic, [(0, LATEST, 0)]) == [(0, 0, -1, 0, 0)]
    assert list_offsets(asker, topic, [(0, EARLIEST, 5)]) == [(0, ErrorCode.UNKNOWN_LEADER_EPOCH, -1, -1, -1)]
    assert list_offsets(asker, topic, [(0, LATEST, -5)]) == [(0, ErrorCode.FENCED_LEADER_EPOCH, -1, -1, -1)]


def test_a_partition_asked_for_twice_is_refused(asker: Asker) -> None:
    topic = asker.create(partitions=2)
    rows = list_offsets(asker, topic, [(0, LATEST), (0, EARLIEST), (1, LATEST)])
    assert sorted(rows) == [(0, ErrorCode.INVALID_REQUEST, -1, -1, -1), (1, 0, -1, 0, 0)]
    asked = [
        ListOffsetsTopic(name=topic.name, partitions=[ListOffsetsPartition(partition_index=0, timestamp=timestamp)])
        for timestamp in (LATEST, EARLIEST)
    ]
    response = asker.ask(ListOffsetsRequest(replica_id=-1, topics=asked), 8)
    found = [[row.error_code for row in topic.partitions] for topic in response.topics]
    assert found == [[ErrorCode.INVALID_REQUEST]]


@pytest.mark.parametrize("replica_id", [-3, -2, 0, 1, 7])
def test_any_replica_may_ask(asker: Asker, replica_id: int) -> None:
    topic = filled(asker)
    assert one(asker, topic, LATEST, replica_id=replica_id) == (0, 0, -1, 9, 0)
    assert one(asker, topic, MAX_TIMESTAMP, replica_id=replica_id) == (0, 0, TIMESTAMP + 2, 2, 0)


def test_isolation_levels(asker: Asker) -> None:
    topic = filled(asker)
    assert one(asker, topic, LATEST, isolation_level=1) == (0, 0, -1, 9, 0)
    for level in (2, 5, -1):
        assert one(asker, topic, LATEST, isolation_level=level) == (0, ErrorCode.UNKNOWN_SERVER_ERROR, -1, -1, -1)


def test_an_open_transaction_hides_what_is_behind_it(asker: Asker) -> None:
    topic = filled(asker)
    open_batch = batch(1, producer_id=-1, is_transactional=True)
    produce(asker, topic, [(0, open_batch)], 12, transactional_id="tx")
    assert one(asker, topic, LATEST, isolation_level=1) == (0, 0, -1, 10, 0), "no producer id, no transaction"
