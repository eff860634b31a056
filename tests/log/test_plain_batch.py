"""The short way says what the validator says, or nothing."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.topic_config import TopicConfig
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.log.plain_batch import stamp_plain
from pykbroker.log.validator import validate_and_stamp
from pykbroker.record.batch import compute_crc
from pykbroker.record.builder import build_batch
from tests.golden_data import golden_lines

NOW = 1_700_000_000_000
OFFSET, EPOCH = 77, 5
CONFIGS: list[dict[str, str]] = [
    {},
    {"cleanup.policy": "compact"},
    {"message.timestamp.type": "LogAppendTime"},
    {"compression.type": "lz4"},
    {"compression.type": "uncompressed"},
    {"max.message.bytes": "150"},
    {"message.timestamp.before.max.ms": "1000", "message.timestamp.after.max.ms": "1000"},
]
BUILT = [TopicConfig.build(BrokerConfig(), overrides) for overrides in CONFIGS]


def assert_agrees(raw: bytes, config: TopicConfig, now_ms: int = NOW) -> bool:
    """True when the short way was taken."""
    short = bytearray(raw)
    plain = stamp_plain(short, config, OFFSET, EPOCH, now_ms)
    if plain is None:
        assert short == raw, "nothing is changed by a look"
        return False
    full = bytearray(raw)
    result = validate_and_stamp(
        full,
        topic_partition=TopicPartition("t", 0),
        config=config,
        next_offset=OFFSET,
        leader_epoch=EPOCH,
        now_ms=now_ms,
    )
    assert (bytes(result.records), result.log_append_time) == (short, -1)
    assert plain == (result.last_offset, result.max_timestamp, result.header.producer_id)
    return True


records = st.lists(
    st.tuples(
        st.none() | st.binary(max_size=20),
        st.none() | st.binary(max_size=200),
        st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=2),
        st.integers(NOW - 5000, NOW + 5000),
    ),
    min_size=1,
    max_size=5,
)
producers = st.sampled_from(
    [{}, {"producer_id": 4, "producer_epoch": 0, "base_sequence": 7}, {"codec": 4}, {"is_transactional": True}]
)


@settings(max_examples=300)
@given(records, producers, st.sampled_from(BUILT))
def test_agrees_on_good_batches(rows: list[Any], fields: dict[str, Any], config: TopicConfig) -> None:
    raw = bytes(build_batch(rows, **fields))
    try:
        assert_agrees(raw, config)
    except KafkaError as error:
        pytest.fail(f"the validator refuses what the short way takes: {error}")


@settings(max_examples=500)
@given(records, st.integers(0, 500), st.integers(0, 255), st.booleans(), st.sampled_from(BUILT))
def test_agrees_on_damaged_batches(
    rows: list[Any], position: int, value: int, mends_checksum: bool, config: TopicConfig
) -> None:
    raw = build_batch(rows)
    raw[position % len(raw)] = value
    if mends_checksum:
        raw[17:21] = compute_crc(raw, 0, len(raw)).to_bytes(4, "big")
    assert_agrees(bytes(raw), config)


def test_agrees_on_all_golden_batches() -> None:
    taken = 0
    for name in ("records/batches.jsonl.gz", "records/broken.jsonl.gz"):
        for line in golden_lines(name):
            raw = bytes.fromhex(line["hex"])
            for candidate in (raw, bytes(8) + raw[8:]):
                taken += sum(assert_agrees(candidate, config) for config in BUILT)
    assert taken > 20


def test_takes_what_producers_send() -> None:
    for fields in ({}, {"producer_id": 4, "producer_epoch": 0, "base_sequence": 7}):
        raw = bytes(build_batch([(None, b"value", [], NOW)] * 3, **fields))  # type: ignore[arg-type]
        assert assert_agrees(raw, BUILT[0])
    assert not assert_agrees(bytes(build_batch([(b"k", b"v", [], NOW)], codec=3)), BUILT[0])
