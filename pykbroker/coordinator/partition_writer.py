"""What a coordinator needs of the replica layer: append to, read and watch a partition it leads (PartitionWriter)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from pykbroker.ids import TopicPartition

if TYPE_CHECKING:
    from pykbroker.coordinator.shard import Marker

HighWatermarkListener: TypeAlias = Callable[[int], None]


class PartitionWriter(Protocol):
    """Implemented by ReplicaManager. All calls are synchronous."""

    def append_batch(self, tp: TopicPartition, batch: bytearray, leader_epoch: int, guard: object | None = None) -> int:
        """Appends one record batch and returns the offset behind its last record.

        Raises KafkaError: NOT_LEADER_OR_FOLLOWER (also when `leader_epoch` is not the current one), MESSAGE_TOO_LARGE,
        NOT_ENOUGH_REPLICAS, KAFKA_STORAGE_ERROR …; INVALID_TXN_STATE, INVALID_PRODUCER_EPOCH for a transactional batch
        whose producer has no transaction here that is open or proved by `guard`. May call high watermark listeners
        before it returns.
        """

    def append_marker(self, tp: TopicPartition, marker: "Marker", leader_epoch: int) -> int:
        """Appends the end of a transaction and returns the offset behind it. Raises KafkaError as append_batch does,
        and INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED for a marker that comes too late."""

    def read_for_load(self, tp: TopicPartition, offset: int, max_bytes: int) -> bytes:
        """Whole batches from the one that holds `offset` up to the log end, at least one; b"" at the log end.

        Raises KafkaError NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR, OFFSET_OUT_OF_RANGE.
        """

    def log_bounds(self, tp: TopicPartition) -> tuple[int, int]:
        """(log start offset, high watermark). Raises KafkaError NOT_LEADER_OR_FOLLOWER, UNKNOWN_TOPIC_OR_PARTITION."""

    def delete_records(self, tp: TopicPartition, offset: int) -> None:
        """Moves the log start offset. Raises KafkaError NOT_LEADER_OR_FOLLOWER, OFFSET_OUT_OF_RANGE."""

    def add_high_watermark_listener(self, tp: TopicPartition, callback: HighWatermarkListener) -> None:
        """Calls callback(high watermark) each time it moves."""

    def remove_high_watermark_listener(self, tp: TopicPartition, callback: HighWatermarkListener) -> None:
        """Nothing happens when it is not there."""
