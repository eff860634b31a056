"""One partition here: who leads it at which epoch, its high watermark, who waits for it. (kafka.cluster.Partition)"""

from collections.abc import Callable
from logging import INFO, WARNING, getLogger
from typing import TYPE_CHECKING, Protocol

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition, Uuid
from pykbroker.log.unified_log import CLIENT, LogAppendInfo, UnifiedLog
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import WritableBuffer
from pykbroker.replica.verifications import Verifications

if TYPE_CHECKING:
    from pykbroker.metadata.topics import PartitionImage
    from pykbroker.replica.isr import InSyncReplicas, PendingPartitionChange
    from pykbroker.replica.replication import Replication

logger = getLogger(__name__)
HighWatermarkListener = Callable[[int], None]
NO_EPOCH = -1
ACKS_ALL = -1
TO_HIGH_WATERMARK = -1
# Answers to AlterPartition. The controller knows the partition as we do, and has done nothing.
NOT_APPLIED = frozenset((ErrorCode.OPERATION_NOT_ATTEMPTED, ErrorCode.INELIGIBLE_REPLICA))
# It knows more, or it did it and this broker leads no more.
AWAIT_METADATA = frozenset(
    (
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.INVALID_UPDATE_VERSION,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.NEW_LEADER_ELECTED,
    )
)


class Waiter(Protocol):
    """Somebody who waits for more bytes of this partition, for its high watermark, or for its end."""

    def on_append(self, partition: "Partition", size: int) -> None:
        """`size` bytes more are in the log, and may be read by who waits."""

    def on_high_watermark(self, partition: "Partition") -> None:
        """It has moved, nobody counted by how many bytes: that was not with an append."""

    def on_change(self) -> None:
        """Look again: the leader, its epoch or the log is another."""


class Partition:
    """Driven by the metadata image. With one replica everything appended is committed; with more, `in_sync` knows how
    far the others are, as long as this broker leads."""

    __slots__ = (
        "_is_alone",
        "end_waiters",
        "epoch_start_offset",
        "image",
        "in_sync",
        "is_leader",
        "leader_epoch",
        "listeners",
        "log",
        "low_watermark_waiters",
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
        self.in_sync: InSyncReplicas | None = None
        self.listeners: list[HighWatermarkListener] = []
        # Those who read up to the high watermark, or wait for it; those who read up to the log end; those who wait for
        # the start offsets of all replicas.
        self.waiters: set[Waiter] = set()
        self.end_waiters: set[Waiter] = set()
        self.low_watermark_waiters: set[Waiter] = set()
        # Transactions that are about to begin here, made when the first one is.
        self.verifications: Verifications | None = None

    def apply(self, image: "PartitionImage", replication: "Replication | None" = None) -> bool:
        """Takes over what the controller decided (makeLeader, makeFollower). True: a leader epoch has begun in which
        this broker does not lead.

        `replication` is needed when there are other replicas. An image older than the last answer of the controller
        changes nothing. Raises OSError when the epoch cannot be written.
        """
        if image.partition_epoch < self.partition_epoch:
            return False
        is_new_epoch = image.leader_epoch > self.leader_epoch
        was_leader, before = self.is_leader, self.leader_epoch
        is_leader = image.leader == self.node_id
        if is_leader and is_new_epoch:
            # Also without an append: a follower may ask for an epoch later than any batch here.
            self.log.leader_epochs.assign(image.leader_epoch, self.log.log_end_offset)
            self.epoch_start_offset = self.log.log_end_offset
        # The only replica: in sync by definition, whatever min.insync.replicas says.
        self._is_alone = len(image.replicas) == 1
        if not is_leader or self._is_alone:
            self.in_sync = None
        else:
            assert replication is not None
            if self.in_sync is None:
                self.in_sync = replication.in_sync_replicas(self, before)
            # Somebody else may have led in an epoch that this broker never heard of, and have cut the followers back.
            # Kafka believes their offsets of before, and may commit what they have no more.
            is_new_leader = not was_leader or image.leader_epoch > before + 1
            self.in_sync.take_over(image, self.log.log_end_offset, is_new_leader=is_new_leader)
        self.image = image
        self.leader_epoch = max(image.leader_epoch, before)
        self.is_leader = is_leader
        if is_leader:
            self._advance_high_watermark()
        self.wake_all()
        return is_new_epoch and not is_leader

    def retire(self) -> None:
        """The log is gone: whoever holds this partition is told that it leads no more."""
        self.is_leader = False
        self.in_sync = None
        self.wake_all()

    @property
    def partition_epoch(self) -> int:
        """The last one known: the leader's answer from the controller may be ahead of the metadata."""
        if self.in_sync is not None:
            return self.in_sync.partition_epoch
        return self.image.partition_epoch

    @property
    def isr(self) -> tuple[int, ...]:
        """Committed by the controller."""
        return self.image.isr if self.in_sync is None else self.in_sync.state.isr

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
                f"The size of the current ISR {self.isr} is insufficient to satisfy the min.isr requirement of "
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
        has_moved = self._advance_high_watermark()
        if self.in_sync is not None:
            for waiter in list(self.end_waiters):
                waiter.on_append(self, size)
            if has_moved:
                self._tell_high_watermark()
        elif self.waiters:
            for waiter in list(self.waiters):
                waiter.on_append(self, size)

    @property
    def is_under_min_isr(self) -> bool:
        """Fewer in sync than min.insync.replicas, or than there are replicas at all (effectiveMinIsr)."""
        return self.in_sync is not None and self.in_sync.is_under_min(self.log.config.min_insync_replicas)

    @property
    def is_short_of_replicas(self) -> bool:
        """The same, counting one who is about to join: what was committed with it counts as enough."""
        return self.in_sync is not None and self.in_sync.is_maximal_under_min(self.log.config.min_insync_replicas)

    def _advance_high_watermark(self) -> bool:
        """As leader. Below min.insync.replicas nothing is committed (KIP-966)."""
        log = self.log
        end = log.log_end_offset
        if log.high_watermark == end:
            return False
        if self.in_sync is not None:
            if self.is_under_min_isr:
                return False
            end = self.in_sync.committed_end(end)
            if end <= log.high_watermark:
                return False
        log.update_high_watermark(end)
        for listener in tuple(self.listeners):
            listener(log.high_watermark)
        return True

    def _tell_high_watermark(self) -> None:
        for waiter in list(self.waiters):
            waiter.on_high_watermark(self)

    def wake_all(self) -> None:
        """Something other than an append happened: whoever waits looks again."""
        for waiters in (self.waiters, self.end_waiters, self.low_watermark_waiters):
            for waiter in list(waiters):
                waiter.on_change()

    # As leader: what followers and the controller say

    def follower_fetched(
        self, follower_id: int, offset: int, log_start_offset: int, leader_end: int, broker_epoch: int
    ) -> None:
        """A follower, which check_follower() knows, has everything before `offset`; `leader_end`: where the log ended
        when it asked. Raises NOT_LEADER_OR_FOLLOWER for a fetch of an earlier life of it (updateFollowerFetchState)."""
        in_sync = self.in_sync
        follower = None if in_sync is None else in_sync.followers.get(follower_id)
        if in_sync is None or follower is None:
            return
        before = follower.log_end_offset
        in_sync.fetched(follower, offset, log_start_offset, leader_end, broker_epoch)
        in_sync.expand(follower, self.log.high_watermark, self.epoch_start_offset)
        if before != offset and self._advance_high_watermark():
            self._tell_high_watermark()
        for waiter in list(self.low_watermark_waiters):
            waiter.on_change()

    def shrink_isr(self) -> None:
        """Proposes to the controller that those who lag behind leave the ISR (maybeShrinkIsr)."""
        if self.in_sync is None:
            return
        log, isr = self.log, self.isr
        leaving = self.in_sync.shrink(log.log_end_offset)
        if leaving:
            logger.info(
                "Shrinking the ISR of %s from %s without %s: the log ends at %d, the high watermark is %d, they had %s",
                self.topic_partition,
                isr,
                sorted(leaving),
                log.log_end_offset,
                log.high_watermark,
                self.in_sync.ends_of(leaving),
            )

    def isr_agreed(
        self, change: "PendingPartitionChange", leader_epoch: int, partition_epoch: int, isr: tuple[int, ...]
    ) -> None:
        """The controller's answer to a proposal. The high watermark may move: the ISR can be down to one."""
        if self.in_sync is None or not self.in_sync.agreed(change, leader_epoch, partition_epoch, isr):
            return
        logger.info("ISR of %s updated to %s, partition epoch %d", self.topic_partition, isr, partition_epoch)
        if self._advance_high_watermark():
            self._tell_high_watermark()

    def isr_refused(self, change: "PendingPartitionChange", error_code: int) -> bool:
        """The controller has not agreed; True: ask again (handleAlterPartitionError). With most errors it is the
        metadata on its way here that knows more."""
        if self.in_sync is None or self.in_sync.state is not change:
            return False
        if error_code in NOT_APPLIED:
            self.in_sync.rejected(change)
        will_retry = error_code not in NOT_APPLIED and error_code not in AWAIT_METADATA
        logger.log(
            WARNING if will_retry else INFO,
            "The controller refuses an ISR of %s with partition epoch %d for %s with error code %d%s",
            [broker_id for broker_id, _ in change.sent.isr],
            change.sent.partition_epoch,
            self.topic_partition,
            error_code,
            ", it is asked again" if will_retry else "",
        )
        return will_retry

    # As follower

    def followed(self, high_watermark: int, log_start_offset: int) -> None:
        """Takes over the leader's offsets, as far as the log reaches. Raises KafkaError."""
        log = self.log
        before = log.high_watermark
        log.update_high_watermark(high_watermark)
        log.increment_log_start_offset(log_start_offset)
        if log.high_watermark != before:
            for listener in list(self.listeners):
                listener(log.high_watermark)
            self._tell_high_watermark()

    def delete_records_before(self, offset: int) -> int:
        """Moves the log start offset and returns what was asked for; -1 means the high watermark. Raises KafkaError.

        Done is it when low_watermark() has come there too.
        """
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
        return target

    def low_watermark(self) -> int:
        """The smallest log start offset of all replicas that are alive; a leader's question."""
        start = self.log.log_start_offset
        return start if self.in_sync is None else self.in_sync.low_watermark(start)

    def last_offset_for_epoch(self, current_leader_epoch: int, epoch: int) -> tuple[int, int]:
        """(epoch, end offset) of the largest epoch not above `epoch`; (-1, -1) unknown. Raises KafkaError."""
        self.check_leader(current_leader_epoch)
        return self.log.end_offset_for_epoch(epoch)
