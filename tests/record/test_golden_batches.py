"""Batches of the real Kafka: read as Java reads them, built to the same bytes, refused where Java refuses."""

from typing import Any

import pytest

from pykbroker.errors import KafkaError
from pykbroker.record import legacy
from pykbroker.record.batch import Buffer, crc_is_valid, iterate_frames, parse_header
from pykbroker.record.builder import build_batch, empty_batch
from pykbroker.record.reader import iterate_records
from tests.golden_data import golden_lines

BATCHES = list(golden_lines("records/batches.jsonl.gz"))
BROKEN = list(golden_lines("records/broken.jsonl.gz"))
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def names(line: dict[str, Any]) -> str:
    return f"{line['case']}-v{line.get('magic', '')}-{line.get('codec', '')}"


def hex_or_none(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def bytes_or_none(value: str | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value)


@pytest.mark.parametrize("line", BATCHES, ids=names)
def test_reads_what_java_reads(line: dict[str, Any]) -> None:
    data = bytes.fromhex(line["hex"])
    frames = list(iterate_frames(data))
    assert len(frames) == len(line["batches"])
    assert sum(size for _, size in frames) == len(data)
    for (pos, size), expected in zip(frames, line["batches"], strict=True):
        assert size == expected["size"]
        check_header(data, pos, size, expected)
        records = list(iterate_records(data, pos))
        assert len(records) == len(expected["records"])
        for record, wanted in zip(records, expected["records"], strict=True):
            assert (record.offset, record.timestamp) == (wanted["offset"], wanted["timestamp"])
            assert (hex_or_none(record.key), hex_or_none(record.value)) == (wanted["key"], wanted["value"])
            assert record.sequence == wanted.get("sequence", -1)
            assert [[name, hex_or_none(value)] for name, value in record.headers] == wanted.get("headers", [])


def check_header(data: bytes, pos: int, size: int, expected: dict[str, Any]) -> None:
    if expected["magic"] < 2:
        assert legacy.crc_is_valid(data, pos, size)
        assert legacy.parse_message(data, pos, size).crc == expected["crc"]
        return
    header = parse_header(data, pos)
    assert crc_is_valid(data, pos, header)
    assert header.base_offset == expected["base_offset"]
    assert header.last_offset == expected["last_offset"]
    assert header.next_offset == expected["next_offset"]
    assert header.crc == expected["crc"]
    assert header.codec == CODECS[expected["codec"]]
    assert header.is_log_append_time == (expected["timestamp_type"] == "LogAppendTime")
    assert header.max_timestamp == expected["max_timestamp"]
    assert header.producer_id == expected["producer_id"]
    assert header.producer_epoch == expected["producer_epoch"]
    assert header.base_sequence == expected["base_sequence"]
    assert header.last_sequence == expected["last_sequence"]
    assert header.is_transactional == expected["transactional"]
    assert header.is_control == expected["control"]
    assert header.partition_leader_epoch == expected["partition_leader_epoch"]
    assert header.record_count == expected["count"]
    assert header.has_delete_horizon == (expected["delete_horizon_ms"] is not None)


def rebuilt(data: Buffer, pos: int, expected: dict[str, Any], codec: int) -> bytearray:
    header = parse_header(data, pos)
    records = expected["records"]
    return build_batch(
        [
            (
                bytes_or_none(record["key"]),
                bytes_or_none(record["value"]),
                [(name, bytes_or_none(value)) for name, value in record.get("headers", [])],
                original_timestamp(data, pos, i),
            )
            for i, record in enumerate(records)
        ],
        base_offset=header.base_offset,
        offsets=[record["offset"] for record in records],
        last_offset=header.last_offset,
        codec=codec,
        leader_epoch=header.partition_leader_epoch,
        producer_id=header.producer_id,
        producer_epoch=header.producer_epoch,
        base_sequence=header.base_sequence,
        is_transactional=header.is_transactional,
        is_control=header.is_control,
        log_append_time=header.max_timestamp if header.is_log_append_time else None,
        delete_horizon_ms=expected["delete_horizon_ms"],
    )


def original_timestamp(data: Buffer, pos: int, index: int) -> int:
    """The timestamp in the record itself, also where LogAppendTime hides it."""
    header = parse_header(data, pos)
    without_append_time = bytearray(data[pos : pos + header.size_in_bytes])
    without_append_time[22] &= ~0x08
    return list(iterate_records(without_append_time))[index].timestamp


@pytest.mark.parametrize("line", [line for line in BATCHES if line["magic"] == 2], ids=names)
def test_builds_what_java_builds(line: dict[str, Any]) -> None:
    data = bytes.fromhex(line["hex"])
    for (pos, size), expected in zip(iterate_frames(data), line["batches"], strict=True):
        if expected["magic"] < 2:
            continue
        codec = CODECS[expected["codec"]]
        if expected["count"] == 0:
            assert bytes(empty_batch(parse_header(data, pos))) == data[pos : pos + size]
            continue
        built = rebuilt(data, pos, expected, codec)
        if codec == 0:
            assert bytes(built) == data[pos : pos + size]
        else:
            assert list(iterate_records(built)) == list(iterate_records(data, pos))
            assert parse_header(built)._replace(crc=0, batch_length=0) == parse_header(data, pos)._replace(
                crc=0, batch_length=0
            )


def is_valid(data: bytes, pos: int, size: int) -> bool:
    if data[pos + 16] < 2:
        return size >= 26 and legacy.crc_is_valid(data, pos, size)
    return crc_is_valid(data, pos, parse_header(data, pos))


def stage_of_refusal(data: bytes) -> str | None:
    """Where we refuse: splitting into batches, checksum and size, or the records; None where all is accepted."""
    stage = "framing"
    try:
        for pos, size in iterate_frames(data):
            stage = "check"
            if not is_valid(data, pos, size):
                return stage
            stage = "records"
            list(iterate_records(data, pos))
            stage = "framing"
    except KafkaError:
        return stage
    return None


@pytest.mark.parametrize("line", BROKEN, ids=names)
def test_refuses_what_java_refuses(line: dict[str, Any]) -> None:
    data = bytes.fromhex(line["hex"])
    assert stage_of_refusal(data) == line["stage"]


@pytest.mark.parametrize("line", BROKEN, ids=names)
def test_finds_the_batches_that_java_finds(line: dict[str, Any]) -> None:
    """Which are valid, how many records the whole ones hold, how many bytes are left over."""
    data = bytes.fromhex(line["hex"])
    found, left = [], len(data)
    try:
        for pos, size in iterate_frames(data):
            found.append((size, is_valid_or_refused(data, pos, size), records_until_damage(data, pos)))
            left = len(data) - pos - size
    except KafkaError:
        assert line["stage"] is not None
    assert left == line["leftover"]
    assert len(found) == len(line["batches"])
    for (size, is_whole, count), expected in zip(found, line["batches"], strict=True):
        assert (size, is_whole) == (expected["size"], expected["valid"])
        if "iterate_throws" not in expected:  # how far Java came before damage depends on its buffers
            assert count == expected["iterated"]


def is_valid_or_refused(data: bytes, pos: int, size: int) -> bool:
    try:
        return is_valid(data, pos, size)
    except KafkaError:
        return False


def records_until_damage(data: bytes, pos: int) -> int:
    count = 0
    try:
        for _ in iterate_records(data, pos):
            count += 1
    except KafkaError:
        return count
    return count
