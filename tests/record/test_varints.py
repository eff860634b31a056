"""Varints as Java reads them: extra bits are dropped, more bytes than the type needs are refused."""

import pytest

from pykbroker.errors import MalformedFrame
from pykbroker.record.varints import read_varint, read_varlong, wrap_int64
from tests.golden_data import golden_lines

READERS = {"varint": read_varint, "varlong": read_varlong}
LINES = [line for line in golden_lines("records/primitives.jsonl.gz") if line["kind"] in READERS]


def test_golden_values() -> None:
    assert len(LINES) == 174
    for line in LINES:
        data = bytes.fromhex(line["hex"])
        assert READERS[line["kind"]](b"\xff" + data + b"\xff", 1) == (line["value"], 1 + len(data)), line


def test_every_prefix_ends_too_early() -> None:
    for line in LINES:
        data = bytes.fromhex(line["hex"])
        for length in range(len(data)):
            with pytest.raises(IndexError):
                READERS[line["kind"]](data[:length], 0)


@pytest.mark.parametrize(("kind", "longest"), [("varint", 5), ("varlong", 10)])
def test_longer_than_its_type_is_refused(kind: str, longest: int) -> None:
    assert READERS[kind](b"\x80" * (longest - 1) + b"\x00", 0) == (0, longest)
    with pytest.raises(MalformedFrame):
        READERS[kind](b"\x80" * longest + b"\x00", 0)


def test_bits_beyond_the_type_are_dropped() -> None:
    assert read_varint(b"\xff\xff\xff\xff\x7f", 0) == (-(2**31), 5)
    assert read_varlong(b"\xff" * 9 + b"\x7f", 0) == (-(2**63), 10)


@pytest.mark.parametrize(
    ("value", "wrapped"), [(0, 0), (2**63 - 1, 2**63 - 1), (2**63, -(2**63)), (-(2**63) - 1, 2**63 - 1), (2**64, 0)]
)
def test_sums_wrap_as_javas_longs(value: int, wrapped: int) -> None:
    assert wrap_int64(value) == wrapped
