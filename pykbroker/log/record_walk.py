"""A tight walk over the records of one v2 batch: what LogValidator must know of each, in about a microsecond each."""

from typing import NamedTuple

from pykbroker.errors import MalformedFrame
from pykbroker.protocol.primitives import read_varint, read_varlong
from pykbroker.record.damage import InvalidRecord
from pykbroker.record.reader import MIN_RECORD_SIZE


class Walked(NamedTuple):
    """Timestamp deltas relative to the base timestamp, in milliseconds."""

    max_delta: int
    min_delta: int
    is_keyless: bool  # some record has no key
    is_consecutive: bool  # offset deltas are 0, 1, 2 …


def walk_records(data: bytes, count: int) -> Walked:
    """Checks the structure of `count` records that must fill `data` exactly. Raises InvalidRecord otherwise;
    record_scan then tells what Kafka says of them.

    Varints of one byte, and lengths of two, are decoded in place: a call would cost as much as the rest.
    """
    if count * MIN_RECORD_SIZE > len(data):
        raise InvalidRecord(f"Found invalid record count {count} in a batch of {len(data)} bytes of records")
    try:
        return _walk(data, count)
    except IndexError:
        raise InvalidRecord("Found invalid record structure: a record goes beyond its batch") from None
    except MalformedFrame as error:
        raise InvalidRecord(f"Found invalid record structure: {error}") from None


def _walk(data: bytes, count: int) -> Walked:
    pos = 0
    size = len(data)
    max_delta, min_delta = -(1 << 63), 1 << 63
    is_keyless = False
    is_consecutive = True
    for index in range(count):
        byte = data[pos]
        if byte < 128:
            length = (byte >> 1) ^ -(byte & 1)
            pos += 1
        elif data[pos + 1] < 128:
            length = byte & 127 | data[pos + 1] << 7
            length = (length >> 1) ^ -(length & 1)
            pos += 2
        else:
            length, pos = read_varint(data, pos)
        end = pos + length
        if length < 0 or end > size:
            raise InvalidRecord(f"Invalid record size {length}: {size - pos} bytes are left")
        pos += 1  # attributes: no bit is defined
        byte = data[pos]
        if byte < 128:
            delta = (byte >> 1) ^ -(byte & 1)
            pos += 1
        else:
            delta, pos = read_varlong(data, pos)
        if delta > max_delta:
            max_delta = delta
        if delta < min_delta:
            min_delta = delta
        byte = data[pos]
        if byte < 128:
            offset_delta = (byte >> 1) ^ -(byte & 1)
            pos += 1
        else:
            offset_delta, pos = read_varint(data, pos)
        if offset_delta != index:
            is_consecutive = False
        byte = data[pos]
        if byte < 128:
            length = (byte >> 1) ^ -(byte & 1)
            pos += 1
        else:
            length, pos = read_varint(data, pos)
        if length >= 0:
            pos += length
        else:
            is_keyless = True
        byte = data[pos]
        if byte < 128:
            length = (byte >> 1) ^ -(byte & 1)
            pos += 1
        elif data[pos + 1] < 128:
            length = byte & 127 | data[pos + 1] << 7
            length = (length >> 1) ^ -(length & 1)
            pos += 2
        else:
            length, pos = read_varint(data, pos)
        if length > 0:
            pos += length
        byte = data[pos]
        pos = pos + 1 if byte == 0 else skip_headers(data, pos, end)
        if pos != end:
            raise InvalidRecord(f"Invalid record size: expected the record to end at {end}, it ends at {pos}")
    if pos != size:
        raise InvalidRecord("Incorrect declared batch size, records still remaining in file")
    return Walked(max_delta, min_delta, is_keyless, is_consecutive)


def skip_headers(data: bytes, pos: int, end: int) -> int:
    """The position behind a record's headers. Raises InvalidRecord, MalformedFrame."""
    count, pos = read_varint(data, pos)
    if count < 0 or count > end - pos:
        raise InvalidRecord(f"Found invalid number of record headers {count}")
    for _ in range(count):
        length, pos = read_varint(data, pos)
        if length < 0:
            raise InvalidRecord("Invalid negative header key size")
        length, pos = read_varint(data, pos + length)
        if length > 0:
            pos += length
    return pos
