"""One committed offset of a group (OffsetAndMetadata)."""

from typing import NamedTuple

from pykbroker.ids import ZERO_UUID, Uuid

INVALID_OFFSET = -1
NO_EPOCH = -1
NO_EXPIRATION = -1


class OffsetAndMetadata(NamedTuple):
    """`record_offset` is where it stands in `__consumer_offsets`, -1 before. Timestamps: wall milliseconds, -1 none."""

    offset: int
    leader_epoch: int = NO_EPOCH
    metadata: str = ""
    commit_timestamp: int = -1
    expire_timestamp: int = NO_EXPIRATION
    topic_id: Uuid = ZERO_UUID
    record_offset: int = -1

    def is_of(self, topic_id: Uuid) -> bool:
        """Whether it belongs to this topic and not to one that had the name before; unknown ids do."""
        return self.topic_id == topic_id or self.topic_id == ZERO_UUID or topic_id == ZERO_UUID
