"""The quick walk: right about sound records, and never pleased with others."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.errors import KafkaError
from pykbroker.log.record_scan import scan_buffer, scan_skipping, scan_stream
from pykbroker.log.record_walk import Walked, walk_records
from pykbroker.record.builder import build_batch
from pykbroker.record.damage import InvalidRecord

nullable = st.none() | st.binary(max_size=200)
headers = st.lists(st.tuples(st.text(max_size=5), nullable), max_size=3)
rows = st.lists(st.tuples(nullable, nullable, headers, st.integers(0, 1 << 62)), min_size=1, max_size=6)


@given(rows)
def test_finds_what_was_built(records: list[Any]) -> None:
    deltas = [record[3] - records[0][3] for record in records]
    has_all_keys = all(record[0] is not None for record in records)
    walked = walk_records(bytes(build_batch(records)[61:]), len(records))
    assert walked == Walked(max(deltas), min(deltas), not has_all_keys, True)


def test_sees_gaps_in_offsets() -> None:
    batch = build_batch([(b"k", b"v", [], 1), (b"k", b"v", [], 1)], offsets=[0, 2])
    assert not walk_records(bytes(batch[61:]), 2).is_consecutive


@settings(max_examples=500)
@given(rows, st.integers(0, 5000), st.integers(0, 255), st.sampled_from(["set", "insert", "delete", "cut"]))
def test_agrees_with_the_thorough_scan(records: list[Any], at: int, byte: int, change: str) -> None:
    data = bytearray(build_batch(records)[61:])
    at %= len(data)
    if change == "set":
        data[at] = byte
    elif change == "insert":
        data.insert(at, byte)
    elif change == "delete":
        del data[at]
    else:
        del data[at:]
    payload = bytes(data)
    try:
        walked = walk_records(payload, len(records))
    except KafkaError:
        return
    for seen in (
        list(scan_buffer(payload, len(records))),
        list(scan_stream(payload, len(records), None)),
        list(scan_skipping(payload, len(records), None)),
    ):
        deltas = [record.timestamp_delta for record in seen]
        assert (walked.max_delta, walked.min_delta) == (max(deltas), min(deltas))
        assert walked.is_keyless == (not all(record.has_key for record in seen))
        assert walked.is_consecutive == ([record.offset_delta for record in seen] == list(range(len(seen))))


def test_a_count_beyond_the_bytes_costs_nothing() -> None:
    with pytest.raises(InvalidRecord):
        walk_records(bytes(20), 0x7FFFFFFF)
