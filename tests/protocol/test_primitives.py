"""Kafka's primitive types: what is written is read again, what is damaged is refused with its position."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pykbroker.errors import MalformedFrame
from pykbroker.ids import Uuid
from pykbroker.protocol import primitives as p
from tests.golden_data import golden_lines

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
PAIRS: dict[str, tuple[st.SearchStrategy[Any], Callable[..., None], Callable[..., Any]]] = {
    "bool": (st.booleans(), p.write_bool, p.read_bool),
    "int8": (st.integers(-(2**7), 2**7 - 1), p.write_int8, p.read_int8),
    "int16": (st.integers(-(2**15), 2**15 - 1), p.write_int16, p.read_int16),
    "uint16": (st.integers(0, 2**16 - 1), p.write_uint16, p.read_uint16),
    "int32": (st.integers(-(2**31), 2**31 - 1), p.write_int32, p.read_int32),
    "uint32": (st.integers(0, 2**32 - 1), p.write_uint32, p.read_uint32),
    "int64": (st.integers(-(2**63), 2**63 - 1), p.write_int64, p.read_int64),
    "float64": (st.floats(allow_nan=False), p.write_float64, p.read_float64),
    "uuid": (st.binary(min_size=16, max_size=16).map(Uuid), p.write_uuid, p.read_uuid),
    "uvarint": (st.integers(0, 2**32 - 1), p.write_uvarint, p.read_uvarint),
    "varint": (st.integers(-(2**31), 2**31 - 1), p.write_varint, p.read_varint),
    "uvarlong": (st.integers(0, 2**64 - 1), p.write_uvarint, p.read_uvarlong),
    "varlong": (st.integers(-(2**63), 2**63 - 1), p.write_varlong, p.read_varlong),
    "string": (TEXT, p.write_string, p.read_string),
    "nullable string": (st.none() | TEXT, p.write_nullable_string, p.read_nullable_string),
    "compact string": (TEXT, p.write_compact_string, p.read_compact_string),
    "compact nullable string": (
        st.none() | TEXT,
        p.write_compact_nullable_string,
        p.read_compact_nullable_string,
    ),
    "bytes": (st.binary(max_size=200), p.write_bytes, p.read_bytes),
    "nullable bytes": (st.none() | st.binary(max_size=200), p.write_nullable_bytes, p.read_nullable_bytes),
    "compact bytes": (st.binary(max_size=200), p.write_compact_bytes, p.read_compact_bytes),
    "compact nullable bytes": (
        st.none() | st.binary(max_size=200),
        p.write_compact_nullable_bytes,
        p.read_compact_nullable_bytes,
    ),
}


@pytest.mark.parametrize("kind", PAIRS)
@given(data=st.data(), before=st.binary(max_size=3), after=st.binary(max_size=3))
def test_round_trip(kind: str, data: st.DataObject, before: bytes, after: bytes) -> None:
    values, write, read = PAIRS[kind]
    value = data.draw(values)
    out = bytearray(before)
    write(out, value)
    end = len(out)
    for buffer in (bytes(out + after), bytearray(out + after), memoryview(out + after)):
        assert read(buffer, len(before)) == (value, end)
    for cut in range(len(before), end):
        with pytest.raises(MalformedFrame) as caught:
            read(bytes(out[:cut]), len(before))
        assert len(before) <= caught.value.position <= cut


@pytest.mark.parametrize("kind", PAIRS)
@given(data=st.binary(max_size=24), pos=st.integers(-3, 30))
def test_anything_else_is_malformed(kind: str, data: bytes, pos: int) -> None:
    """Arbitrary bytes at an arbitrary position: a value within the buffer or MalformedFrame, nothing else."""
    try:
        _, end = PAIRS[kind][2](data, pos)
    except MalformedFrame:
        return
    assert 0 <= pos <= end <= len(data)


@pytest.mark.parametrize(
    ("read", "raw"),
    [
        (p.read_uvarint, "ffffffff7f"),  # over 32 bits
        (p.read_uvarint, "808080808000"),  # six bytes
        (p.read_varint, "ffffffffff01"),
        (p.read_varlong, "ffffffffffffffffff02"),  # over 64 bits
        (p.read_varlong, "8080808080808080808000"),  # eleven bytes
        (p.read_length, "ffffffff0f"),  # a negative int32 in Java
        (p.read_string, "ffff"),  # null
        (p.read_string, "0002c328"),  # not UTF-8
        (p.read_string, "0003eda080"),  # a lone surrogate is not UTF-8 either
        (p.read_compact_string, "00"),
        (p.read_compact_string, "8180030000"),  # 49,152 bytes: over Kafka's limit before it is over the end
        (p.read_bytes, "ffffffff"),
        (p.read_bytes, "80000000"),
        (p.read_nullable_bytes, "7fffffff00"),
        (p.read_compact_bytes, "00"),
    ],
)
def test_refused(read: Callable[..., Any], raw: str) -> None:
    with pytest.raises(MalformedFrame):
        read(bytes.fromhex(raw), 0)


@pytest.mark.parametrize(
    ("write", "value"),
    [
        (p.write_uvarint, -1),
        (p.write_varint, 2**31),
        (p.write_varlong, -(2**63) - 1),
        (p.write_string_length, p.MAX_STRING + 2),
        (p.write_compact_string, "x" * (p.MAX_STRING + 1)),
        (p.write_uuid, b"short"),
    ],
)
def test_values_that_do_not_fit(write: Callable[..., None], value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        write(bytearray(), value)


def test_longest_string() -> None:
    for write, read in ((p.write_string, p.read_string), (p.write_compact_string, p.read_compact_string)):
        out = bytearray()
        write(out, "é" * (p.MAX_STRING // 2))
        assert read(out, 0) == ("é" * (p.MAX_STRING // 2), len(out))


def test_golden_varints_and_uuids() -> None:
    seen = set()
    for line in golden_lines("records/primitives.jsonl.gz"):
        seen.add(line["kind"])
        if line["kind"] in ("varint", "varlong"):
            value, write, read = line["value"], *PAIRS[line["kind"]][1:]
        elif line["kind"] == "uuid":
            value, write, read = Uuid.parse(line["string"]), p.write_uuid, p.read_uuid
            assert str(value) == line["string"]
        else:
            continue
        out = bytearray()
        write(out, value)
        assert out.hex() == line["hex"]
        assert read(out, 0) == (value, len(out))
    assert {"varint", "varlong", "uuid"} <= seen
