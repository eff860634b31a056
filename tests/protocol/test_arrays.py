"""Arrays of primitives and tagged fields: round trips, and counts that lie."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pykbroker.errors import MalformedFrame
from pykbroker.ids import Uuid
from pykbroker.protocol import arrays as a
from pykbroker.protocol.damage import MAX_ELEMENTS, MAX_TAGS

INT32_MAX = 2**31 - 1
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PAIRS: dict[str, tuple[st.SearchStrategy[Any], Callable[..., None], Callable[..., Any]]] = {
    "int8": (st.integers(-(2**7), 2**7 - 1), a.write_int8s, a.read_int8s),
    "int16": (st.integers(-(2**15), 2**15 - 1), a.write_int16s, a.read_int16s),
    "int32": (st.integers(-(2**31), 2**31 - 1), a.write_int32s, a.read_int32s),
    "int64": (st.integers(-(2**63), 2**63 - 1), a.write_int64s, a.read_int64s),
    "uuid": (st.binary(min_size=16, max_size=16).map(Uuid), a.write_uuids, a.read_uuids),
    "string": (TEXT, a.write_strings, a.read_strings),
    "compact string": (TEXT, a.write_compact_strings, a.read_compact_strings),
}


@pytest.mark.parametrize("kind", PAIRS)
@given(data=st.data())
def test_round_trip(kind: str, data: st.DataObject) -> None:
    elements, write, read = PAIRS[kind]
    values = data.draw(st.lists(elements, max_size=20))
    out = bytearray(b"\x07")
    write(out, values)
    for buffer in (bytes(out), bytearray(out), memoryview(out)):
        assert read(buffer, 1, len(values)) == (values, len(out))
    if values:
        with pytest.raises(MalformedFrame):
            read(bytes(out[:-1]), 1, len(values))


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("count", [-1, -(2**31), INT32_MAX, 3, 17])
def test_counts_that_do_not_fit(kind: str, count: int) -> None:
    with pytest.raises(MalformedFrame):
        PAIRS[kind][2](b"\xff\xff", 0, count)


TAGS = st.lists(st.tuples(st.integers(0, INT32_MAX), st.binary(max_size=10)), max_size=5, unique_by=lambda tag: tag[0])


@given(known=TAGS, unknown=TAGS)
def test_tags_are_written_in_ascending_order(known: list[tuple[int, bytes]], unknown: list[tuple[int, bytes]]) -> None:
    out = bytearray()
    a.write_tags(out, [(tag, bytearray(data)) for tag, data in known], unknown)
    tags, end = a.read_tags(bytes(out), 0)
    assert end == len(out)
    assert sorted(tags or []) == sorted(known + unknown)
    assert [tag for tag, _ in tags or []] == sorted(tag for tag, _ in known + unknown)


def test_replace_tags() -> None:
    out = bytearray(b"\x05\x00")
    a.replace_tags(out, [(1, b"x")])
    assert out.hex() == "0501010178"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "01",
        "0101",  # no size
        "01010278",  # more than is left
        "ffffffff0f0000",  # a count that nothing could hold
        "01ffffffff0f00",  # a tag over 31 bits
        "0101ffffffff0f",
    ],
)
def test_damaged_tags(raw: str) -> None:
    with pytest.raises(MalformedFrame):
        a.read_tags(bytes.fromhex(raw), 0)


@pytest.mark.parametrize("kind", PAIRS)
def test_more_elements_than_anybody_asks_about(kind: str) -> None:
    with pytest.raises(MalformedFrame, match=f"more than {MAX_ELEMENTS}"):
        PAIRS[kind][2](bytes(32 * MAX_ELEMENTS), 0, MAX_ELEMENTS + 1)


def test_more_tagged_fields_than_anybody_sends() -> None:
    out = bytearray()
    a.write_tags(out, [], [(tag, b"") for tag in range(MAX_TAGS)])
    assert len(a.read_tags(bytes(out), 0)[0] or ()) == MAX_TAGS
    out = bytearray()
    a.write_tags(out, [], [(tag, b"") for tag in range(MAX_TAGS + 1)])
    with pytest.raises(MalformedFrame):
        a.read_tags(bytes(out), 0)
