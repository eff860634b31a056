"""The batches in flight of a share partition, in order of their offsets. (SharePartition.cachedState)"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from pykbroker.share.in_flight import InFlightBatch


class CachedState:
    """By first offset; batches never overlap. New ones come last nearly always, done ones go first."""

    __slots__ = ("_batches", "_keys")

    def __init__(self) -> None:
        self._keys: list[int] = []
        self._batches: dict[int, InFlightBatch] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[InFlightBatch]:
        return iter([self._batches[key] for key in self._keys])

    def put(self, batch: InFlightBatch) -> None:
        key, keys = batch.first_offset, self._keys
        if not keys or key > keys[-1]:
            keys.append(key)
        elif key not in self._batches:
            keys.insert(bisect_left(keys, key), key)
        self._batches[key] = batch

    @property
    def first_key(self) -> int:
        return self._keys[0]

    @property
    def last(self) -> InFlightBatch:
        return self._batches[self._keys[-1]]

    def floor(self, offset: int) -> InFlightBatch | None:
        """The batch with the greatest first offset up to `offset`; it may end before it."""
        at = bisect_right(self._keys, offset)
        return self._batches[self._keys[at - 1]] if at else None

    def higher_key(self, offset: int) -> int:
        """The next first offset behind `offset`. Raises IndexError when there is none."""
        return self._keys[bisect_right(self._keys, offset)]

    def between(self, first: int, last: int) -> list[InFlightBatch]:
        """Those whose first offset is in there, both ends included."""
        keys = self._keys
        return [self._batches[key] for key in keys[bisect_left(keys, first) : bisect_right(keys, last)]]

    def overlapping(self, first: int, last: int) -> list[InFlightBatch]:
        """Those with offsets in there, and possibly one before them."""
        floor = self.floor(first)
        return self.between(first if floor is None else floor.first_offset, last)

    def remove_before(self, offset: int) -> None:
        """Those whose first offset is less."""
        end = bisect_left(self._keys, offset)
        for key in self._keys[:end]:
            del self._batches[key]
        del self._keys[:end]

    def clear(self) -> None:
        self._keys.clear()
        self._batches.clear()
