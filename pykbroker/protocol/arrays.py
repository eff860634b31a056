"""Arrays of primitives, and tagged fields (KIP-482): counts and sizes are checked before anything is allocated."""

from collections.abc import Sequence
from struct import Struct, error

from pykbroker.ids import Uuid
from pykbroker.protocol.damage import MAX_ELEMENTS, MAX_TAGS, bad_count, bad_length
from pykbroker.protocol.primitives import (
    Buffer,
    read_compact_string,
    read_length,
    read_string,
    read_uvarint,
    write_compact_string,
    write_string,
    write_uvarint,
)

Tags = list[tuple[int, bytes]]


def read_tag_count(buf: Buffer, pos: int) -> tuple[int, int]:
    """The number of tagged fields; each of them takes two bytes at least."""
    count, pos = read_uvarint(buf, pos)
    if count * 2 > len(buf) - pos or count > MAX_TAGS:
        raise bad_count("tagged fields", count, pos)
    return count, pos


def read_tag(buf: Buffer, pos: int) -> tuple[int, int, int]:
    """(tag, position, end of its data), checked to lie within the buffer."""
    tag, pos = read_length(buf, pos)
    size, pos = read_uvarint(buf, pos)
    if pos + size > len(buf):
        raise bad_length(f"tagged field {tag}", size, pos)
    return tag, pos, pos + size


def read_tags(buf: Buffer, pos: int) -> tuple[Tags | None, int]:
    """A struct's tagged fields, all of them unknown to the schema."""
    count, pos = read_tag_count(buf, pos)
    tags: Tags = []
    for _ in range(count):
        tag, pos, end = read_tag(buf, pos)
        tags.append((tag, bytes(buf[pos:end])))
        pos = end
    return tags or None, pos


# Arrays of primitives: count is what the wire says (-1 = null, refused here).
_int32s = tuple(Struct(f">{count}i") for count in range(17))


def _array(buf: Buffer, pos: int, count: int, layout: str, width: int) -> tuple[list[int], int]:
    end = pos + count * width
    if not pos <= end <= len(buf) or count > MAX_ELEMENTS:
        raise bad_count("array", count, pos)
    return list(Struct(f">{count}{layout}").unpack_from(buf, pos)), end


def read_int8s(buf: Buffer, pos: int, count: int) -> tuple[list[int], int]:
    return _array(buf, pos, count, "b", 1)


def read_int16s(buf: Buffer, pos: int, count: int) -> tuple[list[int], int]:
    return _array(buf, pos, count, "h", 2)


def read_int32s(buf: Buffer, pos: int, count: int) -> tuple[list[int], int]:
    if 0 <= count <= 16:
        try:
            return list(_int32s[count].unpack_from(buf, pos)), pos + 4 * count
        except error:
            raise bad_count("array", count, pos) from None
    return _array(buf, pos, count, "i", 4)


def read_int64s(buf: Buffer, pos: int, count: int) -> tuple[list[int], int]:
    return _array(buf, pos, count, "q", 8)


def read_uuids(buf: Buffer, pos: int, count: int) -> tuple[list[Uuid], int]:
    end = pos + count * 16
    if not pos <= end <= len(buf) or count > MAX_ELEMENTS:
        raise bad_count("array", count, pos)
    return [Uuid(buf[at : at + 16]) for at in range(pos, end, 16)], end


def read_strings(buf: Buffer, pos: int, count: int) -> tuple[list[str], int]:
    if not 0 <= count * 2 <= len(buf) - pos or count > MAX_ELEMENTS:
        raise bad_count("array", count, pos)
    strings: list[str] = []
    for _ in range(count):
        text, pos = read_string(buf, pos)
        strings.append(text)
    return strings, pos


def read_compact_strings(buf: Buffer, pos: int, count: int) -> tuple[list[str], int]:
    if not 0 <= count <= len(buf) - pos or count > MAX_ELEMENTS:
        raise bad_count("array", count, pos)
    strings: list[str] = []
    for _ in range(count):
        text, pos = read_compact_string(buf, pos)
        strings.append(text)
    return strings, pos


def write_tags(out: bytearray, known: list[tuple[int, bytearray]], unknown: Tags | None) -> None:
    """A struct's tagged fields in ascending order, those of the schema and those we do not know."""
    tags: Sequence[tuple[int, bytes | bytearray]] = known
    if unknown:
        tags = [*known, *unknown]
    if len(tags) > 1:
        tags = sorted(tags, key=lambda field: field[0])
    write_uvarint(out, len(tags))
    for tag, data in tags:
        if tag < 128 and len(data) < 128:
            out += bytes((tag, len(data)))
        else:
            write_uvarint(out, tag)
            write_uvarint(out, len(data))
        out += data


def replace_tags(out: bytearray, unknown: Tags) -> None:
    """Put unknown tagged fields in the place of the 0 just written."""
    del out[-1]
    write_tags(out, [], unknown)


def write_int8s(out: bytearray, values: list[int]) -> None:
    out += Struct(f">{len(values)}b").pack(*values)


def write_int16s(out: bytearray, values: list[int]) -> None:
    out += Struct(f">{len(values)}h").pack(*values)


def write_int32s(out: bytearray, values: list[int]) -> None:
    out += Struct(f">{len(values)}i").pack(*values)


def write_int64s(out: bytearray, values: list[int]) -> None:
    out += Struct(f">{len(values)}q").pack(*values)


def write_uuids(out: bytearray, values: list[Uuid]) -> None:
    for value in values:
        out += value


def write_strings(out: bytearray, values: list[str]) -> None:
    for value in values:
        write_string(out, value)


def write_compact_strings(out: bytearray, values: list[str]) -> None:
    for value in values:
        write_compact_string(out, value)
