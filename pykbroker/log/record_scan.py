"""The slow walk over the records of a v2 batch: exactly what Kafka's iterators find, damage by damage.

record_walk's quick look calls it for whatever it does not take: then it matters which of Kafka's three readers it was.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.damage import InvalidRecord
from pykbroker.record.varints import read_varint, read_varlong


class Seen(NamedTuple):
    """Of one record, as LogValidator looks at it."""

    timestamp_delta: int
    offset_delta: int
    has_key: bool


def scan_buffer(data: bytes, count: int) -> Iterator[Seen]:
    """Uncompressed records (DefaultRecordBatch.uncompressedIterator). Raises InvalidRecord, UNKNOWN_SERVER_ERROR."""
    pos = 0
    for _ in range(count):
        try:
            length, pos = read_varint(data, pos)
        except IndexError:
            raise InvalidRecord("Incorrect declared batch size, premature EOF reached") from None
        except MalformedFrame as error:  # Java has no catch around this one
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, str(error)) from None
        record, pos = _read_whole(data, pos, length)
        yield record
    if pos != len(data):
        raise InvalidRecord("Incorrect declared batch size, records still remaining in file")


def scan_stream(data: bytes, count: int, failure: KafkaError | None) -> Iterator[Seen]:
    """Decompressed records, to be re-encoded (DefaultRecord.readFrom of a stream); `failure` lies behind `data`."""
    return _scan_stream(data, count, failure, _read_from_stream)


def scan_skipping(data: bytes, count: int, failure: KafkaError | None) -> Iterator[Seen]:
    """Decompressed records that stay as they are: a record's length is not held against its fields
    (DefaultRecord.readPartiallyFrom); `failure` lies behind `data`. Raises InvalidRecord, `failure`."""
    return _scan_stream(data, count, failure, _read_partially)


class _Ended(Exception):
    """A read needs bytes behind the end of the stream."""


def _scan_stream(
    data: bytes, count: int, failure: KafkaError | None, read: Callable[[bytes, int], tuple[Seen, int]]
) -> Iterator[Seen]:
    pos = 0
    for _ in range(count):
        try:
            record, pos = read(data, pos)
        except (IndexError, _Ended):
            raise failure or InvalidRecord("Reached end of input stream before skipping all bytes.") from None
        except MalformedFrame as error:
            raise InvalidRecord(f"Found invalid record structure: {error}") from None
        yield record
    if pos < len(data):
        raise InvalidRecord("Incorrect declared batch size, records still remaining in file")
    if failure:
        raise failure


def _read_from_stream(data: bytes, pos: int) -> tuple[Seen, int]:
    length, pos = read_varint(data, pos)
    if length < 0:
        raise InvalidRecord(f"Invalid record size {length}")
    if pos + length > len(data):
        raise _Ended
    record, _ = _read_whole(data[pos : pos + length], 0, length)
    return record, pos + length


def _read_whole(data: bytes, pos: int, length: int) -> tuple[Seen, int]:
    """A record of `length` bytes at `pos`, all its fields read. Raises InvalidRecord."""
    end = pos + length
    if end > len(data):
        raise InvalidRecord(f"Invalid record size: expected {length} bytes, {len(data) - pos} are left")
    try:
        data[pos]  # the attributes must be there
        record, pos = _read_fields(data, pos + 1)
    except (IndexError, MalformedFrame, _Ended):
        raise InvalidRecord("Found invalid record structure") from None
    if pos != end:
        raise InvalidRecord(f"Invalid record size: expected {length} bytes, read {length + pos - end}")
    return record, pos


def _read_partially(data: bytes, pos: int) -> tuple[Seen, int]:
    _, pos = read_varint(data, pos)
    return _read_fields(data, pos + 1, is_whole=False)


def _read_fields(data: bytes, pos: int, is_whole: bool = True) -> tuple[Seen, int]:
    timestamp_delta, pos = read_varlong(data, pos)
    offset_delta, pos = read_varint(data, pos)
    key_size, pos = read_varint(data, pos)
    pos = _skip(data, pos, key_size)
    value_size, pos = read_varint(data, pos)
    pos = _skip(data, pos, value_size)
    count, pos = read_varint(data, pos)
    if count < 0 or (is_whole and count > len(data) - pos):
        raise InvalidRecord(f"Found invalid number of record headers {count}")
    for _ in range(count):
        size, pos = read_varint(data, pos)
        if size < 0:
            raise InvalidRecord(f"Invalid negative header key size {size}")
        pos = _skip(data, pos, size)
        size, pos = read_varint(data, pos)
        pos = _skip(data, pos, size)
    return Seen(timestamp_delta, offset_delta, key_size >= 0), pos


def _skip(data: bytes, pos: int, size: int) -> int:
    if size <= 0:
        return pos
    if pos + size > len(data):
        raise _Ended
    return pos + size
