"""DeleteRecords, as the real Kafka 4.3.1 answers it."""

from collections.abc import Sequence

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from tests.handlers.broker.asker import UNKNOWN_TOPIC, Asker, Topic, batch, fetch, produce, rows_of, wants


def delete(
    asker: Asker, topic: Topic, asked: Sequence[tuple[int, int]], version: int = 2
) -> list[tuple[int, int, int]]:
    """(partition, error, low watermark) for each (partition, offset)."""
    partitions = [DeleteRecordsPartition(partition_index=index, offset=offset) for index, offset in asked]
    request = DeleteRecordsRequest(timeout_ms=5000, topics=[DeleteRecordsTopic(name=topic.name, partitions=partitions)])
    response = asker.ask(request, version)
    return [
        (row.partition_index, row.error_code, row.low_watermark) for one in response.topics for row in one.partitions
    ]


def filled(asker: Asker, **configs: str) -> Topic:
    topic = asker.create(**configs)
    produce(asker, topic, [(0, batch(9))])
    return topic


@pytest.mark.parametrize("version", [0, 1, 2])
def test_moves_the_log_start(asker: Asker, version: int) -> None:
    topic = filled(asker)
    assert delete(asker, topic, [(0, 2)], version) == [(0, 0, 2)]
    assert delete(asker, topic, [(0, 1)], version) == [(0, 0, 2)], "never back"
    assert delete(asker, topic, [(0, -1)], version) == [(0, 0, 9)], "up to the high watermark"


def test_offsets_out_of_range(asker: Asker) -> None:
    topic = filled(asker)
    for offset in (10, 99, -2):
        assert delete(asker, topic, [(0, offset)]) == [(0, ErrorCode.OFFSET_OUT_OF_RANGE, -1)]


def test_unknown_partitions(asker: Asker) -> None:
    topic = filled(asker)
    assert delete(asker, topic, [(7, 1)]) == [(7, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1)]
    assert delete(asker, UNKNOWN_TOPIC, [(0, 1)]) == [(0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1)]


def test_the_last_of_two_entries_counts(asker: Asker) -> None:
    topic = filled(asker)
    assert delete(asker, topic, [(0, 3), (0, 4)]) == [(0, 0, 4)]


@pytest.mark.parametrize(
    ("policy", "answer"),
    [
        ("compact", (0, ErrorCode.POLICY_VIOLATION, -1)),
        ("compact,delete", (0, 0, 1)),
        ("delete", (0, 0, 1)),
        ("", (0, 0, 1)),
    ],
)
def test_only_compacted_topics_keep_their_records(asker: Asker, policy: str, answer: tuple[int, int, int]) -> None:
    assert delete(asker, filled(asker, cleanup_policy=policy), [(0, 1)]) == [answer]


def test_what_was_deleted_is_out_of_range(asker: Asker) -> None:
    topic = filled(asker)
    delete(asker, topic, [(0, 4)])
    (before,) = rows_of(fetch(asker, (topic, [wants(0, 3)])))
    (behind,) = rows_of(fetch(asker, (topic, [wants(0, 4)])))
    assert before == (0, ErrorCode.OFFSET_OUT_OF_RANGE, -1, -1, 0)
    assert behind[:4] == (0, 0, 9, 4)
    assert behind[4] > 0, "the batch that holds the log start is sent whole"
