"""Java's PriorityQueue: which of several equally light elements comes first depends on how it keeps its heap."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class JavaQueue(Generic[T]):
    """The weight of what is inside may not change."""

    __slots__ = ("_heap", "_weight")

    def __init__(self, weight: Callable[[T], float], elements: Iterable[T] = ()) -> None:
        self._weight = weight
        self._heap: list[T] = []
        for element in elements:
            self.add(element)

    def add(self, element: T) -> None:
        heap, weight = self._heap, self._weight(element)
        at = len(heap)
        heap.append(element)
        while at > 0:
            parent = (at - 1) >> 1
            if weight >= self._weight(heap[parent]):
                break
            heap[at] = heap[parent]
            at = parent
        heap[at] = element

    def poll(self) -> T | None:
        """The lightest one, removed; None when there is none."""
        heap = self._heap
        if not heap:
            return None
        first, last = heap[0], heap.pop()
        if heap:
            self._sift_down(last)
        return first

    def _sift_down(self, element: T) -> None:
        heap, weight = self._heap, self._weight(element)
        at, half = 0, len(heap) >> 1
        while at < half:
            child = 2 * at + 1
            right = child + 1
            if right < len(heap) and self._weight(heap[child]) > self._weight(heap[right]):
                child = right
            if weight <= self._weight(heap[child]):
                break
            heap[at] = heap[child]
            at = child
        heap[at] = element

    def __len__(self) -> int:
        return len(self._heap)
