"""Control batches: the ends of transactions, and the metadata log's own (leader change, snapshot header and footer …).

Key of a control record: int16 version, int16 type; value: a message that begins with its own int16 version.
(ControlRecordType, EndTransactionMarker, MemoryRecords.withLeaderChangeMessage …; KIP-98, KIP-595, KIP-630, KIP-853)
"""

from enum import IntEnum
from struct import Struct
from typing import Protocol

from pykbroker.record.builder import SimpleRecord, build_batch
from pykbroker.record.damage import InvalidRecord

_KEY = Struct(">hh")
_END_TRANSACTION = Struct(">hi")


class ControlType(IntEnum):
    ABORT = 0
    COMMIT = 1
    LEADER_CHANGE = 2
    SNAPSHOT_HEADER = 3
    SNAPSHOT_FOOTER = 4
    KRAFT_VERSION = 5
    KRAFT_VOTERS = 6


class Encodable(Protocol):
    def encode(self, version: int) -> bytearray: ...


def control_key(control_type: int) -> bytes:
    return _KEY.pack(0, control_type)


def control_type_of(key: bytes | None) -> int:
    """The type in a control record's key. Raises InvalidRecord for a key that is too short or of a version below 0."""
    if key is None or len(key) < _KEY.size:
        raise InvalidRecord(f"Invalid value size found for control record key. Must have at least {_KEY.size} bytes")
    version, control_type = _KEY.unpack_from(key)
    if version < 0:
        raise InvalidRecord(f"Invalid version found for control record: {version}. May indicate data corruption")
    return int(control_type)


def end_transaction_coordinator_epoch(value: bytes | None) -> int:
    """The coordinator epoch in the value of a commit or abort marker. Raises InvalidRecord."""
    if value is None or len(value) < _END_TRANSACTION.size:
        raise InvalidRecord("Invalid value size found for end transaction marker")
    version, coordinator_epoch = _END_TRANSACTION.unpack_from(value)
    if version < 0:
        raise InvalidRecord(
            f"Invalid version found for end transaction marker: {version}. May indicate data corruption"
        )
    return int(coordinator_epoch)


def end_transaction_batch(
    *, commit: bool, producer_id: int, producer_epoch: int, coordinator_epoch: int, timestamp: int, base_offset: int = 0
) -> bytearray:
    """A commit or abort marker as a batch of its own (MemoryRecords.withEndTransactionMarker)."""
    key = control_key(ControlType.COMMIT if commit else ControlType.ABORT)
    record = SimpleRecord(key, _END_TRANSACTION.pack(0, coordinator_epoch), (), timestamp)
    return build_batch(
        [record],
        base_offset=base_offset,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        is_transactional=True,
        is_control=True,
    )


def control_batch(
    control_type: ControlType, message: Encodable, version: int, *, base_offset: int, leader_epoch: int, timestamp: int
) -> bytearray:
    """A batch with one control record of the metadata log, e.g. a LeaderChangeMessage of `version`."""
    record = SimpleRecord(control_key(control_type), bytes(message.encode(version)), (), timestamp)
    return build_batch([record], base_offset=base_offset, leader_epoch=leader_epoch, is_control=True)
