"""The quick walk finds what the thorough one finds, or gives up."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.errors import KafkaError
from pykbroker.log.plain_walk import walk_plain
from pykbroker.log.record_walk import walk_records
from pykbroker.protocol.primitives import write_varint, write_varlong
from pykbroker.record.builder import build_batch

TIMESTAMP = 1_700_000_000_000
nullable = st.none() | st.binary(max_size=300)
records = st.lists(
    st.tuples(
        nullable,
        nullable,
        st.lists(st.tuples(st.text(max_size=3), nullable), max_size=3),
        st.integers(TIMESTAMP - 20_000, TIMESTAMP + 20_000) | st.integers(0, 1 << 62),
    ),
    min_size=1,
    max_size=5,
)


def payload(rows: list[Any]) -> bytes:
    return bytes(build_batch(rows)[61:])


def assert_agrees(data: bytes, count: int) -> bool:
    """True when the quick walk did not give up."""
    quick = walk_plain(data, count)
    if quick is None:
        return False
    walked = walk_records(data, count)
    assert walked.is_consecutive
    assert quick == (walked.max_delta, walked.min_delta, walked.is_keyless)
    return True


@settings(max_examples=300)
@given(records)
def test_takes_all_that_is_built(rows: list[Any]) -> None:
    assert assert_agrees(payload(rows), len(rows))


@settings(max_examples=1000)
@given(records, st.integers(0, 2000), st.integers(0, 255), st.integers(-1, 1))
def test_never_takes_what_the_thorough_walk_refuses(rows: list[Any], position: int, value: int, more: int) -> None:
    data = bytearray(payload(rows))
    data[position % len(data)] = value
    try:
        assert_agrees(bytes(data), len(rows) + more or 1)
    except KafkaError as error:
        pytest.fail(f"the thorough walk says {error}")


@pytest.mark.parametrize("count", [1, 63, 64, 65, 127, 128, 129, 8191, 8192, 8193, 9000])
def test_offsets_of_all_lengths(count: int) -> None:
    assert assert_agrees(payload([(None, b"v", [], TIMESTAMP)] * count), count)


@pytest.mark.parametrize("size", [0, 55, 63, 64, 65, 8100, 8191, 8192, 8193, 100_000, 2_000_000])
def test_values_and_keys_of_all_lengths(size: int) -> None:
    assert assert_agrees(payload([(b"k", b"x" * size, [], TIMESTAMP)] * 2), 2)
    assert assert_agrees(payload([(b"x" * size, None, [], TIMESTAMP)] * 2), 2)


@pytest.mark.parametrize("delta", [0, 63, 64, 8191, 8192, 1 << 40])
def test_timestamps_of_all_lengths(delta: int) -> None:
    for first, second in ((TIMESTAMP, TIMESTAMP + delta), (TIMESTAMP + delta, TIMESTAMP)):
        assert assert_agrees(payload([(b"k", b"v", [], first), (b"k", b"v", [], second)]), 2)


def record(*, offset: int = 0, key: int = 0, value: int = 0, delta: int = 0, length: int | None = None) -> bytes:
    """A record with the lengths as given, and nothing behind them."""
    body = bytearray(b"\0")
    write_varlong(body, delta)
    for number in (offset, key, value, 0):
        write_varint(body, number)
    out = bytearray()
    write_varint(out, len(body) if length is None else length)
    return bytes(out + body)


def test_gives_up_at_the_odd() -> None:
    assert walk_plain(record(), 1) == (0, 0, False)
    assert walk_plain(record(key=-1, value=-1, delta=-5), 1) == (-5, -5, True)
    for odd in (record(offset=1), record(key=-2), record(value=-2), record(key=-100), record(length=-1)):
        assert walk_plain(odd, 1) is None
    assert walk_plain(record() + b"\0", 1) is None
    assert walk_plain(record(), 2) is None
    assert walk_plain(b"", 1) is None
    assert walk_plain(b"\xff" * 20, 1) is None
