"""The framing of coordinators' records; the golden lines of it are in test_golden.py."""

import pytest

from pykbroker.errors import MalformedFrame
from pykbroker.protocol.coordinator_records import UnknownRecordType, frame_key, frame_value, parse_key, parse_value
from pykbroker.protocol.persisted.group.offset_commit import OffsetCommitKey, OffsetCommitValue


def test_round_trip() -> None:
    key = OffsetCommitKey(group="g", topic="t", partition=3)
    value = OffsetCommitValue(offset=7, metadata="m", commit_timestamp=1)
    assert frame_key(key).hex() == "0001" + "0001" + b"g".hex() + "0001" + b"t".hex() + "00000003"
    assert parse_key("group", frame_key(key)) == key
    for version in (3, 4):
        assert parse_value("group", key, frame_value(value, version)) == (value, version)


def test_records_of_a_newer_kafka_are_told_apart() -> None:
    """Their loader may skip them, as Kafka's does; other damage it may not."""
    with pytest.raises(UnknownRecordType) as caught:
        parse_key("group", bytes.fromhex("7fff00"))
    assert caught.value.record_type == 0x7FFF
    with pytest.raises(UnknownRecordType):
        parse_key("transaction", frame_key(OffsetCommitKey()))


@pytest.mark.parametrize("key", ["", "00", "0001", "0001" + "0000" * 2 + "00000000" + "ff"])
def test_damaged_keys(key: str) -> None:
    with pytest.raises(MalformedFrame) as caught:
        parse_key("group", bytes.fromhex(key))
    assert not isinstance(caught.value, UnknownRecordType)


@pytest.mark.parametrize(
    ("value", "says"),
    [("", "needs 2 bytes"), ("0009", "no version 9"), ("ffff", "no version -1"), ("0004", "OffsetCommitValue v4")],
)
def test_damaged_values(value: str, says: str) -> None:
    with pytest.raises(MalformedFrame, match=says):
        parse_value("group", OffsetCommitKey(), bytes.fromhex(value))
    framed = frame_value(OffsetCommitValue(), 4)
    with pytest.raises(MalformedFrame, match="1 bytes left over"):
        parse_value("group", OffsetCommitKey(), framed + b"\0")
