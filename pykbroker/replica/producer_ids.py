"""Producer ids, one by one, from blocks of the controller. (RPCProducerIdManager, KIP-730)"""

from logging import getLogger
from typing import Protocol

from pykbroker.errors import KafkaError
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode

logger = getLogger(__name__)


class BlockSource(Protocol):
    async def allocate_producer_ids(self) -> tuple[int, int]:
        """(first id, count) of a fresh block. Raises KafkaError."""


class ProducerIdManager:
    """Ids of a block that a stop leaves unused are never given."""

    def __init__(self, source: BlockSource) -> None:
        self._source = source
        self._next = 0
        self._end = 0
        # Set while somebody asks for a block; all others wait for that one.
        self._request: Pending[None] | None = None

    async def next(self) -> int:
        """A producer id never given before. Raises KafkaError COORDINATOR_LOAD_IN_PROGRESS: try again."""
        while (producer_id := self.take()) is None:
            await self.reserve()
        return producer_id

    def take(self) -> int | None:
        """A producer id never given before, if one is at hand."""
        if self._next == self._end:
            return None
        self._next += 1
        return self._next - 1

    async def reserve(self) -> None:
        """Sees to it that there is one to take, unless others are faster. Raises KafkaError as `next`."""
        if self._next == self._end:
            if self._request is None:
                await self._allocate()
            else:
                await self._request.wait()

    async def _allocate(self) -> None:
        self._request = Pending()
        try:
            first, count = await self._source.allocate_producer_ids()
            self._next, self._end = first, first + count
        except KafkaError as error:
            logger.info("No producer ids from the controller: %s", error)
            raise KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, str(error)) from error
        finally:
            request, self._request = self._request, None
            request.complete(None)
