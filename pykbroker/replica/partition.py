"""One partition here: who leads it at which epoch, its high watermark, who waits for it. (kafka.cluster.Partition)"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition, Uuid
from pykbroker.log.unified_log import CLIENT, LogAppendInfo, UnifiedLog
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import WritableBuffer
from pykbroker.replica.verifications import Verifications

if TYPE_CHECKING:
    from pykbroker.metadata.topics import PartitionImage

HighWatermarkListener = Callable[[int], None]
NO_EPOCH = -1
ACKS_ALL = -1
TO_HIGH_WATERMARK = -1


class Waiter(Protocol):
    """Somebody who waits for more bytes of this partition, for its high watermark, or for its end."""

    def on_append(self, partition: "Partition", size: int) -> None:
        """`size` bytes more are in the log; the high watermark has moved if it could."""

    def on_change(self) -> None:
        """Look again: the leader, its epoch or the log is another."""


class Partition:
    """Leader state, driven by the metadata image. What followers have is unknown here: with an ISR of one, everything
    appended is committed; with a larger one the high watermark stays where it is."""

    __slots__ = (
        "_is_alone",
        "epoch_start_offset",
        "image",
        "is_leader",
        "leader_epoch",
        "listeners",
        "log",
        "node_id",
        "topic_id",
        "topic_partition",
        "verifications",
        "waiters",
    )

    def __init__(
        self, topic_partition: TopicPartition, topic_id: Uuid, node_id: int, log: UnifiedLog, image: "PartitionImage"
    ) -> None:
        """Neither leader nor follower yet: apply() makes it one."""
        self.topic_partition = topic_partition
        self.topic_id = topic_id
        self.node_id = node_id
        self.log = log
        self.is_leader = False
        self.leader_epoch = NO_EPOCH
        # Where the log ended when this broker became leader.
        self.epoch_start_offset = 0
        self.image = image
        self._is_alone = False
        self.listeners: list[HighWatermarkListener] = []
        self.waiters: set[Waiter] = set()
        # Transactions that are about to begin here, made when the first one is.
        self.verifications: Verifications | None = None

    def apply(self, image: "PartitionImage") -> None:
        """Takes over what the controller decided; a new leader's epoch begins at the log end (makeLeader).

        Raises OSError when the epoch cannot be written.
        """
        is_leader = image.leader == self.node_id
        if is_leader and image.leader_epoch != self.leader_epoch:
            self.log.leader_epochs.assign(image.leader_epoch, self.log.log_end_offset)
            self.epoch_start_offset = self.log.log_end_offset
        self.image = image
        # The only replica: in sync by definition, whatever min.insync.replicas says.
        self._is_alone = len(image.replicas) == 1 == len(image.isr)
        self.leader_epoch = image.leader_epoch
        self.is_leader = is_leader
        if is_leader:
            self._advance_high_watermark()
        self.wake_all()

    def retire(self) -> None:
        """The log is gone: whoever holds this partition is told that it leads no more."""
        self.is_leader = False
        self.wake_all()

    def check_leader(self, current_leader_epoch: int = NO_EPOCH, *, only_leader: bool = True) -> None:
        """Raises FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER. -1 skips the epoch (KIP-320)."""
        if current_leader_epoch not in (NO_EPOCH, self.leader_epoch):
            is_old = current_leader_epoch < self.leader_epoch
            raise KafkaError(
                ErrorCode.FENCED_LEADER_EPOCH if is_old else ErrorCode.UNKNOWN_LEADER_EPOCH,
                f"Partition {self.topic_partition} has leader epoch {self.leader_epoch}, not {current_leader_epoch}",
            )
        if only_leader and not self.is_leader:
            raise KafkaError(
                ErrorCode.NOT_LEADER_OR_FOLLOWER,
                f"Leader not local for partition {self.topic_partition} on broker {self.node_id}",
            )

    def check_follower(self, replica_id: int, current_leader_epoch: int) -> None:
        """Raises UNKNOWN_LEADER_EPOCH, or NOT_LEADER_OR_FOLLOWER without an epoch, for a stranger
        (Partition.followerReplicaOrThrow)."""
        if replica_id in self.image.replicas and replica_id != self.node_id:
            return
        knows_epoch = current_leader_epoch != NO_EPOCH
        raise KafkaError(
            ErrorCode.UNKNOWN_LEADER_EPOCH if knows_epoch else ErrorCode.NOT_LEADER_OR_FOLLOWER,
            f"Replica {replica_id} is not recognized as a valid replica of {self.topic_partition} in leader epoch "
            f"{self.leader_epoch} with partition epoch {self.image.partition_epoch}",
        )

    def append(self, records: WritableBuffer, acks: int, now_ms: int, origin: str = CLIENT) -> LogAppendInfo:
        """As leader. Raises RecordValidationError, KafkaError: NOT_LEADER_OR_FOLLOWER, NOT_ENOUGH_REPLICAS …"""
        if not self.is_leader:
            self.check_leader()
        if acks == ACKS_ALL and not self._is_alone and self.is_under_min_isr:
            raise KafkaError(
                ErrorCode.NOT_ENOUGH_REPLICAS,
                f"The size of the current ISR {self.image.isr} is insufficient to satisfy the min.isr requirement of "
                f"{self.log.config.min_insync_replicas} for partition {self.topic_partition}",
            )
        info = self.log.append_as_leader(records, self.leader_epoch, now_ms, origin=origin)
        if not info.duplicate and not info.flush_due:
            self._appended(info.num_bytes)
        return info

    def on_flushed(self, info: LogAppendInfo) -> None:
        """An append whose flush was due is on disk: now consumers may see it."""
        if self.is_leader:
            self._appended(info.num_bytes)

    def _appended(self, size: int) -> None:
        self._advance_high_watermark()
        if self.waiters:
            for waiter in list(self.waiters):
                waiter.on_append(self, size)

    @property
    def is_under_min_isr(self) -> bool:
        """Fewer in sync than min.insync.replicas, or than there are replicas at all (effectiveMinIsr)."""
        image = self.image
        return len(image.isr) < min(self.log.config.min_insync_replicas, len(image.replicas))

    def _advance_high_watermark(self) -> None:
        log = self.log
        end = log.log_end_offset
        if log.high_watermark == end:
            return
        if not self._is_alone and (len(self.image.isr) != 1 or self.is_under_min_isr):
            return
        log.update_high_watermark(end)
        if self.listeners:
            for listener in list(self.listeners):
                listener(log.high_watermark)

    def wake_all(self) -> None:
        """Something other than an append happened: whoever waits looks again."""
        for waiter in list(self.waiters):
            waiter.on_change()

    def delete_records_before(self, offset: int) -> int:
        """Moves the log start offset and returns it; -1 means the high watermark. Raises KafkaError."""
        self.check_leader()
        log = self.log
        policy = log.config.cleanup_policy
        if "compact" in policy and "delete" not in policy:
            raise KafkaError(
                ErrorCode.POLICY_VIOLATION,
                f"Records of partition {self.topic_partition} can not be deleted due to the configured policy",
            )
        target = log.high_watermark if offset == TO_HIGH_WATERMARK else offset
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
