"""Compressed sets of magic 0 and 1 that the reader reads back; byte for byte for a message on its own."""

import pytest

from pykbroker.record.legacy_builder import compressed_set, message
from pykbroker.record.reader import Record, iterate_records
from tests.golden_data import golden_lines

RECORDS = [Record(10, 5, b"a", b"1", [], -1), Record(13, 9, None, b"2", [], -1), Record(14, 7, b"c", None, [], -1)]
SINGLE = [
    line
    for line in golden_lines("records/batches.jsonl.gz")
    if line["magic"] < 2 and line["codec"] == "none" and line["byte_exact"]
]


@pytest.mark.parametrize("line", SINGLE, ids=lambda line: line["case"])
def test_messages_as_the_java_classes_write_them(line: dict[str, object]) -> None:
    data = bytes.fromhex(str(line["hex"]))
    magic, attributes = data[16], data[17]
    written = bytearray()
    position = 0
    while position < len(data):
        size = int.from_bytes(data[position + 8 : position + 12], "big") + 12
        for record in iterate_records(data, position):
            written += message(magic, attributes, record.offset, record.timestamp, record.key, record.value)
        position += size
    assert written == data
    assert SINGLE


@pytest.mark.parametrize("codec", [1, 2, 3])
@pytest.mark.parametrize("magic", [0, 1])
def test_sets_are_read_back(magic: int, codec: int) -> None:
    data = compressed_set(magic, codec, RECORDS, None)
    assert int.from_bytes(data[:8], "big") == 14
    wanted = RECORDS if magic else [record._replace(timestamp=-1) for record in RECORDS]
    assert list(iterate_records(data)) == wanted


def test_append_time_is_the_outer_one() -> None:
    data = compressed_set(1, 1 | 8, RECORDS, 99)
    assert [record.timestamp for record in iterate_records(data)] == [99] * 3
    assert compressed_set(1, 1, RECORDS, None)[18:26] == (9).to_bytes(8, "big")
