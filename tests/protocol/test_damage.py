"""Where a decoder stood when the bytes ran out, and what it says of it."""

import pytest

from pykbroker.errors import MalformedFrame
from pykbroker.protocol.messages.fetch import FetchRequest
from pykbroker.protocol.messages.heartbeat import HeartbeatRequest


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("", "HeartbeatRequest v4: ends too early at byte 0"),
        ("026100", "HeartbeatRequest v4: ends too early at byte 2"),
        ("0561", "GroupId: length 4 does not fit what is left at byte 1"),
        ("00", "GroupId: length -1 does not fit what is left at byte 1"),
        ("03c328", "HeartbeatRequest v4: a string is not UTF-8 at byte 1"),
        ("0261000000010100", "HeartbeatRequest v4: ends too early at byte 8"),
        ("026100000001019f00", "GroupInstanceId: length 30 does not fit"),
        ("0261000000010100058080", "tagged fields: 5 elements"),
    ],
)
def test_what_it_says(raw: str, says: str) -> None:
    with pytest.raises(MalformedFrame) as caught:
        HeartbeatRequest.decode(bytes.fromhex(raw), 4)
    assert str(caught.value).startswith(says)
    assert 0 <= caught.value.position <= len(raw) // 2


def test_position_inside_nested_structs() -> None:
    raw = bytes(FetchRequest(topics=[]).encode(11))
    count = raw.index(b"\xff\xff\xff\xff\x00\x00\x00\x00", 10) + 4
    with pytest.raises(MalformedFrame, match="FetchTopic: 2000000 elements") as caught:
        FetchRequest.decode(raw[:count] + (2_000_000).to_bytes(4, "big") + raw[count + 4 :], 11)
    assert caught.value.position == count + 4
