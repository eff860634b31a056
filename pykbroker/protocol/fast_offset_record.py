"""Hand-written twin of the encoders of an offset commit's record: most of what a group coordinator writes.

Equal to the generated codec on random records (tests/protocol/test_fast_offset_record.py), and to Kafka's bytes
(tests/coordinator/test_log_records.py).
"""

from struct import Struct, error
from typing import TYPE_CHECKING, Any

from pykbroker.ids import ZERO_UUID
from pykbroker.protocol.coordinator_records import frame_record

if TYPE_CHECKING:
    from pykbroker.protocol.persisted.group.offset_commit import OffsetCommitKey, OffsetCommitValue

OFFSET_COMMIT = 1  # type of the record, among those of the group coordinator
VALUE_VERSION = 4
_LONGEST_METADATA = 126  # bytes whose length takes one

_pack_key = Struct(">hh").pack  # record type, length of the group id
_pack_int16 = Struct(">h").pack
_pack_int32 = Struct(">i").pack
_pack_value = Struct(">hqiB").pack  # version, offset, leader epoch, length of the metadata plus one
_pack_rest = Struct(">qBBB16s").pack  # commit timestamp; one tagged field, tag 0, 16 bytes: the topic id


def frame_group_record(key: Any, value: Any, version: int) -> tuple[bytes, bytes | None]:
    """As frame_record, for records of the group coordinator; what is no plain offset commit is left to it."""
    if version == VALUE_VERSION and key.API_KEY == OFFSET_COMMIT and value is not None:
        try:
            framed = _plain(key, value)
        except (error, ValueError):
            framed = None  # the generated codec says what is wrong
        if framed is not None:
            return framed
    return frame_record(key, value, version)


def _plain(key: "OffsetCommitKey", value: "OffsetCommitValue") -> tuple[bytes, bytes] | None:
    group, topic, metadata, topic_id = key.group.encode(), key.topic.encode(), value.metadata.encode(), value.topic_id
    if len(metadata) > _LONGEST_METADATA or topic_id == ZERO_UUID or value.unknown_tags:
        return None
    start = _pack_value(VALUE_VERSION, value.offset, value.leader_epoch, len(metadata) + 1)
    rest = _pack_rest(value.commit_timestamp, 1, 0, 16, topic_id)
    parts = (_pack_key(OFFSET_COMMIT, len(group)), group, _pack_int16(len(topic)), topic)
    return b"".join((*parts, _pack_int32(key.partition))), b"".join((start, metadata, rest))
