"""Varints as Java reads them in records: bits beyond the type's width are dropped, not refused. (ByteUtils)

pykbroker.protocol refuses them, which no honest sender notices; a broker must say of a batch what Kafka says.
"""

from pykbroker.errors import MalformedFrame

_INT32_BYTES = 5
_INT64_BYTES = 10


def read_varint(data: bytes, pos: int) -> tuple[int, int]:
    """A zigzag int32. Raises IndexError at the end of `data`, MalformedFrame when it does not end after 5 bytes."""
    byte = data[pos]
    if byte < 128:
        return byte >> 1 ^ -(byte & 1), pos + 1
    value, pos = _read(data, pos, _INT32_BYTES)
    value &= 0xFFFFFFFF
    return value >> 1 ^ -(value & 1), pos


def read_varlong(data: bytes, pos: int) -> tuple[int, int]:
    """A zigzag int64. Raises IndexError at the end of `data`, MalformedFrame when it does not end after 10 bytes."""
    byte = data[pos]
    if byte < 128:
        return byte >> 1 ^ -(byte & 1), pos + 1
    value, pos = _read(data, pos, _INT64_BYTES)
    value &= 0xFFFFFFFFFFFFFFFF
    return value >> 1 ^ -(value & 1), pos


def _read(data: bytes, pos: int, limit: int) -> tuple[int, int]:
    value = shift = 0
    for at in range(pos, pos + limit):
        byte = data[at]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at + 1
        shift += 7
    raise MalformedFrame(f"varint of more than {limit} bytes", pos)


def wrap_int64(value: int) -> int:
    """What Java's long makes of a sum."""
    return (value + 0x8000000000000000 & 0xFFFFFFFFFFFFFFFF) - 0x8000000000000000
