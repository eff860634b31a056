"""Spans say of records what decoding them says, and refuse what decoding refuses."""

from itertools import compress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.errors import KafkaError
from pykbroker.log.key_walk import walk_keys
from pykbroker.log.record_spans import END, HAS_VALUE, KEY, OFFSET_DELTA, START, TIMESTAMP_DELTA, record_spans
from pykbroker.log.uniform_walk import uniform_keys
from pykbroker.record.batch import HEADER_SIZE, parse_header
from pykbroker.record.builder import build_batch
from pykbroker.record.damage import InvalidRecord
from pykbroker.record.reader import iterate_payload, iterate_records

BYTES = st.one_of(st.none(), st.binary(max_size=5), st.sampled_from([b"x" * 63, b"x" * 64, b"x" * 200, b"x" * 9000]))
RECORDS = st.lists(
    st.tuples(BYTES, BYTES, st.lists(st.tuples(st.text(max_size=3), BYTES), max_size=2), st.integers(0, 2**40)),
    min_size=1,
    max_size=70,
)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(RECORDS)
def test_as_decoded(records: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]], int]]) -> None:
    data = build_batch(records)
    header = parse_header(data)
    spans = record_spans(bytes(data[HEADER_SIZE:]), header.record_count)
    assert [
        (span[OFFSET_DELTA], header.base_timestamp + span[TIMESTAMP_DELTA], span[KEY], span[HAS_VALUE])
        for span in spans
    ] == [(record.offset, record.timestamp, record.key, record.value is not None) for record in iterate_records(data)]
    assert [span[START] for span in spans] == [0, *[span[END] for span in spans[:-1]]]
    keys_are_those_of_the_spans(bytes(data[HEADER_SIZE:]), header.record_count)


def keys_are_those_of_the_spans(payload: bytes, count: int) -> bool:
    """The fast walk says the same or nothing; whether it said anything."""
    found = walk_keys(payload, count)
    if found is not None:
        spans = record_spans(payload, count)
        assert found.keys == [span[KEY] for span in spans]
        assert found.is_consecutive == ([span[OFFSET_DELTA] for span in spans] == list(range(count)))
        assert found.has_tombstone == (not all(span[HAS_VALUE] for span in spans))
    return found is not None


KEYED = st.lists(
    st.tuples(
        st.one_of(st.binary(max_size=63), st.just(b"k" * 64), st.just(b"k" * 8191)),
        BYTES,
        st.just(()),
        st.sampled_from([0, 1, 63, 64, 8191, 8192, 2**40]),
    ),
    min_size=1,
    max_size=70,
)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(KEYED, st.integers(0, 10_000), st.integers(0, 255))
def test_keys_found_fast(records: list[tuple[bytes, bytes | None, tuple[()], int]], position: int, value: int) -> None:
    payload = bytearray(build_batch(records)[HEADER_SIZE:])
    assert keys_are_those_of_the_spans(bytes(payload), len(records))
    assert not keys_are_those_of_the_spans(bytes(payload), len(records) + 1)
    assert not keys_are_those_of_the_spans(bytes(payload), len(records) - 1)
    payload[position % len(payload)] = value
    keys_are_those_of_the_spans(bytes(payload), len(records))


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    st.integers(1, 150),
    st.sampled_from([0, 3, 63, 64]),
    st.sampled_from([None, 0, 30, 100]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=2),
)
def test_records_that_are_all_alike(count: int, key: int, value: int | None, damage: list[tuple[int, int]]) -> None:
    """Also almost alike: whatever byte differs, what is said is said of the records as they are."""
    content = None if value is None else b"v" * value
    records = [((b"%d" % index).rjust(key, b"k")[:key], content, (), index % 64) for index in range(count)]
    payload = bytearray(build_batch(records)[HEADER_SIZE:])
    assert uniform_keys(bytes(payload), count) == ([record[0] for record in records], value is None)
    assert uniform_keys(bytes(payload), count + 1) is uniform_keys(bytes(payload), count - 1) is None
    for position, byte in damage:
        payload[position % len(payload)] = byte
    keys_are_those_of_the_spans(bytes(payload), count)


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(RECORDS, st.data())
def test_only_the_wanted(
    records: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]], int]], data: st.DataObject
) -> None:
    payload, count = bytes(build_batch(records)[HEADER_SIZE:]), len(records)
    wanted = data.draw(st.lists(st.integers(0, 1), min_size=count, max_size=count).map(bytes))
    assert record_spans(payload, count, wanted) == list(compress(record_spans(payload, count), wanted))


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 60), st.integers(0, 255), st.integers(-1, 4))
def test_damage_never_becomes_anything_else(position: int, value: int, count: int) -> None:
    """What is refused by the one may be too subtle for the other, which does not look at values and headers."""
    data = build_batch([(b"k1", b"value", [("h", b"1")], 5), (b"k2", None, [], 300), (None, b"", [], 7)])
    payload = bytearray(data[HEADER_SIZE:])
    payload[position % len(payload)] = value
    header = parse_header(data)._replace(record_count=count)
    try:
        decoded = list(iterate_payload(header, payload))
    except KafkaError:
        decoded = None
    try:
        spans = record_spans(bytes(payload), count)
    except InvalidRecord:
        assert decoded is None
        return
    if decoded is not None:
        assert [span[KEY] for span in spans] == [record.key for record in decoded]


@pytest.mark.parametrize("payload", [b"", b"\x0c", b"\x0c\0\0\0\1\1\0\0", b"\x04\0\0\0"])
def test_torn_payloads(payload: bytes) -> None:
    with pytest.raises(InvalidRecord):
        record_spans(payload, 1)
    assert record_spans(b"", 0) == []
