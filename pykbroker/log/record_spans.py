"""Where the records of a v2 batch lie and what cleaning must know of each: their bytes are copied, not decoded.

One loop with everything in place: a cleaner walks through each record of a log twice.
"""

from typing import Final

from pykbroker.errors import MalformedFrame
from pykbroker.record.damage import InvalidRecord
from pykbroker.record.varints import read_varint, read_varlong

# start, position behind the timestamp delta, end, timestamp delta, offset delta, key, whether it has a value
Span = tuple[int, int, int, int, int, bytes | None, bool]
START: Final = 0
TAIL: Final = 1
END: Final = 2
TIMESTAMP_DELTA: Final = 3
OFFSET_DELTA: Final = 4
KEY: Final = 5
HAS_VALUE: Final = 6


def record_spans(data: bytes, count: int, wanted: bytes | None = None) -> list[Span]:
    """All `count` records of the decompressed payload, or only those that have a 1 in `wanted`: the others are skipped,
    not looked at. Raises InvalidRecord."""
    if count < 0:
        raise InvalidRecord(f"Found invalid record count {count} in a batch of {len(data)} bytes of records")
    try:
        spans, end = _walk(data, wanted or b"\1" * count)
    except (IndexError, MalformedFrame) as error:
        raise InvalidRecord(f"Found invalid record structure: {error}") from None
    if end != len(data):
        raise InvalidRecord("Incorrect declared batch size, records still remaining in file")
    return spans


def _walk(data: bytes, wanted: bytes) -> tuple[list[Span], int]:
    spans: list[Span] = []
    add = spans.append
    size = len(data)
    end = 0
    for is_wanted in wanted:
        start = end
        # In zigzag form odd is negative, however long the number is.
        byte = data[start]
        if byte < 128:
            end = start + 1 + (byte >> 1)
            pos = start + 2  # behind the attributes too: no bit of them is defined
        elif (second := data[start + 1]) < 128:
            end = start + 2 + ((byte & 127 | second << 7) >> 1)
            pos = start + 3
        else:
            length, pos = read_varint(data, start)
            end = pos + length
            pos += 1
        if byte & 1 or end > size:
            raise InvalidRecord(f"Invalid record size: the record at {start} of {size} bytes would end at {end}")
        if not is_wanted:
            continue
        byte = data[pos]
        if byte < 128:
            timestamp_delta = byte >> 1 ^ -(byte & 1)
            pos += 1
        else:
            timestamp_delta, pos = read_varlong(data, pos)
        tail = pos
        byte = data[pos]
        if byte < 128:
            offset_delta = byte >> 1 ^ -(byte & 1)
            pos += 1
        elif (second := data[pos + 1]) < 128:
            offset_delta = byte & 127 | second << 7
            offset_delta = offset_delta >> 1 ^ -(offset_delta & 1)
            pos += 2
        else:
            offset_delta, pos = read_varint(data, pos)
        byte = data[pos]
        key: bytes | None
        if byte < 128 and not byte & 1:
            pos += 1
            key_end = pos + (byte >> 1)
            key = data[pos:key_end]
            pos = key_end
        else:
            key_size, pos = read_varint(data, pos)
            key = data[pos : pos + key_size] if key_size >= 0 else None
            pos += max(key_size, 0)
        if pos >= end:
            raise InvalidRecord(f"Invalid record size: expected the record to end at {end}, its key ends at {pos}")
        add((start, tail, end, timestamp_delta, offset_delta, key, not data[pos] & 1))
    return spans, end
