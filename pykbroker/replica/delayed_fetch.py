"""A fetch that waits until enough bytes are there, or something changed. (DelayedFetch)

It counts what is appended instead of reading again: one addition per append and waiter.
"""

from collections.abc import Callable, Mapping

from pykbroker.replica.partition import Partition


class DelayedFetch:
    """Armed on all partitions of a fetch; calls `wake` once. disarm() when the fetch goes on for any reason."""

    __slots__ = ("_fetch_offsets", "_is_read_committed", "_missing", "_wake")

    def __init__(
        self, fetch_offsets: Mapping[Partition, int], missing: int, is_read_committed: bool, wake: Callable[[], object]
    ) -> None:
        """`missing`: how many bytes more than now are wanted."""
        self._fetch_offsets = fetch_offsets
        self._missing = missing
        self._is_read_committed = is_read_committed
        self._wake = wake

    def arm(self) -> None:
        for partition in self._fetch_offsets:
            partition.waiters.add(self)

    def disarm(self) -> None:
        for partition in self._fetch_offsets:
            partition.waiters.discard(self)

    def on_append(self, partition: Partition, size: int) -> None:
        if self._is_read_committed and partition.log.last_stable_offset <= self._fetch_offsets[partition]:
            return  # nothing that this reader may see yet
        self._missing -= size
        if self._missing <= 0:
            self.on_change()

    def on_change(self) -> None:
        self.disarm()
        self._wake()
