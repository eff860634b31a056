"""Produce, as the real Kafka 4.3.1 answers it (compat_tests/wire runs the same against a broker)."""

import pytest

from pykbroker.ids import ZERO_UUID
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.produce import (
    LeaderIdAndEpoch,
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from pykbroker.record.builder import build_batch
from tests.handlers.broker.asker import (
    UNKNOWN_TOPIC,
    Asker,
    Topic,
    batch,
    codes,
    fetch,
    for_version,
    produce,
    produce_request,
    rows_of,
    wants,
)

VERSIONS = range(3, 14)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_appends_and_answers_the_offset(asker: Asker, version: int) -> None:
    topic = asker.create()
    for expected in (0, 2):
        row = produce(asker, topic, [(0, batch(2))], version)[0]
        assert (row.error_code, row.base_offset, row.log_append_time_ms) == (0, expected, -1)
        assert row.log_start_offset == (0 if version >= 5 else -1)
        assert (row.record_errors, row.error_message, row.current_leader) == ([], None, LeaderIdAndEpoch())


def test_topics_are_answered_as_they_were_named(asker: Asker) -> None:
    topic = asker.create()
    by_name = asker.ask(for_version(produce_request(topic, [(0, batch())]), 12), 12)
    by_id = asker.ask(for_version(produce_request(topic, [(0, batch())]), 13), 13)
    assert [(one.name, one.topic_id) for one in by_name.responses] == [(topic.name, ZERO_UUID)]
    assert [(one.name, one.topic_id) for one in by_id.responses] == [("", topic.id)]


def test_log_append_time_is_told(asker: Asker) -> None:
    topic = asker.create(message_timestamp_type="LogAppendTime")
    row = produce(asker, topic, [(0, batch())])[0]
    assert row.error_code == 0
    assert row.log_append_time_ms >= 1_700_000_000_000


def test_acks_one_answers_too(asker: Asker) -> None:
    assert produce(asker, asker.create(), [(0, batch())], acks=1)[0].base_offset == 0


@pytest.mark.parametrize("acks", [2, 5, -2])
def test_other_acks_are_refused(asker: Asker, acks: int) -> None:
    topic = asker.create()
    row = produce(asker, topic, [(0, batch())], acks=acks)[0]
    assert (row.error_code, row.base_offset, row.log_start_offset) == (ErrorCode.INVALID_REQUIRED_ACKS, -1, -1)
    assert codes(produce(asker, topic, [(0, b"")], acks=acks)) == {0: ErrorCode.INVALID_RECORD}


def test_acks_zero_is_not_answered(asker: Asker) -> None:
    topic = asker.create()
    assert not asker.is_refused(for_version(produce_request(topic, [(0, batch())], acks=0), 9), 9)
    assert rows_of(fetch(asker, (topic, [wants(0, 0)])))[0][2] == 1


@pytest.mark.parametrize(
    ("partition", "records"),
    [(9, batch()), (0, b""), (0, b"short"), (0, batch()[:-1] + b"!")],
    ids=["unknown partition", "empty", "short", "checksum"],
)
def test_acks_zero_that_fails_closes_the_connection(asker: Asker, partition: int, records: bytes) -> None:
    topic = asker.create()
    assert asker.is_refused(for_version(produce_request(topic, [(partition, records)], acks=0), 9), 9)


def test_unknown_topics_partitions_and_ids(asker: Asker) -> None:
    topic = asker.create()
    no_partition = {9: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
    assert codes(produce(asker, topic, [(9, batch()), (-1, batch())])) == no_partition
    assert codes(produce(asker, topic, [(9, batch()), (-1, batch())], 13)) == no_partition
    assert codes(produce(asker, UNKNOWN_TOPIC, [(0, batch())])) == {0: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
    assert codes(produce(asker, UNKNOWN_TOPIC, [(0, b"")], 12)) == {0: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
    assert codes(produce(asker, UNKNOWN_TOPIC, [(0, batch())], 13)) == {0: ErrorCode.UNKNOWN_TOPIC_ID}
    assert codes(produce(asker, Topic("", ZERO_UUID), [(0, batch())], 13)) == {0: ErrorCode.UNKNOWN_TOPIC_ID}


def test_one_bad_partition_does_not_harm_the_others(asker: Asker) -> None:
    topic = asker.create(partitions=3)
    damaged = bytearray(batch())
    damaged[-1] ^= 1
    rows = produce(asker, topic, [(0, batch()), (1, bytes(damaged)), (2, batch())])
    assert codes(rows) == {0: 0, 1: ErrorCode.CORRUPT_MESSAGE, 2: 0}
    assert rows[1].log_start_offset == -1


def test_the_last_of_two_entries_for_a_partition_counts(asker: Asker) -> None:
    topic = asker.create(partitions=2)
    rows = produce(asker, topic, [(0, batch(1)), (0, batch(2)), (1, batch(1))])
    assert codes(rows) == {0: 0, 1: 0}
    assert rows_of(fetch(asker, (topic, [wants(0, 0)])))[0][2] == 2
    twice = ProduceRequest(
        acks=-1,
        topic_data=[
            TopicProduceData(name=topic.name, partition_data=[PartitionProduceData(index=1, records=batch(size))])
            for size in (1, 3)
        ],
    )
    response = asker.ask(twice, 9)
    assert [[row.base_offset for row in one.partition_responses] for one in response.responses] == [[1]]
    assert rows_of(fetch(asker, (topic, [wants(1, 0)])))[0][2] == 4


def test_nothing_is_answered_to_nothing(asker: Asker) -> None:
    assert asker.ask(ProduceRequest(acks=-1), 9).responses == []
    assert asker.ask(for_version(produce_request(asker.create(), []), 9), 9).responses == []


def test_too_large_for_the_topic(asker: Asker) -> None:
    topic = asker.create(max_message_bytes="200")
    row = produce(asker, topic, [(0, batch(1, 300))])[0]
    assert (row.error_code, row.base_offset, row.log_start_offset) == (ErrorCode.MESSAGE_TOO_LARGE, -1, -1)
    assert row.error_message is None


def test_record_errors_name_the_records(asker: Asker) -> None:
    """KIP-467: a compacted topic refuses records without keys one by one."""
    topic = asker.create(cleanup_policy="compact")
    keyless = bytes(build_batch([(b"k", b"v", [], 1), (None, b"v", [], 2), (None, b"v", [], 3)]))
    row = produce(asker, topic, [(0, keyless)])[0]
    assert (row.error_code, row.base_offset, row.log_start_offset) == (ErrorCode.INVALID_RECORD, -1, 0)
    assert [error.batch_index for error in row.record_errors] == [1, 2]
    message = f"Compacted topic cannot accept message without key in topic partition {topic.name}-0"
    assert row.record_errors[0].batch_index_error_message == message
    assert row.error_message is not None
    old = produce(asker, topic, [(0, keyless)], 7)[0]
    assert (old.error_code, old.record_errors, old.error_message) == (ErrorCode.INVALID_RECORD, [], None)


def test_zstd_needs_version_seven(asker: Asker) -> None:
    topic = asker.create()
    compressed = batch(3, 100, codec=4)
    assert codes(produce(asker, topic, [(0, compressed)], 6)) == {0: ErrorCode.UNSUPPORTED_COMPRESSION_TYPE}
    assert codes(produce(asker, topic, [(0, compressed)], 7)) == {0: 0}


def test_exactly_one_batch_per_partition(asker: Asker) -> None:
    topic = asker.create()
    row = produce(asker, topic, [(0, batch() + batch())])[0]
    assert (row.error_code, row.log_start_offset) == (ErrorCode.INVALID_RECORD, -1)


def test_a_repeated_batch_is_answered_with_its_first_offset(asker: Asker) -> None:
    """Scenario 8: the response was lost, the idempotent producer sends again: one copy."""
    topic = asker.create()
    first = [batch(2, producer_id=4000, producer_epoch=0, base_sequence=sequence) for sequence in (0, 2, 4)]
    assert [produce(asker, topic, [(0, one)])[0].base_offset for one in first] == [0, 2, 4]
    assert [produce(asker, topic, [(0, one)])[0].base_offset for one in first] == [0, 2, 4]
    assert rows_of(fetch(asker, (topic, [wants(0, 0)])))[0][2] == 6


def test_sequences_and_epochs_of_producers(asker: Asker) -> None:
    topic = asker.create()

    def send(sequence: int, epoch: int) -> int:
        records = batch(2, producer_id=4001, producer_epoch=epoch, base_sequence=sequence)
        row = produce(asker, topic, [(0, records)])[0]
        assert row.log_start_offset == 0
        return int(row.error_code)

    assert send(0, 1) == 0
    assert send(4, 1) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert send(2, 0) == ErrorCode.INVALID_PRODUCER_EPOCH
    assert send(2, 2) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert send(0, 2) == 0
    assert send(2, 2) == 0


def test_an_unknown_producer_may_begin_anywhere(asker: Asker) -> None:
    """Scenario 10: what is known of it may have expired."""
    topic = asker.create()
    records = batch(1, producer_id=4002, producer_epoch=0, base_sequence=77)
    assert codes(produce(asker, topic, [(0, records)])) == {0: 0}


def test_transactional_batches_need_a_transactional_id(asker: Asker) -> None:
    """CVE-2018-17196: what the batch says counts; the whole request is refused."""
    topic = asker.create(partitions=2)
    transactional = batch(producer_id=4003, producer_epoch=0, base_sequence=0, is_transactional=True)
    rows = produce(asker, topic, [(0, batch()), (1, transactional)], 12)
    refused = ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    assert codes(rows) == {0: refused, 1: refused}
    assert rows[0].log_start_offset == -1


def test_a_transactional_id_alone_changes_nothing(asker: Asker) -> None:
    topic = asker.create()
    assert codes(produce(asker, topic, [(0, batch())], 12, transactional_id="tx")) == {0: 0}
    assert codes(produce(asker, topic, [(0, batch(is_transactional=True))], 12, transactional_id="tx")) == {0: 0}


def test_control_batches_are_refused(asker: Asker) -> None:
    topic = asker.create()
    control = batch(producer_id=4004, producer_epoch=0, base_sequence=-1, is_control=True)
    assert codes(produce(asker, topic, [(0, control)])) == {0: ErrorCode.INVALID_RECORD}
