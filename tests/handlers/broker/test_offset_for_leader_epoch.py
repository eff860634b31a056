"""OffsetForLeaderEpoch, as the real Kafka 4.3.1 answers it."""

from collections.abc import Sequence

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from tests.handlers.broker.asker import UNKNOWN_TOPIC, Asker, Topic, batch, produce

Asked = Sequence[tuple[int, int, int]]


def topic_of(topic: Topic, asked: Asked) -> OffsetForLeaderTopic:
    return OffsetForLeaderTopic(
        topic=topic.name,
        partitions=[
            OffsetForLeaderPartition(partition=index, current_leader_epoch=current, leader_epoch=epoch)
            for index, current, epoch in asked
        ],
    )


def end_offsets(asker: Asker, *asked: tuple[Topic, Asked], version: int = 4) -> list[tuple[int, int, int, int]]:
    """(partition, error, epoch, end offset) for each (partition, current leader epoch, epoch)."""
    request = OffsetForLeaderEpochRequest(replica_id=-1, topics=[topic_of(topic, rows) for topic, rows in asked])
    response = asker.ask(request, version)
    return [
        (row.partition, row.error_code, row.leader_epoch, row.end_offset)
        for one in response.topics
        for row in one.partitions
    ]


def filled(asker: Asker) -> Topic:
    topic = asker.create(partitions=2)
    produce(asker, topic, [(0, batch(9))])
    return topic


@pytest.mark.parametrize("version", [2, 3, 4])
def test_the_current_epoch_ends_at_the_log_end(asker: Asker, version: int) -> None:
    topic = filled(asker)
    assert end_offsets(asker, (topic, [(0, -1, 0), (1, 0, 0)]), version=version) == [(0, 0, 0, 9), (1, 0, 0, 0)]


def test_unknown_epochs(asker: Asker) -> None:
    topic = filled(asker)
    for epoch in (1, 5, -1):
        assert end_offsets(asker, (topic, [(0, -1, epoch)])) == [(0, 0, -1, -1)]
    assert end_offsets(asker, (topic, [(0, -1, -5)])) == [(0, 0, -5, 0)]


def test_the_current_leader_epoch_is_checked(asker: Asker) -> None:
    topic = filled(asker)
    assert end_offsets(asker, (topic, [(0, 1, 0)])) == [(0, ErrorCode.UNKNOWN_LEADER_EPOCH, -1, -1)]
    assert end_offsets(asker, (topic, [(0, -5, 0)])) == [(0, ErrorCode.FENCED_LEADER_EPOCH, -1, -1)]


def test_unknown_partitions(asker: Asker) -> None:
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert end_offsets(asker, (filled(asker), [(9, -1, 0)])) == [(9, unknown, -1, -1)]
    assert end_offsets(asker, (UNKNOWN_TOPIC, [(0, -1, 0)])) == [(0, unknown, -1, -1)]


def test_what_is_asked_twice_is_answered_twice(asker: Asker) -> None:
    topic = filled(asker)
    assert end_offsets(asker, (topic, [(0, -1, 0), (0, 0, 0)])) == [(0, 0, 0, 9)] * 2
    assert end_offsets(asker, (topic, [(0, -1, 0)]), (topic, [(1, -1, 0)])) == [(0, 0, 0, 9), (1, 0, 0, 0)]
