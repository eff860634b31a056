"""The batch that nearly all producers send, validated in one breath: uncompressed, create time, nothing special.

It must say of such a batch exactly what validate_and_stamp says; of any other it says nothing (None), so every refusal
and every rewrite is the validator's. tests/log/test_plain_batch.py holds both against each other.
"""

from struct import Struct

from pykbroker.log.log_config import LogConfig
from pykbroker.log.plain_walk import walk_plain
from pykbroker.record.batch import ATTRIBUTES_OFFSET, CURRENT_MAGIC, HEADER_SIZE, LOG_OVERHEAD, WritableBuffer
from pykbroker.record.crc32c import crc32c

CREATE_TIME = "CreateTime"
KEEPING_CODECS = ("producer", "uncompressed")
# All fields of the header from the base offset to the record count.
_UNPACK = Struct(">qiibIhiqqqhii").unpack_from
_STAMP = Struct(">qii").pack_into


def stamp_plain(
    records: WritableBuffer, config: LogConfig, next_offset: int, leader_epoch: int, now_ms: int
) -> tuple[int, int, int] | None:
    """(last offset, largest timestamp, producer id) of a batch that is good as it is, stamped; None: look closer."""
    size = len(records)
    if size < HEADER_SIZE or size > config.max_message_bytes:
        return None
    base, length, _, magic, crc, attributes, last_delta, first_ms, max_ms, producer_id, _, sequence, count = _UNPACK(
        records
    )
    if (
        attributes
        or magic != CURRENT_MAGIC
        or base
        or length != size - LOG_OVERHEAD
        or count <= 0
        or last_delta != count - 1
        or (producer_id >= 0 and sequence < 0)
        or crc32c(records[ATTRIBUTES_OFFSET:]) != crc
        or config.message_timestamp_type != CREATE_TIME
        or config.compression_type not in KEEPING_CODECS
    ):
        return None
    walked = walk_plain(bytes(records[HEADER_SIZE:]), count)
    if walked is None:
        return None
    max_delta, min_delta, is_keyless = walked
    if (
        first_ms + max_delta != max_ms
        or max_ms > now_ms + config.message_timestamp_after_max_ms
        or first_ms + min_delta < now_ms - config.message_timestamp_before_max_ms
        or (is_keyless and "compact" in config.cleanup_policy)
    ):
        return None
    _STAMP(records, 0, next_offset, length, leader_epoch)
    return next_offset + last_delta, max_ms, producer_id
