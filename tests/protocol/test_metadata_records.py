"""The framing of the metadata log; the golden lines of it are in test_golden.py."""

import pytest

from pykbroker.errors import MalformedFrame
from pykbroker.protocol.metadata_records import frame_record, parse_record
from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord
from pykbroker.protocol.persisted.metadata.topic_record import TopicRecord


def test_round_trip() -> None:
    record = PartitionRecord(partition_id=3, replicas=[1, 2], isr=[1])
    assert parse_record(frame_record(record, 2)) == (record, 2)
    assert parse_record(memoryview(frame_record(TopicRecord(name="t"), 0))) == (TopicRecord(name="t"), 0)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "needs 1 bytes"),
        ("0002000100", "frame version 0"),
        ("0202000100", "frame version 2"),
        ("017f00", "unknown metadata record type 127"),
        ("010600", "unknown metadata record type 6"),
        ("01020101", "TopicRecord has no version 1"),
        ("010200", "TopicRecord v0"),
        ("01020001" + "00" * 17 + "ff", "1 bytes left over behind TopicRecord v0"),
    ],
)
def test_nothing_is_skipped_that_we_do_not_understand(value: str, says: str) -> None:
    with pytest.raises(MalformedFrame, match=says):
        parse_record(bytes.fromhex(value))
