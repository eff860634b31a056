"""A share partition that this broker leads: its state, its log, what is being written. Told by the log of changes."""

from collections import deque
from collections.abc import Callable

from pykbroker.errors import KafkaError
from pykbroker.pending import Pending
from pykbroker.replica.partition import Partition
from pykbroker.share.share_partition import SharePartition, StateUpdate


class LedPartition:
    """Implements replica.partition.Waiter as long as it is followed. `failure`: why its state could not be read."""

    __slots__ = ("_on_lost", "failure", "partition", "share", "writes", "writing")

    def __init__(self, share: SharePartition, partition: Partition, on_lost: "Callable[[LedPartition], None]") -> None:
        self.share = share
        self.partition = partition
        self.failure: KafkaError | None = None
        # One after the other: the persister must not see a later state before an earlier one.
        self.writes: deque[tuple[StateUpdate, Pending[None]]] = deque()
        # Done when nothing is left to be written, None when nothing is.
        self.writing: Pending[None] | None = None
        self._on_lost = on_lost

    def follow(self) -> None:
        self.partition.waiters.add(self)

    def unfollow(self) -> None:
        self.partition.waiters.discard(self)

    def on_append(self, partition: Partition, size: int) -> None:
        self.share.wake()

    def on_high_watermark(self, partition: Partition) -> None:
        self.share.wake()

    def on_change(self) -> None:
        if not self.partition.is_leader:
            self._on_lost(self)
        self.share.wake()
