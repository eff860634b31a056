"""A mapping that is copied on its first change only, so that images share what did not change."""

from collections.abc import Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class CopyOnWrite(Generic[K, V]):
    __slots__ = ("_current", "_own")

    def __init__(self, base: Mapping[K, V]) -> None:
        self._current: Mapping[K, V] = base
        self._own: dict[K, V] | None = None

    def read(self) -> Mapping[K, V]:
        return self._current

    def write(self) -> dict[K, V]:
        """A dict to change at will, until freeze()."""
        if self._own is None:
            self._own = dict(self._current)
            self._current = self._own
        return self._own

    def freeze(self) -> Mapping[K, V]:
        """The present state, which no later write() changes."""
        self._own = None
        return self._current

    def restore(self, frozen: Mapping[K, V]) -> None:
        """Back to what freeze() returned."""
        self._current = frozen
        self._own = None
