"""The keys of a batch's records, found at half the cost of record_spans; at anything odd it gives up.

Most of a cleaning's time goes here: lengths of up to two bytes are decoded in place, `range` counts in zigzag form.
"""

from typing import NamedTuple

from pykbroker.errors import MalformedFrame
from pykbroker.log.uniform_walk import uniform_keys
from pykbroker.record.varints import read_varint, read_varlong


class Keys(NamedTuple):
    """In order. Where they are consecutive, the offset deltas are 0, 1, 2 …"""

    keys: list[bytes]
    is_consecutive: bool
    has_tombstone: bool


def walk_keys(data: bytes, count: int) -> Keys | None:
    """Of `count` records that fill the decompressed payload. None: not sound, or a key is missing, or unusual;
    record_spans says which."""
    alike = uniform_keys(data, count)
    if alike is not None:
        return Keys(alike[0], True, alike[1])
    try:
        return _walk(data, count)
    except (IndexError, MalformedFrame):
        return None


def _walk(data: bytes, count: int) -> Keys | None:
    keys: list[bytes] = []
    add = keys.append
    end = 0
    is_consecutive, has_tombstone = True, False
    for expected in range(0, 2 * count, 2):
        # In zigzag form odd is negative, however long the number is.
        size = data[end]
        if size < 128:
            pos = end + 2  # behind the attributes too: no bit of them is defined
            end += 1 + (size >> 1)
        elif (second := data[end + 1]) < 128:
            pos = end + 3
            end += 2 + ((size & 127 | second << 7) >> 1)
        else:
            length, pos = read_varint(data, end)
            end = pos + length
            pos += 1
        if data[pos] > 127:  # the timestamp delta
            pos += 1
            if data[pos] > 127:
                pos = read_varlong(data, pos - 1)[1] - 1
        offset = data[pos + 1]
        if offset < 128:
            pos += 2
        elif (second := data[pos + 2]) < 128:
            offset = offset & 127 | second << 7
            pos += 3
        else:
            offset, pos = read_varint(data, pos + 1)
            offset <<= 1
        if offset != expected:
            is_consecutive = False
        key_size = data[pos]
        pos += 1
        if key_size > 127:
            if (second := data[pos]) > 127:
                return None
            key_size = key_size & 127 | second << 7
            pos += 1
        if (size | key_size) & 1:
            return None
        key_end = pos + (key_size >> 1)
        if key_end >= end:
            return None
        add(data[pos:key_end])
        if data[key_end] & 1:
            has_tombstone = True
    return Keys(keys, is_consecutive, has_tombstone) if end == len(data) else None
