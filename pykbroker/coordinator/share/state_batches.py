"""Delivery states of ranges of offsets, and how new ones join old ones (PersisterStateBatch, its Combiner)."""

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Final, NamedTuple, Protocol, TypeAlias

KEEP_START_OFFSET: Final = -1


class PersisterStateBatch(NamedTuple):
    """Offsets first to last, both included. In this order batches are sorted, and of two the greater delivery wins."""

    first_offset: int
    last_offset: int
    delivery_count: int
    delivery_state: int

    @property
    def delivery(self) -> tuple[int, int]:
        return self[2:]


Batches: TypeAlias = tuple[PersisterStateBatch, ...]


class WireBatch(Protocol):
    """StateBatch of any message."""

    first_offset: int
    last_offset: int
    delivery_state: int
    delivery_count: int


def from_wire(batches: Iterable[WireBatch]) -> Batches:
    return tuple(
        PersisterStateBatch(batch.first_offset, batch.last_offset, batch.delivery_count, batch.delivery_state)
        for batch in batches
    )


def combine(so_far: Batches, new: Batches, start_offset: int) -> Batches:
    """Both, sorted and without overlap, from `start_offset` on; KEEP_START_OFFSET: all.

    Where they overlap the higher (delivery count, delivery state) counts. Neighbours that are alike become one, but
    not always: what is written must be what Kafka writes, and its combiner does not look back. Batches that end
    before they begin say nothing and are left out; Kafka's combiner may never end on two of them.
    """
    batches = [batch for batch in (*so_far, *new) if batch[1] >= batch[0]]
    if start_offset != KEEP_START_OFFSET:
        batches = [_cut(batch, start_offset) for batch in batches if batch[1] >= start_offset]
    return _Combiner(batches).run() if len(batches) > 1 else tuple(batches)


def _cut(batch: PersisterStateBatch, start_offset: int) -> PersisterStateBatch:
    return batch if batch[0] >= start_offset else batch._replace(first_offset=start_offset)


class _Combiner:
    """Takes the smallest batch again and again. What two that overlap become is put back, to meet those behind."""

    def __init__(self, batches: list[PersisterStateBatch]) -> None:
        self._waiting = sorted(batches, reverse=True)  # two runs as a rule: little to do
        self._put_back: list[PersisterStateBatch] = []

    def run(self) -> Batches:
        done: list[PersisterStateBatch] = []
        waiting, put_back = self._waiting, self._put_back
        previous = waiting.pop()
        while waiting or put_back:
            candidate = self._take() if put_back else waiting.pop()
            if candidate == previous:
                continue
            gap = candidate[0] - previous[1]
            if gap > 1 or (gap == 1 and candidate[2:] != previous[2:]):
                done.append(previous)
                previous = candidate
                continue
            for part in _resolve(previous, candidate):
                heappush(put_back, part)
            previous = self._take()
        done.append(previous)
        return tuple(done)

    def _take(self) -> PersisterStateBatch:
        """The smallest batch. Something was put back."""
        put_back, waiting = self._put_back, self._waiting
        if waiting and waiting[-1] < put_back[0]:
            return waiting.pop()
        return heappop(put_back)


def _resolve(previous: PersisterStateBatch, candidate: PersisterStateBatch) -> list[PersisterStateBatch]:
    """What two batches become that meet; `candidate` is the greater one of them."""
    if candidate.delivery == previous.delivery:
        return [previous._replace(last_offset=max(previous.last_offset, candidate.last_offset))]
    if candidate.delivery < previous.delivery:
        behind = candidate._replace(first_offset=previous.last_offset + 1)
        return [previous, behind] if behind.first_offset <= behind.last_offset else [previous]
    before = previous._replace(last_offset=candidate.first_offset - 1)
    behind = previous._replace(first_offset=candidate.last_offset + 1)
    return [batch for batch in (before, candidate, behind) if batch.first_offset <= batch.last_offset]
