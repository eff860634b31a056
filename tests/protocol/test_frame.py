"""FrameReader: whole frames out of any pieces; lengths are judged before anything is kept for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pykbroker.errors import MalformedFrame
from pykbroker.protocol.frame import FrameReader, frame


@given(st.lists(st.binary(max_size=50), max_size=10), st.data())
def test_any_pieces(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(frame(body) for body in bodies)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    reader, taken = FrameReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[start:end])
        while (body := reader.take()) is not None:
            taken.append(body)
    assert taken == bodies
    assert reader.pending() == 0


@pytest.mark.parametrize("size", ["ffffffff", "80000000", "00000065", "7fffffff"])
def test_sizes_that_are_refused(size: str) -> None:
    reader = FrameReader(max_size=100)
    reader.feed(bytes.fromhex(size)[:3])
    assert reader.take() is None
    reader.feed(bytes.fromhex(size)[3:])
    with pytest.raises(MalformedFrame, match="0 to 100"):
        reader.take()


def test_the_largest_frame() -> None:
    reader = FrameReader(max_size=3)
    reader.feed(frame(b"abc"))
    assert reader.take() == b"abc"
