"""The keys of records that are all alike, as machines write them: of one size, with keys of one size.

Then each byte of a record's head is a column of the batch: few slices and comparisons instead of a loop in Python.
"""

from functools import lru_cache
from struct import Struct

# The zigzag varints of the offset deltas: one byte up to 63, two up to 8191.
_ONE_BYTE = 64
_TWO_BYTES = 8192
_ONLY = bytes(range(0, 2 * _ONE_BYTE, 2))
_LOW = bytes(delta << 1 & 127 | 128 for delta in range(_ONE_BYTE, _TWO_BYTES))
_HIGH = bytes(delta >> 6 for delta in range(_ONE_BYTE, _TWO_BYTES))


def uniform_keys(data: bytes, count: int) -> tuple[list[bytes], bool] | None:
    """(keys, whether the records are tombstones) of `count` records that fill the decompressed payload, offset deltas
    0, 1, 2 …; None: they are not alike. Never what key_walk would not say."""
    if not 0 < count <= _TWO_BYTES:
        return None
    try:
        found = _run(data, 0, min(count, _ONE_BYTE), (_ONLY,))
        if found is None or count <= _ONE_BYTE:
            return found[:2] if found and found[2] == len(data) else None
        more = _run(data, found[2], count - _ONE_BYTE, (_LOW, _HIGH))
    except IndexError:
        return None
    if more is None or more[2] != len(data) or more[1] != found[1]:
        return None
    return found[0] + more[0], found[1]


def _run(data: bytes, start: int, count: int, offsets: tuple[bytes, ...]) -> tuple[list[bytes], bool, int] | None:
    """Keys, whether tombstones, end of `count` alike records; `offsets`: the columns of their offset deltas."""
    size, size_end = _short_varint(data, start)
    length = size_end - start + (size >> 1)
    end = start + count * length
    timestamp = size_end + 1  # behind the attributes: no bit of them is defined
    if data[timestamp] > 127:
        return None
    key_size, key = _short_varint(data, timestamp + 1 + len(offsets))
    value = key + (key_size >> 1)
    if (size | key_size) & 1 or end > len(data) or value >= start + length:
        return None
    if not data[timestamp:end:length].isascii():
        return None
    for at, column in enumerate(offsets, timestamp + 1):
        if data[at:end:length] != column[:count]:
            return None
    for at in (*range(start, size_end), *range(timestamp + 1 + len(offsets), key), value):
        if data[at:end:length].count(data[at]) != count:
            return None
    keys = [found for (found,) in _struct(key - start, value - key, length).iter_unpack(memoryview(data)[start:end])]
    return keys, bool(data[value] & 1), end


def _short_varint(data: bytes, pos: int) -> tuple[int, int]:
    """In zigzag form, and where it ends; -1, which no size can be, when it has more than two bytes."""
    byte = data[pos]
    if byte < 128:
        return byte, pos + 1
    second = data[pos + 1]
    return (byte & 127 | second << 7 if second < 128 else -1), pos + 2


@lru_cache(100)
def _struct(before: int, size: int, length: int) -> Struct:
    return Struct(f"{before}x{size}s{length - before - size}x")
