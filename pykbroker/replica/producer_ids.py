"""Producer ids, one by one, from blocks of the controller. (RPCProducerIdManager, KIP-730)"""

from typing import Protocol


class BlockSource(Protocol):
    async def allocate_producer_ids(self) -> tuple[int, int]:
        """(first id, count) of a fresh block. Raises KafkaError."""


class ProducerIdManager:
    """Ids of a block that a stop leaves unused are never given."""

    def __init__(self, source: BlockSource) -> None:
        self._source = source
        self._next = 0
        self._end = 0

    async def next(self) -> int:
        """A producer id never given before. Raises KafkaError."""
        while self._next == self._end:
            first, count = await self._source.allocate_producer_ids()
            if self._next == self._end:  # two callers may have asked at once: the second block is given up
                self._next, self._end = first, first + count
        self._next += 1
        return self._next - 1
