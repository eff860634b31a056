"""DeleteRecords that waits until all replicas that are alive have dropped them. (DelayedDeleteRecords, KIP-107)"""

from collections.abc import Callable, Mapping

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.replica.partition import Partition

UNKNOWN = -1


class DelayedDeleteRecords:
    """Armed on partitions whose low watermark has not come to the offset asked for; calls `wake` once.
    `results`: (error code, low watermark) of each."""

    __slots__ = ("_required", "_wake", "results")

    def __init__(self, required: Mapping[Partition, int], wake: Callable[[], object]) -> None:
        self._required = dict(required)
        self._wake = wake
        self.results: dict[Partition, tuple[int, int]] = {
            partition: (ErrorCode.REQUEST_TIMED_OUT, partition.low_watermark()) for partition in required
        }

    def arm(self) -> None:
        for partition in self._required:
            partition.low_watermark_waiters.add(self)

    def disarm(self) -> None:
        for partition in self._required:
            partition.low_watermark_waiters.discard(self)

    def on_append(self, partition: Partition, size: int) -> None:
        """Nothing is dropped by that."""

    def on_high_watermark(self, partition: Partition) -> None:
        """Neither by that."""

    def on_change(self) -> None:
        for partition, offset in list(self._required.items()):
            if not partition.is_leader:
                self._settle(partition, ErrorCode.NOT_LEADER_OR_FOLLOWER, UNKNOWN)
            elif (low_watermark := partition.low_watermark()) >= offset:
                self._settle(partition, ErrorCode.NONE, low_watermark)

    def _settle(self, partition: Partition, error_code: int, low_watermark: int) -> None:
        self.results[partition] = (error_code, low_watermark)
        del self._required[partition]
        partition.low_watermark_waiters.discard(self)
        if not self._required:
            self._wake()
