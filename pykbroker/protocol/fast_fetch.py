"""Hand-written twin of FetchResponse's encoder: header pieces packed by struct, records left where they are.

The answer is a list of parts: bytes, and whatever stands for the records of a partition (regions of segment files),
whose total length is known. Equal to the generated codec on all golden vectors and on random messages
(tests/protocol/test_fast_fetch.py).
"""

from collections.abc import Sequence
from struct import Struct
from typing import Protocol

from pykbroker.ids import Uuid
from pykbroker.protocol.primitives import write_compact_string, write_string, write_uvarint

FLEXIBLE_FROM = 12
TOPIC_IDS_FROM = 13
READ_REPLICA_FROM = 11
LOG_START_FROM = 5
SESSIONS_FROM = 7

_TOP = Struct(">ihi")  # throttle time, error code, session id
_ROW = Struct(">ihqqq")  # index, error code, high watermark, last stable offset, log start offset
_ROW_V4 = Struct(">ihqq")
_INT32 = Struct(">i")
_ABORTED = Struct(">qq")
_DIVERGING = Struct(">BBiqB")  # tag 0, 13 bytes: epoch, end offset, no tags
_LEADER = Struct(">BBiiB")  # tag 1, 9 bytes: leader id, leader epoch, no tags


class Aborted(Protocol):
    @property
    def producer_id(self) -> int: ...
    @property
    def first_offset(self) -> int: ...


class Row(Protocol):
    """One partition's answer. `diverging` is (epoch, end offset), `current_leader` (id, epoch); -1: no replica that the
    client should rather read from."""

    @property
    def partition_index(self) -> int: ...
    @property
    def error_code(self) -> int: ...
    @property
    def high_watermark(self) -> int: ...
    @property
    def last_stable_offset(self) -> int: ...
    @property
    def log_start_offset(self) -> int: ...
    @property
    def aborted(self) -> Sequence[Aborted] | None: ...
    @property
    def regions(self) -> Sequence[object]: ...
    @property
    def size(self) -> int: ...
    @property
    def preferred_read_replica(self) -> int: ...
    @property
    def diverging(self) -> tuple[int, int] | None: ...
    @property
    def current_leader(self) -> tuple[int, int] | None: ...


Endpoint = tuple[int, str, int]  # node id, host, port


def encode_fetch_response(
    version: int,
    topics: Sequence[tuple[str | Uuid, Sequence[Row]]],
    *,
    error_code: int = 0,
    session_id: int = 0,
    endpoints: Sequence[Endpoint] = (),
) -> tuple[list[object], int]:
    """(parts, total size) of a response body. `topics` by id from v13 on, by name before."""
    flexible = version >= FLEXIBLE_FROM
    out = bytearray(_TOP.pack(0, error_code, session_id) if version >= SESSIONS_FROM else 4)
    parts: list[object] = []
    size = 0
    _write_count(out, len(topics), flexible)
    for topic, rows in topics:
        _write_topic(out, topic, version)
        _write_count(out, len(rows), flexible)
        for row in rows:
            _write_row(out, row, version, flexible)
            if row.regions:
                parts.append(out)
                parts += row.regions
                size += len(out) + row.size
                out = bytearray()
            if flexible:
                _write_row_tags(out, row)
        if flexible:
            out.append(0)
    if flexible:
        _write_endpoints(out, endpoints)
    parts.append(out)
    return parts, size + len(out)


def _write_count(out: bytearray, count: int, flexible: bool) -> None:
    if flexible:
        write_uvarint(out, count + 1)
    else:
        out += _INT32.pack(count)


def _write_topic(out: bytearray, topic: str | Uuid, version: int) -> None:
    if isinstance(topic, Uuid):
        out += topic
    elif version >= FLEXIBLE_FROM:
        write_compact_string(out, topic)
    else:
        write_string(out, topic)


def _write_row(out: bytearray, row: Row, version: int, flexible: bool) -> None:
    if version >= LOG_START_FROM:
        out += _ROW.pack(
            row.partition_index, row.error_code, row.high_watermark, row.last_stable_offset, row.log_start_offset
        )
    else:
        out += _ROW_V4.pack(row.partition_index, row.error_code, row.high_watermark, row.last_stable_offset)
    _write_aborted(out, row.aborted, flexible)
    if version >= READ_REPLICA_FROM:
        out += _INT32.pack(row.preferred_read_replica)
    if flexible:
        write_uvarint(out, row.size + 1)
    else:
        out += _INT32.pack(row.size)


def _write_aborted(out: bytearray, aborted: Sequence[Aborted] | None, flexible: bool) -> None:
    if aborted is None:
        out += b"\0" if flexible else b"\xff\xff\xff\xff"
        return
    _write_count(out, len(aborted), flexible)
    for transaction in aborted:
        out += _ABORTED.pack(transaction.producer_id, transaction.first_offset)
        if flexible:
            out.append(0)


def _write_row_tags(out: bytearray, row: Row) -> None:
    if row.diverging is None and row.current_leader is None:
        out.append(0)
        return
    out.append((row.diverging is not None) + (row.current_leader is not None))
    if row.diverging is not None:
        out += _DIVERGING.pack(0, 13, *row.diverging, 0)
    if row.current_leader is not None:
        out += _LEADER.pack(1, 9, *row.current_leader, 0)


def _write_endpoints(out: bytearray, endpoints: Sequence[Endpoint]) -> None:
    if not endpoints:
        out.append(0)
        return
    body = bytearray()
    write_uvarint(body, len(endpoints) + 1)
    for node_id, host, port in endpoints:
        body += _INT32.pack(node_id)
        write_compact_string(body, host)
        body += _INT32.pack(port)
        body += b"\0\0"  # no rack, no tags
    out.append(1)
    out.append(0)
    write_uvarint(out, len(body))
    out += body
