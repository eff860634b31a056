"""A fetch that waits until enough bytes are there, or something changed. (DelayedFetch)

It counts what is appended instead of reading again: one addition per append and waiter. Where other replicas decide
what is committed, consumers read again when the high watermark moves; followers count the appends.
"""

from collections.abc import Callable, Iterable

from pykbroker.replica.partition import Partition


class Awaited:
    """A partition that a fetch waits for, from `offset` on; `room`: how many bytes more it may give."""

    __slots__ = ("has_hidden", "last_stable_offset", "offset", "partition", "room")

    def __init__(self, partition: Partition, offset: int, room: int) -> None:
        log = partition.log
        self.partition = partition
        self.offset = offset
        self.room = room
        self.last_stable_offset = log.last_stable_offset
        # Whether there are bytes that a read_committed reader does not see yet.
        self.has_hidden = log.last_stable_offset != log.high_watermark


class DelayedFetch:
    """Armed on all partitions of a fetch; calls `wake` once. disarm() when the fetch goes on for any reason.

    Whoever is woken reads again: the count may err towards waking, never towards sleeping on.
    """

    __slots__ = ("_awaited", "_is_read_committed", "_missing", "_reads_to_end", "_wake")

    def __init__(
        self,
        awaited: Iterable[Awaited],
        missing: int,
        is_read_committed: bool,
        wake: Callable[[], object],
        *,
        reads_to_end: bool = False,
    ) -> None:
        """`missing`: how many bytes more than now are wanted. `reads_to_end`: beyond the high watermark, too."""
        self._awaited = {one.partition: one for one in awaited}
        self._missing = missing
        self._is_read_committed = is_read_committed
        self._wake = wake
        self._reads_to_end = reads_to_end

    def arm(self) -> None:
        for partition in self._awaited:
            if self._reads_to_end and partition.in_sync is not None:
                partition.end_waiters.add(self)
            else:
                partition.waiters.add(self)

    def disarm(self) -> None:
        for partition in self._awaited:
            partition.waiters.discard(self)
            partition.end_waiters.discard(self)

    def on_append(self, partition: Partition, size: int) -> None:
        one = self._awaited[partition]
        log = partition.log
        if self._is_read_committed:
            if log.last_stable_offset == one.last_stable_offset:
                one.has_hidden = True
                return
            one.last_stable_offset = log.last_stable_offset
        if (self._is_read_committed and one.has_hidden) or one.offset < log.active.base_offset:
            # A transaction ended: what that shows is more than what was appended. Or the log rolled: a fetch never
            # reads over the end of a segment, so there will be no more than now.
            self.on_change()
            return
        counted = min(size, one.room)
        one.room -= counted
        self._missing -= counted
        if self._missing <= 0:
            self.on_change()

    def on_high_watermark(self, partition: Partition) -> None:
        one = self._awaited[partition]
        if not self._is_read_committed or partition.log.last_stable_offset != one.last_stable_offset:
            self.on_change()

    def on_change(self) -> None:
        self.disarm()
        self._wake()
