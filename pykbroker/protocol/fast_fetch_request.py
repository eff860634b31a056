"""Hand-written twin of FetchRequest's decoder: a flat row per partition, no objects.

Equal to the generated codec on all golden vectors and on random messages, but for what no leader of a partition needs:
cluster id, replica directory, the follower's high watermark.
"""

from struct import Struct, error
from typing import NamedTuple

from pykbroker.ids import Uuid
from pykbroker.protocol.arrays import read_int32s, read_tag, read_tag_count, read_tags
from pykbroker.protocol.damage import MAX_ELEMENTS, bad_count, bad_tag, damaged
from pykbroker.protocol.primitives import read_compact_string, read_length, read_string

FLEXIBLE_FROM = 12
TOPIC_IDS_FROM = 13
REPLICA_STATE_FROM = 15
SESSIONS_FROM = 7
RACK_FROM = 11
NO_SESSION = 0
FINAL_EPOCH = -1
CONSUMER = -1
NO_EPOCH = -1
REPLICA_STATE_TAG = 1

TopicKey = str | Uuid
# topic, partition, current leader epoch, fetch offset, last fetched epoch, log start offset, partition max bytes
Row = tuple[TopicKey, int, int, int, int, int, int]

_INT32 = Struct(">i")
_LIMITS = Struct(">iiib")  # max wait, min bytes, max bytes, isolation level
_SESSION = Struct(">ii")
_REPLICA_STATE = Struct(">iq")
_ROW_V4 = Struct(">iqi")
_ROW_V5 = Struct(">iqqi")
_ROW_V9 = Struct(">iiqqi")
_ROW_V12 = Struct(">iiqiqi")
_UNPACK_ROW = _ROW_V12.unpack_from


class FetchQuery(NamedTuple):
    """A request. Topics by name up to v12, by id from v13 on; sessions default to none before v7."""

    replica_id: int
    max_wait_ms: int
    min_bytes: int
    max_bytes: int
    isolation_level: int
    session_id: int
    session_epoch: int
    rows: list[Row]
    forgotten: list[tuple[TopicKey, int]]
    rack_id: str = ""
    replica_epoch: int = NO_EPOCH


def decode_fetch_request(buf: memoryview, version: int, pos: int = 0) -> tuple[FetchQuery, int]:
    """(request, position behind it). Raises MalformedFrame."""
    try:
        return _decode_flexible(buf, version, pos) if version >= FLEXIBLE_FROM else _decode_fixed(buf, version, pos)
    except (error, IndexError) as problem:
        raise damaged(problem, "FetchRequest", version) from None


def _decode_flexible(buf: memoryview, version: int, pos: int) -> tuple[FetchQuery, int]:
    replica_id = CONSUMER
    if version < REPLICA_STATE_FROM:
        (replica_id,) = _INT32.unpack_from(buf, pos)
        pos += 4
    limits: tuple[int, int, int, int] = _LIMITS.unpack_from(buf, pos)
    session_id, epoch = _SESSION.unpack_from(buf, pos + 13)
    count, pos = _count(buf, pos + 21, "Topics")
    rows: list[Row] = []
    for _ in range(count):
        topic, pos = _read_topic(buf, version, pos)
        pos = _read_rows(buf, pos, topic, rows)
    count, pos = _count(buf, pos, "ForgottenTopicsData")
    forgotten: list[tuple[TopicKey, int]] = []
    for _ in range(count):
        topic, pos = _read_topic(buf, version, pos)
        partitions, pos = _count(buf, pos, "Partitions")
        indexes, pos = read_int32s(buf, pos, partitions)
        forgotten += [(topic, index) for index in indexes]
        pos = _skip_tags(buf, pos)
    rack, pos = read_compact_string(buf, pos)
    if not buf[pos]:
        return FetchQuery(replica_id, *limits, session_id, epoch, rows, forgotten, rack), pos + 1
    replica_id, replica_epoch, pos = _read_replica_state(buf, version, pos, replica_id)
    return FetchQuery(replica_id, *limits, session_id, epoch, rows, forgotten, rack, replica_epoch), pos


def _count(buf: memoryview, pos: int, name: str) -> tuple[int, int]:
    count, pos = read_length(buf, pos)
    if not 0 < count <= MAX_ELEMENTS + 1:
        raise bad_count(name, count - 1, pos)
    return count - 1, pos


def _read_topic(buf: memoryview, version: int, pos: int) -> tuple[TopicKey, int]:
    if version >= TOPIC_IDS_FROM:
        if pos + 16 > len(buf):
            raise IndexError
        return Uuid(buf[pos : pos + 16]), pos + 16
    return read_compact_string(buf, pos)


def _read_rows(buf: memoryview, pos: int, topic: TopicKey, rows: list[Row]) -> int:
    count, pos = _count(buf, pos, "Partitions")
    for _ in range(count):
        rows.append((topic, *_UNPACK_ROW(buf, pos)))
        pos += 32
        pos = _skip_tags(buf, pos) if buf[pos] else pos + 1
    return _skip_tags(buf, pos)


def _skip_tags(buf: memoryview, pos: int) -> int:
    return read_tags(buf, pos)[1] if buf[pos] else pos + 1


def _read_replica_state(buf: memoryview, version: int, pos: int, replica_id: int) -> tuple[int, int, int]:
    """Id and epoch of the tagged ReplicaState (KIP-903); `replica_id` when it is not there."""
    replica_epoch = NO_EPOCH
    count, pos = read_tag_count(buf, pos)
    for _ in range(count):
        tag, pos, end = read_tag(buf, pos)
        if tag == REPLICA_STATE_TAG and version >= REPLICA_STATE_FROM:
            replica_id, replica_epoch = _REPLICA_STATE.unpack_from(buf, pos)
            if _skip_tags(buf, pos + 12) != end:
                raise bad_tag(tag, pos)
        pos = end
    return replica_id, replica_epoch, pos


def _decode_fixed(buf: memoryview, version: int, pos: int) -> tuple[FetchQuery, int]:
    (replica_id,) = _INT32.unpack_from(buf, pos)
    limits: tuple[int, int, int, int] = _LIMITS.unpack_from(buf, pos + 4)
    pos += 17
    session_id, epoch = NO_SESSION, FINAL_EPOCH
    if version >= SESSIONS_FROM:
        session_id, epoch = _SESSION.unpack_from(buf, pos)
        pos += 8
    rows: list[Row] = []
    count, pos = _fixed_count(buf, pos)
    for _ in range(count):
        topic, pos = read_string(buf, pos)
        pos = _read_fixed_rows(buf, version, pos, topic, rows)
    forgotten: list[tuple[TopicKey, int]] = []
    if version >= SESSIONS_FROM:
        pos = _read_forgotten(buf, pos, forgotten)
    rack = ""
    if version >= RACK_FROM:
        rack, pos = read_string(buf, pos)
    return FetchQuery(replica_id, *limits, session_id, epoch, rows, forgotten, rack), pos


def _fixed_count(buf: memoryview, pos: int) -> tuple[int, int]:
    (count,) = _INT32.unpack_from(buf, pos)
    if not 0 <= count <= MAX_ELEMENTS:
        raise bad_count("array", count, pos)
    return count, pos + 4


def _read_fixed_rows(buf: memoryview, version: int, pos: int, topic: str, rows: list[Row]) -> int:
    count, pos = _fixed_count(buf, pos)
    for _ in range(count):
        epoch = log_start = -1
        if version >= 9:
            index, epoch, offset, log_start, max_bytes = _ROW_V9.unpack_from(buf, pos)
            pos += 28
        elif version >= 5:
            index, offset, log_start, max_bytes = _ROW_V5.unpack_from(buf, pos)
            pos += 24
        else:
            index, offset, max_bytes = _ROW_V4.unpack_from(buf, pos)
            pos += 16
        rows.append((topic, index, epoch, offset, -1, log_start, max_bytes))
    return pos


def _read_forgotten(buf: memoryview, pos: int, forgotten: list[tuple[TopicKey, int]]) -> int:
    count, pos = _fixed_count(buf, pos)
    for _ in range(count):
        topic, pos = read_string(buf, pos)
        partitions, pos = _fixed_count(buf, pos)
        indexes, pos = read_int32s(buf, pos, partitions)
        forgotten += [(topic, index) for index in indexes]
    return pos
