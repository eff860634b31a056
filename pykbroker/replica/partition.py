"""One partition here: who leads it at which epoch, its high watermark, who waits for it. (kafka.cluster.Partition)"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition, Uuid
from pykbroker.log.unified_log import CLIENT, LogAppendInfo, UnifiedLog
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import WritableBuffer

if TYPE_CHECKING:
    from pykbroker.metadata.topics import PartitionImage

HighWatermarkListener = Callable[[int], None]
NO_EPOCH = -1
ACKS_ALL = -1


class Waiter(Protocol):
    """Somebody who waits for more bytes of this partition, or for its end."""

    def on_append(self, partition: "Partition", size: int) -> None: ...
    def on_change(self) -> None: ...


class Partition:
    """Leader state, driven by the metadata image. One replica so far: what is appended is committed."""

    __slots__ = (
        "image",
        "is_leader",
        "leader_epoch",
        "listeners",
        "log",
        "node_id",
        "topic_id",
        "topic_partition",
        "waiters",
    )

    def __init__(self, topic_partition: TopicPartition, topic_id: Uuid, node_id: int, log: UnifiedLog) -> None:
        self.topic_partition = topic_partition
        self.topic_id = topic_id
        self.node_id = node_id
        self.log = log
        self.is_leader = False
        self.leader_epoch = NO_EPOCH
        self.image: PartitionImage | None = None
        self.listeners: list[HighWatermarkListener] = []
        self.waiters: set[Waiter] = set()

    def apply(self, image: "PartitionImage") -> None:
        """Takes over what the controller decided; a new leader's epoch begins at the log end (makeLeader)."""
        self.image = image
        is_elected = image.leader == self.node_id and image.leader_epoch != self.leader_epoch
        self.leader_epoch = image.leader_epoch
        self.is_leader = image.leader == self.node_id
        if is_elected:
            self.log.leader_epochs.assign(image.leader_epoch, self.log.log_end_offset)
            self._advance_high_watermark()
        self.wake_all()

    def check_leader(self, current_leader_epoch: int = NO_EPOCH) -> None:
        """Raises FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER. -1 skips the epoch (KIP-320)."""
        if current_leader_epoch not in (NO_EPOCH, self.leader_epoch):
            is_old = current_leader_epoch < self.leader_epoch
            raise KafkaError(
                ErrorCode.FENCED_LEADER_EPOCH if is_old else ErrorCode.UNKNOWN_LEADER_EPOCH,
                f"Partition {self.topic_partition} has leader epoch {self.leader_epoch}, not {current_leader_epoch}",
            )
        if not self.is_leader:
            raise KafkaError(
                ErrorCode.NOT_LEADER_OR_FOLLOWER,
                f"Leader not local for partition {self.topic_partition} on broker {self.node_id}",
            )

    def append(self, records: WritableBuffer, acks: int, now_ms: int, origin: str = CLIENT) -> LogAppendInfo:
        """As leader. Raises RecordValidationError, KafkaError: NOT_LEADER_OR_FOLLOWER, NOT_ENOUGH_REPLICAS …"""
        if not self.is_leader:
            self.check_leader()
        if acks == ACKS_ALL:
            self._check_in_sync_replicas()
        info = self.log.append_as_leader(records, self.leader_epoch, now_ms, origin=origin)
        if not info.duplicate:
            self._advance_high_watermark()
            if self.waiters:
                for waiter in list(self.waiters):
                    waiter.on_append(self, info.num_bytes)
        return info

    def _check_in_sync_replicas(self) -> None:
        assert self.image is not None
        needed = self.log.config.min_insync_replicas
        if len(self.image.isr) < needed <= len(self.image.replicas):
            raise KafkaError(
                ErrorCode.NOT_ENOUGH_REPLICAS,
                f"The size of the current ISR {self.image.isr} is insufficient to satisfy the min.isr requirement of "
                f"{needed} for partition {self.topic_partition}",
            )

    def _advance_high_watermark(self) -> None:
        log = self.log
        log.update_high_watermark(log.log_end_offset)
        for listener in self.listeners:
            listener(log.high_watermark)

    def wake_all(self) -> None:
        """Something other than an append happened: whoever waits looks again."""
        for waiter in list(self.waiters):
            waiter.on_change()

    def delete_records_before(self, offset: int) -> int:
        """Moves the log start offset and returns it; -1 means the high watermark. Raises KafkaError."""
        self.check_leader()
        log = self.log
        if "delete" not in log.config.cleanup_policy:
            raise KafkaError(
                ErrorCode.POLICY_VIOLATION,
                f"Records of partition {self.topic_partition} can not be deleted due to the configured policy",
            )
        target = log.high_watermark if offset == -1 else offset
        if target < 0:
            raise KafkaError(
                ErrorCode.OFFSET_OUT_OF_RANGE, f"The offset {target} for partition {self.topic_partition} is not valid"
            )
        log.increment_log_start_offset(target)
        return log.log_start_offset

    def last_offset_for_epoch(self, current_leader_epoch: int, epoch: int) -> tuple[int, int]:
        """(epoch, end offset) of the largest epoch not above `epoch`; (-1, -1) unknown. Raises KafkaError."""
        self.check_leader(current_leader_epoch)
        return self.log.end_offset_for_epoch(epoch)
