"""Magic 0 and 1. What real ones decode to is held by test_golden_batches; here is how they are refused."""

import zlib
from struct import pack

import pytest

from pykbroker.record import legacy
from pykbroker.record.compression import compress
from pykbroker.record.damage import CorruptBatch, InvalidRecord, TooLargeDecompressed
from pykbroker.record.reader import iterate_records
from tests.golden_data import golden_lines


def message(
    value: bytes | None,
    *,
    offset: int = 5,
    magic: int = 1,
    attributes: int = 0,
    timestamp: int = 9,
    key: bytes | None = None,
) -> bytes:
    body = pack(">bb", magic, attributes) + (pack(">q", timestamp) if magic else b"")
    for field in (key, value):
        body += pack(">i", -1) if field is None else pack(">i", len(field)) + field
    return pack(">qiI", offset, len(body) + 4, zlib.crc32(body)) + body


def read(data: bytes, limit: int = 1 << 20) -> list[tuple[int, int, bytes | None, bytes | None]]:
    return list(legacy.iterate_messages(data, 0, len(data), limit))


@pytest.mark.parametrize(("magic", "timestamp"), [(0, -1), (1, 9)])
def test_a_message(magic: int, timestamp: int) -> None:
    data = message(b"v", magic=magic, key=b"k")
    assert read(data) == [(5, timestamp, b"k", b"v")]
    assert legacy.crc_is_valid(data, 0, len(data))
    assert legacy.last_offset_at(b"x" + data, 1) == 5


@pytest.mark.parametrize("position", [16, 17, -1])
def test_the_checksum_covers_everything_from_the_magic_on(position: int) -> None:
    data = bytearray(message(b"v"))
    data[position] ^= 1
    assert not legacy.crc_is_valid(data, 0, len(data))


@pytest.mark.parametrize("codec", [1, 2, 3])
def test_relative_offsets_of_magic_1(codec: int) -> None:
    inner = b"".join(message(b"%d" % at, offset=at, timestamp=at) for at in range(3))
    outer = message(compress(codec, inner), offset=102, attributes=codec)
    assert read(outer) == [(100, 0, None, b"0"), (101, 1, None, b"1"), (102, 2, None, b"2")]


def test_log_append_time_of_a_compressed_set() -> None:
    outer = message(compress(1, message(b"v", timestamp=1)), attributes=1 | 8, timestamp=77)
    assert [timestamp for _, timestamp, _, _ in read(outer)] == [77]


def test_absolute_offsets_of_magic_0() -> None:
    inner = message(b"a", offset=7, magic=0) + message(b"b", offset=9, magic=0)
    assert [offset for offset, *_ in read(message(compress(1, inner), offset=9, magic=0, attributes=1))] == [7, 9]


def test_lz4_of_magic_0_has_another_header_checksum() -> None:
    seen = 0
    for line in golden_lines("records/batches.jsonl.gz"):
        if (line["magic"], line["codec"]) == (0, "lz4"):
            data = bytes.fromhex(line["hex"])
            frame = legacy.parse_message(data, 0, len(data)).value
            assert frame is not None
            repaired = legacy.repair_lz4_header(frame)
            assert repaired != frame
            assert legacy.repair_lz4_header(repaired) == repaired
            seen += 1
    assert seen
    assert legacy.repair_lz4_header(b"short") == b"short"


@pytest.mark.parametrize(
    ("value", "attributes", "error", "text"),
    [
        (None, 1, InvalidRecord, "null value"),
        (compress(4, message(b"v")), 4, InvalidRecord, "zstd"),
        (compress(1, b""), 1, InvalidRecord, "no inner records"),
        (compress(1, message(b"v")[:-1]), 1, CorruptBatch, "ends within a message"),
        (compress(1, message(b"v", magic=0)), 1, InvalidRecord, "does not match wrapper magic"),
        (compress(1, message(b"v", attributes=1)), 1, InvalidRecord, "must not be compressed"),
    ],
)
def test_damaged_sets_are_refused(value: bytes | None, attributes: int, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        read(message(value, attributes=attributes))


def test_a_set_is_bounded() -> None:
    with pytest.raises(TooLargeDecompressed):
        read(message(compress(1, bytes(1000)), attributes=1), limit=999)


@pytest.mark.parametrize("cut", range(1, 14))
def test_fields_that_overrun_the_message_are_refused(cut: int) -> None:
    data = bytearray(message(b"value", key=b"key")[:-cut])
    data[8:12] = pack(">i", len(data) - 12)
    with pytest.raises(InvalidRecord):
        list(iterate_records(data))
