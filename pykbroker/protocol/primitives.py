"""Kafka's primitive types: bounds checked reads `(buf, pos) -> (value, pos)`, writes that append to a bytearray.

A length is checked against the bytes that are left before anything is allocated. Reads raise MalformedFrame; a write of
a value that does not fit raises struct.error or ValueError (generated encoders turn both into one ValueError).
KIP-482 for varints and compact lengths; org.apache.kafka.common.utils.ByteUtils.
"""

from struct import Struct, error

from pykbroker.errors import MalformedFrame
from pykbroker.ids import Uuid
from pykbroker.protocol.damage import bad_length, truncated

Buffer = bytes | bytearray | memoryview

# Kafka's limit for a string, compact or not: the length must fit an int16.
MAX_STRING = 32767
_UINT32_MAX = 0xFFFFFFFF
_UINT64_MAX = 0xFFFFFFFFFFFFFFFF
_INT32_MAX = 0x7FFFFFFF

_int8, _int16, _uint16 = Struct(">b"), Struct(">h"), Struct(">H")
_int32, _uint32, _int64, _float64 = Struct(">i"), Struct(">I"), Struct(">q"), Struct(">d")


def _fixed(buf: Buffer, pos: int, layout: Struct) -> tuple[int, int]:
    if pos < 0:
        raise truncated(pos, layout.size)
    try:
        return layout.unpack_from(buf, pos)[0], pos + layout.size
    except error:
        raise truncated(pos, layout.size) from None


def read_bool(buf: Buffer, pos: int) -> tuple[bool, int]:
    value, pos = _fixed(buf, pos, _int8)
    return value != 0, pos


def read_int8(buf: Buffer, pos: int) -> tuple[int, int]:
    return _fixed(buf, pos, _int8)


def read_int16(buf: Buffer, pos: int) -> tuple[int, int]:
    return _fixed(buf, pos, _int16)


def read_uint16(buf: Buffer, pos: int) -> tuple[int, int]:
    return _fixed(buf, pos, _uint16)


def read_int32(buf: Buffer, pos: int) -> tuple[int, int]:
    return _fixed(buf, pos, _int32)


def read_uint32(buf: Buffer, pos: int) -> tuple[int, int]:
    return _fixed(buf, pos, _uint32)


def read_int64(buf: Buffer, pos: int) -> tuple[int, int]:
    return _fixed(buf, pos, _int64)


def read_float64(buf: Buffer, pos: int) -> tuple[float, int]:
    return _fixed(buf, pos, _float64)


def read_uuid(buf: Buffer, pos: int) -> tuple[Uuid, int]:
    return Uuid(take(buf, pos, 16)), pos + 16


def take(buf: Buffer, pos: int, length: int) -> bytes:
    """A copy of `length` bytes."""
    if not 0 <= pos <= pos + length <= len(buf):
        raise bad_length("bytes", length, pos)
    return bytes(buf[pos : pos + length])


def read_uvarint(buf: Buffer, pos: int) -> tuple[int, int]:
    """An unsigned varint of at most 5 bytes that fits 32 bits."""
    if 0 <= pos < len(buf) and buf[pos] < 128:  # nearly all of them
        return buf[pos], pos + 1
    value, pos = _read_base128(buf, pos, 5)
    if value > _UINT32_MAX:
        raise MalformedFrame("varint over 32 bits", pos)
    return value, pos


def read_varint(buf: Buffer, pos: int) -> tuple[int, int]:
    """A zigzag int32."""
    if 0 <= pos < len(buf) and (value := buf[pos]) < 128:
        return (value >> 1) ^ -(value & 1), pos + 1
    value, pos = read_uvarint(buf, pos)
    return (value >> 1) ^ -(value & 1), pos


def read_uvarlong(buf: Buffer, pos: int) -> tuple[int, int]:
    value, pos = _read_base128(buf, pos, 10)
    if value > _UINT64_MAX:
        raise MalformedFrame("varlong over 64 bits", pos)
    return value, pos


def read_varlong(buf: Buffer, pos: int) -> tuple[int, int]:
    """A zigzag int64."""
    if 0 <= pos < len(buf) and (value := buf[pos]) < 128:
        return (value >> 1) ^ -(value & 1), pos + 1
    value, pos = read_uvarlong(buf, pos)
    return (value >> 1) ^ -(value & 1), pos


def _read_base128(buf: Buffer, pos: int, limit: int) -> tuple[int, int]:
    if pos < 0:
        raise truncated(pos, 1)
    value = shift = 0
    end = pos + limit
    size = len(buf)
    while pos < size:
        byte = buf[pos]
        pos += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, pos
        if pos == end:
            raise MalformedFrame("varint too long", pos)
        shift += 7
    raise truncated(pos, 1)


def read_length(buf: Buffer, pos: int) -> tuple[int, int]:
    """A compact length as it stands on the wire (one more than the length; 0 is null). A negative int32 is refused."""
    value, pos = read_uvarint(buf, pos)
    if value > _INT32_MAX:
        raise MalformedFrame("length over 31 bits", pos)
    return value, pos


def read_string_length(buf: Buffer, pos: int) -> tuple[int, int]:
    """As read_length, within Kafka's limit for strings."""
    value, pos = read_uvarint(buf, pos)
    if value > MAX_STRING + 1:
        raise MalformedFrame(f"string of {value - 1} bytes", pos)
    return value, pos


def _text(buf: Buffer, pos: int, length: int) -> tuple[str, int]:
    raw = take(buf, pos, length)
    try:
        return raw.decode(), pos + length
    except UnicodeDecodeError:
        raise MalformedFrame("a string is not UTF-8", pos) from None


def read_string(buf: Buffer, pos: int) -> tuple[str, int]:
    length, pos = read_int16(buf, pos)
    return _text(buf, pos, length)


def read_nullable_string(buf: Buffer, pos: int) -> tuple[str | None, int]:
    length, pos = read_int16(buf, pos)
    return (None, pos) if length < 0 else _text(buf, pos, length)


def read_compact_string(buf: Buffer, pos: int) -> tuple[str, int]:
    length, pos = read_string_length(buf, pos)
    return _text(buf, pos, length - 1)


def read_compact_nullable_string(buf: Buffer, pos: int) -> tuple[str | None, int]:
    length, pos = read_string_length(buf, pos)
    return (None, pos) if length == 0 else _text(buf, pos, length - 1)


def read_bytes(buf: Buffer, pos: int) -> tuple[bytes, int]:
    length, pos = read_int32(buf, pos)
    return take(buf, pos, length), pos + length


def read_nullable_bytes(buf: Buffer, pos: int) -> tuple[bytes | None, int]:
    length, pos = read_int32(buf, pos)
    return (None, pos) if length < 0 else (take(buf, pos, length), pos + length)


def read_compact_bytes(buf: Buffer, pos: int) -> tuple[bytes, int]:
    length, pos = read_length(buf, pos)
    return take(buf, pos, length - 1), pos + length - 1


def read_compact_nullable_bytes(buf: Buffer, pos: int) -> tuple[bytes | None, int]:
    length, pos = read_length(buf, pos)
    return (None, pos) if length == 0 else (take(buf, pos, length - 1), pos + length - 1)


def write_bool(out: bytearray, value: bool) -> None:
    out.append(1 if value else 0)


def write_int8(out: bytearray, value: int) -> None:
    out += _int8.pack(value)


def write_int16(out: bytearray, value: int) -> None:
    out += _int16.pack(value)


def write_uint16(out: bytearray, value: int) -> None:
    out += _uint16.pack(value)


def write_int32(out: bytearray, value: int) -> None:
    out += _int32.pack(value)


def write_uint32(out: bytearray, value: int) -> None:
    out += _uint32.pack(value)


def write_int64(out: bytearray, value: int) -> None:
    out += _int64.pack(value)


def write_float64(out: bytearray, value: float) -> None:
    out += _float64.pack(value)


def write_uuid(out: bytearray, value: Uuid) -> None:
    if len(value) != 16:
        raise ValueError(f"a uuid has 16 bytes, not {len(value)}")
    out += value


def write_uvarint(out: bytearray, value: int) -> None:
    """An unsigned varint of any size: uvarint and uvarlong alike."""
    if value < 0:
        raise ValueError(f"unsigned varint of {value}")
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def write_varint(out: bytearray, value: int) -> None:
    """A zigzag int32. Raises ValueError over 32 bits."""
    if not -0x80000000 <= value <= 0x7FFFFFFF:
        raise ValueError(f"varint of {value}")
    write_uvarint(out, (value << 1) ^ (value >> 31))


def write_varlong(out: bytearray, value: int) -> None:
    """A zigzag int64. Raises ValueError over 64 bits."""
    if not -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
        raise ValueError(f"varlong of {value}")
    write_uvarint(out, (value << 1) ^ (value >> 63))


def write_string_length(out: bytearray, value: int) -> None:
    """A compact length: one more than the bytes of the string. Raises ValueError over Kafka's limit."""
    if value > MAX_STRING + 1:
        raise ValueError(f"a string of {value - 1} bytes is over Kafka's limit of {MAX_STRING}")
    write_uvarint(out, value)


def write_string(out: bytearray, value: str) -> None:
    raw = value.encode()
    out += _int16.pack(len(raw))
    out += raw


def write_nullable_string(out: bytearray, value: str | None) -> None:
    if value is None:
        out += b"\xff\xff"
    else:
        write_string(out, value)


def write_compact_string(out: bytearray, value: str) -> None:
    raw = value.encode()
    write_string_length(out, len(raw) + 1)
    out += raw


def write_compact_nullable_string(out: bytearray, value: str | None) -> None:
    if value is None:
        out.append(0)
    else:
        write_compact_string(out, value)


def write_bytes(out: bytearray, value: Buffer) -> None:
    out += _int32.pack(len(value))
    out += value


def write_nullable_bytes(out: bytearray, value: Buffer | None) -> None:
    if value is None:
        out += b"\xff\xff\xff\xff"
    else:
        write_bytes(out, value)


def write_compact_bytes(out: bytearray, value: Buffer) -> None:
    write_uvarint(out, len(value) + 1)
    out += value


def write_compact_nullable_bytes(out: bytearray, value: Buffer | None) -> None:
    if value is None:
        out.append(0)
    else:
        write_compact_bytes(out, value)
