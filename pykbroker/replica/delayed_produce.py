"""acks=all: who waits for which high watermark. (DelayedProduce)

With one replica nobody waits: the high watermark has passed the batch when the append returns.
"""

from collections.abc import Callable, Mapping

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.replica.partition import Partition


class DelayedProduce:
    """Armed on the partitions whose high watermark has not reached the end of what was appended; calls `wake` once."""

    __slots__ = ("_required", "_wake", "errors")

    def __init__(self, required: Mapping[Partition, int], wake: Callable[[], object]) -> None:
        """`required`: the offset behind the appended batch. `errors`: how it ended."""
        self._required = dict(required)
        self._wake = wake
        self.errors: dict[Partition, int] = dict.fromkeys(required, ErrorCode.REQUEST_TIMED_OUT)

    def arm(self) -> None:
        for partition in self._required:
            partition.waiters.add(self)

    def disarm(self) -> None:
        for partition in self._required:
            partition.waiters.discard(self)

    def on_append(self, partition: Partition, size: int) -> None:
        self._check(partition)

    def on_high_watermark(self, partition: Partition) -> None:
        self._check(partition)

    def on_change(self) -> None:
        for partition in list(self._required):
            self._check(partition)

    def _check(self, partition: Partition) -> None:
        if not partition.is_leader:
            self.errors[partition] = ErrorCode.NOT_LEADER_OR_FOLLOWER
        elif partition.log.high_watermark < self._required[partition]:
            return
        else:
            is_short = partition.is_short_of_replicas
            self.errors[partition] = ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND if is_short else ErrorCode.NONE
        del self._required[partition]
        partition.waiters.discard(self)
        if not self._required:
            self._wake()
