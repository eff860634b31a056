"""Produced batches against the real broker's verdict and bytes, and what a batch may cost us.

data/mutated_batches.jsonl.gz: 1,500 batches, most of them damaged (kind: p… the records before compression, c… the
compressed bytes, h: a header field), sent to Kafka 4.3.1 by Produce 8, acks -1, on topics with `config`; its answer,
and for accepted ones what Fetch returned. `now_ms` is the clock of that moment.
"""

import gzip
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.topic_config import TopicConfig
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.log.validator import (
    RecordValidationError,
    ValidationResult,
    check_produce_request,
    needs_deep_validation,
    validate_and_stamp,
)
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import crc_is_valid, parse_header
from pykbroker.record.builder import build_batch
from pykbroker.record.reader import iterate_records

NOW = 1_700_000_000_000
TOPIC = TopicPartition("t", 0)
COMPRESSED = [1, 2, 3, 4]
MUTATED = Path(__file__).parent / "data" / "mutated_batches.jsonl.gz"


def config(**overrides: str) -> TopicConfig:
    return TopicConfig.build(BrokerConfig(), {name.replace("_", "."): value for name, value in overrides.items()})


def validate(batch: bytes | bytearray, *, now_ms: int = NOW, **overrides: Any) -> ValidationResult:
    fields: dict[str, Any] = {"config": config(), "next_offset": 100, "leader_epoch": 7, **overrides}
    return validate_and_stamp(bytearray(batch), topic_partition=TOPIC, now_ms=now_ms, **fields)


def mutated() -> Iterator[dict[str, Any]]:
    with gzip.open(MUTATED, "rt") as lines:
        yield from map(json.loads, lines)


def answer(line: dict[str, Any]) -> tuple[int, list[int], ValidationResult | None]:
    raw = bytearray.fromhex(line["hex"])
    fields = {"config": config(**line["config"]), "next_offset": line.get("base_offset", 0), "leader_epoch": 0}
    try:
        check_produce_request(raw, 8)
        return 0, [], validate(raw, now_ms=line["now_ms"], **fields)
    except RecordValidationError as error:
        return error.code, [index for index, _ in error.record_errors], None
    except KafkaError as error:
        return error.code, [], None


def test_answers_and_stores_as_kafka_does() -> None:
    count = 0
    for line in mutated():
        code, record_errors, result = answer(line)
        assert (code, record_errors) == (line["error_code"], line["record_errors"]), line
        if result is not None:
            assert result.first_offset == line["base_offset"]
            if "stored_hex" in line:
                assert result.records.hex() == line["stored_hex"], line
            else:
                assert parse_header(result.records).attributes == line["stored_attributes"]
        count += 1
    assert count == 1500


def rows(count: int, size: int = 10) -> list[tuple[bytes | None, bytes, list[Any], int]]:
    return [(b"k", b"v" * size, [], NOW + index) for index in range(count)]


@pytest.mark.parametrize("codec", [0, *COMPRESSED])
def test_keeps_the_buffer_and_the_bytes_behind_the_header(codec: int) -> None:
    batch = build_batch(rows(3), codec=codec)
    buffer = memoryview(bytearray(batch))
    result = validate_and_stamp(
        buffer, topic_partition=TOPIC, config=config(), next_offset=100, leader_epoch=7, now_ms=NOW
    )
    assert result.records is buffer
    assert (result.first_offset, result.last_offset, result.max_timestamp) == (100, 102, NOW + 2)
    assert result.log_append_time == -1
    assert bytes(buffer[16:]) == batch[16:]
    stored = parse_header(buffer)
    assert (stored.base_offset, stored.partition_leader_epoch) == (100, 7)


@pytest.mark.parametrize("source", [0, *COMPRESSED])
@pytest.mark.parametrize("target", ["uncompressed", "gzip", "snappy", "lz4", "zstd"])
def test_changes_the_codec(source: int, target: str) -> None:
    batch = build_batch(rows(3), codec=source, producer_id=9, producer_epoch=2, base_sequence=5)
    result = validate(batch, config=config(compression_type=target))
    header = parse_header(result.records)
    assert header.codec == ["uncompressed", "gzip", "snappy", "lz4", "zstd"].index(target)
    assert crc_is_valid(result.records)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (9, 2, 5)
    records = list(iterate_records(result.records))
    assert [(r.key, r.value, r.timestamp) for r in records] == [(k, v, t) for k, v, _, t in rows(3)]
    assert [r.offset for r in records] == [100, 101, 102]


@pytest.mark.parametrize("codec", [0, *COMPRESSED])
def test_log_append_time_is_written_into_the_header(codec: int) -> None:
    result = validate(build_batch(rows(2), codec=codec), config=config(message_timestamp_type="LogAppendTime"))
    assert result.log_append_time == result.max_timestamp == NOW
    assert crc_is_valid(result.records)
    assert [record.timestamp for record in iterate_records(result.records)] == [NOW, NOW]


def refusal(batch: bytes | bytearray, **overrides: Any) -> KafkaError:
    with pytest.raises(KafkaError) as raised:
        validate(batch, **overrides)
    return raised.value


def test_keys_and_timestamps_are_refused_in_one_answer() -> None:
    batch = build_batch([(None, b"v", [], NOW), (b"k", b"v", [], NOW + 10_000), (b"k", b"v", [], NOW)])
    error = refusal(batch, config=config(cleanup_policy="compact", message_timestamp_after_max_ms="1000"))
    assert isinstance(error, RecordValidationError)
    assert error.code == ErrorCode.INVALID_TIMESTAMP
    assert [index for index, _ in error.record_errors] == [0, 1]
    assert error.message == "One or more records have been rejected due to invalid timestamp"


def test_too_large_before_and_after_a_change_of_codec() -> None:
    small = config(max_message_bytes="300", compression_type="uncompressed")
    assert refusal(build_batch(rows(1, 300)), config=small).code == ErrorCode.MESSAGE_TOO_LARGE
    assert refusal(build_batch(rows(1, 300), codec=1), config=small).code == ErrorCode.MESSAGE_TOO_LARGE


@pytest.mark.parametrize("codec", COMPRESSED)
def test_a_bomb_is_refused_before_it_is_in_memory(codec: int) -> None:
    bomb = build_batch([(b"k", bytes(64 << 20), [], NOW)], codec=codec)
    lenient = config(max_message_bytes=str(len(bomb)))
    tracemalloc.start()
    error = refusal(bomb, config=lenient, max_decompressed=1 << 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.code == ErrorCode.MESSAGE_TOO_LARGE
    assert peak < len(bomb) * 3 + (40 << 20)


@pytest.mark.parametrize("policy", ["delete", "compact"])
def test_many_tiny_records_do_not_become_objects(policy: str) -> None:
    count = 20_000
    batch = build_batch([(b"", None, [], NOW)] * count, codec=1)
    tracemalloc.start()
    lz4 = config(cleanup_policy=policy, compression_type="lz4")
    assert validate(batch, config=lz4).last_offset == 100 + count - 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < count * 60


def test_says_what_is_worth_a_thread() -> None:
    assert not needs_deep_validation(parse_header(build_batch(rows(16, 1000))))
    assert not needs_deep_validation(parse_header(build_batch(rows(16, 1000), codec=1)))
    assert needs_deep_validation(parse_header(build_batch(rows(2000))))
    assert not needs_deep_validation(parse_header(build_batch(rows(1)))._replace(record_count=1 << 30))
    header = parse_header(build_batch(rows(1), codec=1))
    assert needs_deep_validation(header._replace(batch_length=100_000))


def test_produce_requests_hold_one_batch() -> None:
    batch = bytes(build_batch(rows(1)))
    check_produce_request(batch, 8)
    for records in (None, b"", batch + batch, batch[:-1], batch[:5]):
        with pytest.raises(KafkaError) as raised:
            check_produce_request(records, 8)
        assert raised.value.code == ErrorCode.INVALID_RECORD
    zstd = bytes(build_batch(rows(1), codec=4))
    check_produce_request(zstd, 7)
    with pytest.raises(KafkaError) as raised:
        check_produce_request(zstd, 6)
    assert raised.value.code == ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
