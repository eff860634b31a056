"""Hand-written twin of the Produce codec: batches located as views, response rows packed by struct.

It knows only plain rows: a response with record errors, messages or leaders is the generated codec's. Equal to that on
all golden vectors and on random messages (tests/protocol/test_fast_produce.py).
"""

from collections.abc import Sequence
from struct import Struct, error
from typing import NamedTuple

from pykbroker.ids import Uuid
from pykbroker.protocol.arrays import read_tags
from pykbroker.protocol.damage import MAX_ELEMENTS, bad_count, bad_length, damaged
from pykbroker.protocol.primitives import (
    read_compact_nullable_string,
    read_compact_string,
    read_length,
    read_nullable_string,
    read_string,
    write_compact_string,
    write_string,
    write_uvarint,
)

FLEXIBLE_FROM = 9
TOPIC_IDS_FROM = 13
ERRORS_FROM = 8
LOG_START_FROM = 5

TopicKey = str | Uuid
Records = memoryview | None
Topics = list[tuple[TopicKey, list[tuple[int, Records]]]]
# index, error code, base offset, log append time (ms), log start offset
ResponseRow = tuple[int, int, int, int, int]

_INT32 = Struct(">i")
_ACKS = Struct(">hi")  # acks, timeout
_PARTITION = Struct(">ii")  # index, length of the records
_ACKS_AND_COUNT = Struct(">hiB").unpack_from
_INDEX_AND_LENGTH = Struct(">iB").unpack_from
_ROW_V3 = Struct(">ihqq")
_ROW_V5 = Struct(">ihqqq")
_ROW_V8 = Struct(">ihqqqih")  # no record errors, no message
_PACK_ROW_V9 = Struct(">ihqqqBBB").pack  # no record errors, no message, no tags


class ProduceQuery(NamedTuple):
    """A request. `topics` by name up to v12, by id from v13 on; records are views into the frame."""

    transactional_id: str | None
    acks: int
    timeout_ms: int
    topics: Topics


def decode_produce_request(buf: memoryview, version: int, pos: int = 0) -> tuple[ProduceQuery, int]:
    """(request, position behind it). Raises MalformedFrame."""
    try:
        return _decode_flexible(buf, version, pos) if version >= FLEXIBLE_FROM else _decode_fixed(buf, pos)
    except (error, IndexError, UnicodeDecodeError) as problem:
        raise damaged(problem, "ProduceRequest", version) from None


def _decode_flexible(buf: memoryview, version: int, pos: int) -> tuple[ProduceQuery, int]:
    """Nearly all lengths and counts here are below 128: one byte, read in place."""
    transactional_id = None
    if buf[pos]:
        transactional_id, pos = read_compact_nullable_string(buf, pos)
    else:
        pos += 1
    acks, timeout_ms, count = _ACKS_AND_COUNT(buf, pos)
    pos += 7
    if count > 127:
        count, pos = read_length(buf, pos - 1)
    if not 0 < count <= MAX_ELEMENTS + 1:
        raise bad_count("TopicData", count - 1, pos)
    topics: Topics = []
    total = 0
    for _ in range(count - 1):
        topic: TopicKey
        if version >= TOPIC_IDS_FROM:
            topic = Uuid(buf[pos : pos + 16])
            pos += 16
        elif 0 < buf[pos] < 128 and pos + buf[pos] <= len(buf):
            end = pos + buf[pos]
            topic = str(buf[pos + 1 : end], "utf-8")
            pos = end
        else:
            topic, pos = read_compact_string(buf, pos)
        rows, pos = _read_rows(buf, pos)
        topics.append((topic, rows))
        total += len(rows)
        if total > MAX_ELEMENTS:
            raise bad_count("PartitionData", total, pos)
        pos = _skip_tags(buf, pos) if buf[pos] else pos + 1
    pos = _skip_tags(buf, pos) if buf[pos] else pos + 1
    return ProduceQuery(transactional_id, acks, timeout_ms, topics), pos


def _read_rows(buf: memoryview, pos: int) -> tuple[list[tuple[int, Records]], int]:
    size = len(buf)
    count = buf[pos]
    pos += 1
    if count > 127:
        count, pos = read_length(buf, pos - 1)
    if not 0 < count <= MAX_ELEMENTS + 1:
        raise bad_count("PartitionData", count - 1, pos)
    rows: list[tuple[int, Records]] = []
    for _ in range(count - 1):
        index, length = _INDEX_AND_LENGTH(buf, pos)
        pos += 5
        if length > 127:
            if buf[pos] < 128:  # two bytes: up to 16 kB
                length = length & 127 | buf[pos] << 7
                pos += 1
            else:
                length, pos = read_length(buf, pos - 1)
        if length == 0:
            rows.append((index, None))
        else:
            end = pos + length - 1
            if end > size:
                raise bad_length("Records", length - 1, pos)
            rows.append((index, buf[pos:end]))
            pos = end
        pos = _skip_tags(buf, pos) if buf[pos] else pos + 1
    return rows, pos


def _skip_tags(buf: memoryview, pos: int) -> int:
    return read_tags(buf, pos)[1]


def _decode_fixed(buf: memoryview, pos: int) -> tuple[ProduceQuery, int]:
    transactional_id, pos = read_nullable_string(buf, pos)
    acks, timeout_ms = _ACKS.unpack_from(buf, pos)
    (count,) = _INT32.unpack_from(buf, pos + 6)
    pos += 10
    if not 0 <= count <= MAX_ELEMENTS:
        raise bad_count("TopicData", count, pos)
    topics: Topics = []
    total = 0
    for _ in range(count):
        topic, pos = read_string(buf, pos)
        rows, pos = _read_fixed_rows(buf, pos)
        topics.append((topic, rows))
        total += len(rows)
        if total > MAX_ELEMENTS:
            raise bad_count("PartitionData", total, pos)
    return ProduceQuery(transactional_id, acks, timeout_ms, topics), pos


def _read_fixed_rows(buf: memoryview, pos: int) -> tuple[list[tuple[int, Records]], int]:
    size = len(buf)
    (count,) = _INT32.unpack_from(buf, pos)
    pos += 4
    if not 0 <= count <= MAX_ELEMENTS:
        raise bad_count("PartitionData", count, pos)
    rows: list[tuple[int, Records]] = []
    for _ in range(count):
        index, length = _PARTITION.unpack_from(buf, pos)
        pos += 8
        if length < 0:
            rows.append((index, None))
            continue
        end = pos + length
        if end > size:
            raise bad_length("Records", length, pos)
        rows.append((index, buf[pos:end]))
        pos = end
    return rows, pos


def encode_produce_response(version: int, topics: Sequence[tuple[TopicKey, Sequence[ResponseRow]]]) -> bytearray:
    """A response body of plain rows, throttle time 0."""
    out = bytearray()
    if version < FLEXIBLE_FROM:
        _encode_fixed(out, version, topics)
        return out
    write_uvarint(out, len(topics) + 1)
    for topic, rows in topics:
        if isinstance(topic, Uuid):
            out += topic
        else:
            write_compact_string(out, topic)
        write_uvarint(out, len(rows) + 1)
        for index, error_code, base_offset, append_time, log_start in rows:
            out += _PACK_ROW_V9(index, error_code, base_offset, append_time, log_start, 1, 0, 0)
        out.append(0)
    out += b"\0\0\0\0\0"  # throttle time, no tags
    return out


def _encode_fixed(out: bytearray, version: int, topics: Sequence[tuple[TopicKey, Sequence[ResponseRow]]]) -> None:
    out += _INT32.pack(len(topics))
    for topic, rows in topics:
        assert isinstance(topic, str)
        write_string(out, topic)
        out += _INT32.pack(len(rows))
        for row in rows:
            if version >= ERRORS_FROM:
                out += _ROW_V8.pack(*row, 0, -1)
            elif version >= LOG_START_FROM:
                out += _ROW_V5.pack(*row)
            else:
                out += _ROW_V3.pack(*row[:4])
    out += b"\0\0\0\0"
