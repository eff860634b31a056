"""Fetch, as the real Kafka 4.3.1 answers it (compat_tests/wire runs the same against a broker)."""

from typing import Any

import pytest

from pykbroker.ids import ZERO_UUID, Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.fetch import FetchRequest, FetchTopic, ReplicaState
from pykbroker.record.batch import iterate_batches
from pykbroker.record.reader import iterate_records
from tests.handlers.broker.asker import (
    UNKNOWN_TOPIC,
    Asker,
    Topic,
    batch,
    codes,
    fetch,
    produce,
    rows_of,
    wants,
)

VERSIONS = range(4, 19)
SIZE = len(batch(2, 100))


def filled(asker: Asker, partitions: int = 2, **configs: str) -> Topic:
    """Five batches of two records in partitions 0 and 1: offsets 0 to 9."""
    topic = asker.create(partitions, **configs)
    for _ in range(5):
        produce(asker, topic, [(index, batch(2, 100)) for index in range(min(2, partitions))])
    return topic


def only_row(response: Any) -> Any:
    ((row,),) = [topic.partitions for topic in response.responses]
    return row


def sizes(response: Any) -> list[int]:
    return [size for *_, size in rows_of(response)]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_gets_the_records(asker: Asker, version: int) -> None:
    topic = filled(asker)
    response = fetch(asker, (topic, [wants(0, 0)]), version=version)
    row = only_row(response)
    assert (response.error_code, response.session_id, response.throttle_time_ms) == (0, 0, 0)
    assert (row.partition_index, row.error_code, row.high_watermark, row.last_stable_offset) == (0, 0, 10, 10)
    assert row.log_start_offset == (0 if version >= 5 else -1)
    assert (row.aborted_transactions, row.preferred_read_replica) == (None, -1)
    assert [header.base_offset for header, _ in iterate_batches(row.records)] == [0, 2, 4, 6, 8]
    named = (response.responses[0].topic, response.responses[0].topic_id)
    assert named == ((topic.name, ZERO_UUID) if version < 13 else ("", topic.id))


@pytest.mark.parametrize(
    ("partition_max_bytes", "expected"),
    [
        (0, [SIZE, 0]),
        (1, [SIZE, 0]),
        (SIZE - 1, [SIZE, 0]),
        (SIZE, [SIZE, SIZE]),
        (SIZE + 1, [SIZE + 1, SIZE + 1]),
        (2 * SIZE + 50, [2 * SIZE + 50] * 2),
    ],
)
def test_partition_max_bytes(asker: Asker, partition_max_bytes: int, expected: list[int]) -> None:
    """The first partition with data gives a whole batch whatever its limit; the last batch may be cut."""
    topic = filled(asker)
    asked = [wants(index, 0, partition_max_bytes) for index in (0, 1)]
    assert sizes(fetch(asker, (topic, asked))) == expected


@pytest.mark.parametrize(
    ("max_bytes", "expected"),
    [
        (0, [SIZE, 0]),
        (SIZE - 1, [SIZE, 0]),
        (SIZE + 20, [SIZE + 20, 0]),
        (6 * SIZE, [5 * SIZE, SIZE]),
        (6 * SIZE + 20, [5 * SIZE, SIZE + 20]),
    ],
)
def test_max_bytes(asker: Asker, max_bytes: int, expected: list[int]) -> None:
    topic = filled(asker)
    assert sizes(fetch(asker, (topic, [wants(0, 0), wants(1, 0)]), max_bytes=max_bytes)) == expected


def test_the_first_partition_with_data_counts_not_the_first(asker: Asker) -> None:
    topic = filled(asker, partitions=3)
    assert sizes(fetch(asker, (topic, [wants(2, 0), wants(0, 10), wants(1, 0), wants(0, 0)]), max_bytes=1)) == [
        0,
        SIZE,
        0,
    ]


def test_negative_limits(asker: Asker) -> None:
    topic = filled(asker)
    unknown = [(0, ErrorCode.UNKNOWN_SERVER_ERROR, -1, -1, 0)]
    assert rows_of(fetch(asker, (topic, [wants(0, 0)]), max_bytes=-5)) == unknown
    assert rows_of(fetch(asker, (topic, [wants(0, 0, -5)]))) == unknown


def test_an_offset_inside_a_batch_gives_the_whole_batch(asker: Asker) -> None:
    """Scenario 28."""
    topic = filled(asker)
    for offset, first in ((1, 0), (9, 8), (8, 8)):
        records = only_row(fetch(asker, (topic, [wants(0, offset)]))).records
        assert next(iterate_batches(records))[0].base_offset == first


@pytest.mark.parametrize("codec", range(5))
def test_from_any_offset_on_nothing_is_missing_to_the_end(asker: Asker, codec: int) -> None:
    """Scenario 28 (Nisshi, compat/franz-go/FINDINGS.md): the last offset of the last batch too; no gap, no hang."""
    topic = asker.create()
    for _ in range(3):
        assert codes(produce(asker, topic, [(0, batch(3, codec=codec))])) == {0: 0}
    for start in range(10):
        found: list[int] = []
        position = start
        while records := only_row(fetch(asker, (topic, [wants(0, position, 100)]), max_wait_ms=0)).records:
            batches = [place for _, place in iterate_batches(records)]
            offsets = [record.offset for place in batches for record in iterate_records(records, place)]
            found += [offset for offset in offsets if offset >= position]
            position = offsets[-1] + 1
        assert found == list(range(start, 9))


def test_offsets_out_of_range(asker: Asker) -> None:
    topic = filled(asker)
    for offset in (11, 99, -1):
        row = only_row(fetch(asker, (topic, [wants(0, offset)])))
        assert (row.error_code, row.high_watermark, row.last_stable_offset) == (ErrorCode.OFFSET_OUT_OF_RANGE, -1, -1)
        assert (row.log_start_offset, row.aborted_transactions, len(row.records)) == (-1, None, 0)
    assert rows_of(fetch(asker, (topic, [wants(0, 10)]))) == [(0, 0, 10, 0, 0)]


def test_one_bad_partition_does_not_harm_the_others(asker: Asker) -> None:
    topic = filled(asker, partitions=3)
    assert rows_of(fetch(asker, (topic, [wants(0, 99), wants(1, 0), wants(2, 0)]))) == [
        (0, ErrorCode.OFFSET_OUT_OF_RANGE, -1, -1, 0),
        (1, 0, 10, 0, 5 * SIZE),
        (2, 0, 0, 0, 0),
    ]


def test_unknown_partitions_come_last(asker: Asker) -> None:
    topic = filled(asker)
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    response = fetch(asker, (topic, [wants(9, 0), wants(0, 0), wants(-1, 0)]))
    assert rows_of(response) == [(0, 0, 10, 0, 5 * SIZE), (9, unknown, -1, -1, 0), (-1, unknown, -1, -1, 0)]
    assert [row.aborted_transactions for row in response.responses[0].partitions] == [None, [], []]
    assert rows_of(fetch(asker, (UNKNOWN_TOPIC, [wants(0, 0)]))) == [(0, unknown, -1, -1, 0)]
    assert rows_of(fetch(asker, (topic, [wants(9, 0)]), version=13)) == [(9, unknown, -1, -1, 0)]


@pytest.mark.parametrize("topic_id", [UNKNOWN_TOPIC.id, ZERO_UUID])
def test_unknown_ids(asker: Asker, topic_id: Uuid) -> None:
    response = fetch(asker, (Topic("", topic_id), [wants(0, 0)]), version=13)
    assert rows_of(response) == [(0, ErrorCode.UNKNOWN_TOPIC_ID, -1, -1, 0)]
    assert only_row(response).aborted_transactions == []


def test_topics_are_grouped_only_where_they_follow_each_other(asker: Asker) -> None:
    first, second = filled(asker), asker.create()
    asked = [(first, [wants(0, 0), wants(9, 0)]), (second, [wants(0, 0)]), (first, [wants(1, 0)])]
    response = fetch(asker, *asked)
    assert [(topic.topic, [row.partition_index for row in topic.partitions]) for topic in response.responses] == [
        (first.name, [0]),
        (second.name, [0]),
        (first.name, [1, 9]),
    ]


def test_the_last_of_two_entries_counts_in_the_place_of_the_first(asker: Asker) -> None:
    topic = filled(asker)
    response = fetch(asker, (topic, [wants(0, 0), wants(1, 0), wants(0, 10)]))
    assert rows_of(response) == [(0, 0, 10, 0, 0), (1, 0, 10, 0, 5 * SIZE)]


def test_read_committed_has_a_list_of_aborted_transactions(asker: Asker) -> None:
    topic = filled(asker, partitions=3)
    response = fetch(asker, (topic, [wants(0, 0), wants(2, 0)]), isolation_level=1)
    assert rows_of(response) == [(0, 0, 10, 0, 5 * SIZE), (2, 0, 0, 0, 0)]
    assert [row.aborted_transactions for row in response.responses[0].partitions] == [[], []]


@pytest.mark.parametrize("level", [2, 5, -1])
def test_other_isolation_levels_are_a_mistake(asker: Asker, level: int) -> None:
    topic = filled(asker)
    response = fetch(asker, (topic, [wants(0, 0)]), isolation_level=level)
    assert response.error_code == ErrorCode.UNKNOWN_SERVER_ERROR
    assert rows_of(response) == [(0, ErrorCode.UNKNOWN_SERVER_ERROR, -1, -1, 0)]
    response = fetch(asker, (topic, [wants(0, 0)]), isolation_level=level, version=13)
    assert (response.error_code, response.responses) == (ErrorCode.UNKNOWN_SERVER_ERROR, [])


@pytest.mark.parametrize("version", [9, 12, 16])
def test_leader_epochs(asker: Asker, version: int) -> None:
    topic = filled(asker)

    def ask(epoch: int) -> Any:
        return only_row(fetch(asker, (topic, [wants(0, 0, current_leader_epoch=epoch)]), version=version))

    assert [ask(epoch).error_code for epoch in (0, -1, -2)] == [0, 0, 0], "a negative epoch is none"
    unknown = ask(1)
    assert unknown.error_code == ErrorCode.UNKNOWN_LEADER_EPOCH
    assert unknown.current_leader.leader_id == -1


@pytest.mark.parametrize(
    ("epoch", "offset", "error", "diverging"),
    [
        (0, 0, 0, (-1, -1)),
        (0, 10, 0, (-1, -1)),
        (0, 11, 0, (0, 10)),
        (1, 5, ErrorCode.OFFSET_OUT_OF_RANGE, (-1, -1)),
        (5, 5, ErrorCode.OFFSET_OUT_OF_RANGE, (-1, -1)),
        (-2, 3, 0, (-1, -1)),
    ],
)
def test_the_last_fetched_epoch_shows_where_logs_diverge(
    asker: Asker, epoch: int, offset: int, error: int, diverging: tuple[int, int]
) -> None:
    topic = filled(asker)
    row = only_row(fetch(asker, (topic, [wants(0, offset, last_fetched_epoch=epoch)])))
    assert row.error_code == error
    assert (row.diverging_epoch.epoch, row.diverging_epoch.end_offset) == diverging


@pytest.mark.parametrize("replica_id", [0, 1, 7])
def test_strangers_do_not_fetch_as_replicas(asker: Asker, replica_id: int) -> None:
    topic = filled(asker)
    without = fetch(asker, (topic, [wants(0, 0)]), replica_id=replica_id)
    assert only_row(without).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    knowing = fetch(asker, (topic, [wants(0, 0, current_leader_epoch=0)]), replica_id=replica_id)
    assert only_row(knowing).error_code == ErrorCode.UNKNOWN_LEADER_EPOCH
    newer = fetch(asker, (topic, [wants(0, 0)]), version=16, replica_state=ReplicaState(replica_id=replica_id))
    row = only_row(newer)
    assert row.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert (row.current_leader.leader_id, row.current_leader.leader_epoch) == (1, 0)
    assert newer.node_endpoints == []


@pytest.mark.parametrize("replica_id", [-2, -3])
def test_debuggers_fetch_as_consumers(asker: Asker, replica_id: int) -> None:
    topic = filled(asker)
    assert rows_of(fetch(asker, (topic, [wants(0, 0)]), replica_id=replica_id)) == [(0, 0, 10, 0, 5 * SIZE)]


def test_a_topic_compressed_with_zstd_is_sent_to_old_clients_too(asker: Asker) -> None:
    topic = asker.create(compression_type="zstd")
    produce(asker, topic, [(0, batch())])
    assert sizes(fetch(asker, (topic, [wants(0, 0)]), version=9))[0] > 0


def test_a_fetch_of_nothing(asker: Asker) -> None:
    response = asker.ask(FetchRequest(max_wait_ms=100, min_bytes=1, session_epoch=-1), 12)
    assert (response.error_code, response.session_id, response.responses) == (0, 0, [])
    empty = FetchRequest(max_wait_ms=100, min_bytes=1, session_epoch=-1, topics=[FetchTopic(topic="x")])
    assert asker.ask(empty, 12).responses == []
