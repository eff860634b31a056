"""Carries decided ends of transactions to their partitions, then records that (TransactionMarkerChannelManager).

What is led here is done at once, in `step`, a few milliseconds of it; what is left, fails or waits for other brokers is
`run`'s.
"""

import logging
from math import inf
from typing import TYPE_CHECKING, Final, Protocol

import trio

from pykbroker.coordinator.shard import Marker
from pykbroker.coordinator.transaction.transaction_metadata import PREPARE_COMMIT, TransactionMetadata
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.clock import Clock

logger = logging.getLogger(__name__)

RETRY_SECONDS: Final = 0.1
# So much longer than the timeout is waited: another broker's answer that it has timed out there is on its way.
GRACE_SECONDS: Final = 1.0
# Markers written between two looks at the other tasks: a few milliseconds.
SLICE: Final = 100
# The partition needs no marker: it was deleted, or what the marker ends is over there; a marker of this epoch may have
# been written before the coordinator was loaded again.
_OVER: Final = frozenset((ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.INVALID_PRODUCER_EPOCH))


class Transactions(Protocol):
    """TransactionCoordinatorService."""

    def ended(self, transactional_id: str) -> tuple[TransactionMetadata, int, bool] | None:
        """A transaction whose end is decided, its coordinator's epoch, whether the decision is committed.

        None: it is completed, or another broker's business now.
        """

    def complete(self, metadata: TransactionMetadata) -> None:
        """Writes that all partitions know. Raises KafkaError."""


class Writer(Protocol):
    """MarkerRouter, or MarkerWriter where all partitions are led here."""

    def write(self, tp: TopicPartition, marker: Marker) -> Pending[None] | None:
        """None: committed; else fails with a KafkaError or is done when it is. Raises KafkaError."""


class _Telling:
    """How far the partitions of one transaction have been told."""

    __slots__ = ("complaint", "in_flight", "metadata", "remaining")

    def __init__(self, metadata: TransactionMetadata) -> None:
        self.metadata = metadata
        self.remaining = sorted(metadata.partitions)
        # And until when each has time, in monotonic seconds.
        self.in_flight: dict[TopicPartition, tuple[Pending[None], float]] = {}
        # The latest error, so that it is logged once.
        self.complaint: int = ErrorCode.NONE

    def drop(self) -> None:
        """What has not been sent yet is not sent any more."""
        for pending, _ in self.in_flight.values():
            pending.try_complete(None)


class MarkerLoop:
    def __init__(self, transactions: Transactions, writer: Writer, clock: "Clock", timeout: float) -> None:
        """`timeout`: what is not committed in so many seconds is written again (request.timeout.ms)."""
        self._transactions = transactions
        self._writer = writer
        self._clock = clock
        self._patience = timeout + GRACE_SECONDS
        self._tellings: dict[str, _Telling | None] = {}
        self._wakeup = trio.Event()
        self._budget = 0

    def add(self, transactional_id: str) -> None:
        """Its end is decided. The next `step` tells the partitions."""
        self._tellings.setdefault(transactional_id, None)
        self._wakeup.set()

    def __len__(self) -> int:
        return len(self._tellings)

    async def run(self) -> None:
        """Tries again what could not be done at once, until cancelled."""
        while True:
            await trio.lowlevel.checkpoint()
            self.step()
            if self._budget <= 0:
                continue
            with trio.move_on_after(RETRY_SECONDS if self._tellings else inf):
                await self._wakeup.wait()
            self._wakeup = trio.Event()

    def step(self) -> None:
        """Does what can be done now, but no more than a slice of it."""
        self._budget = SLICE
        for transactional_id in list(self._tellings):
            try:
                is_over = self._advance(transactional_id)
            except KafkaError as error:
                self._complain(transactional_id, error)
                is_over = False
            if is_over:
                self._drop(self._tellings.pop(transactional_id, None))

    def _advance(self, transactional_id: str) -> bool:
        """True: there is nothing left to do. Raises KafkaError: try again."""
        found = self._transactions.ended(transactional_id)
        if found is None:
            return True
        metadata, coordinator_epoch, is_committed = found
        if not is_committed:
            return False
        telling = self._tellings[transactional_id]
        if telling is None or telling.metadata is not metadata:
            self._drop(telling)
            telling = self._tellings[transactional_id] = _Telling(metadata)
        marker = Marker(
            metadata.producer_id,
            metadata.epoch,
            coordinator_epoch,
            metadata.state == PREPARE_COMMIT,
            metadata.client_version,
        )
        try:
            telling.remaining = [
                tp for tp in telling.remaining if self._budget <= 0 or not self._tell(telling, tp, marker)
            ]
        except _Fenced as error:
            logger.info("Another coordinator completes transaction %s: %s", transactional_id, error)
            return True
        if telling.remaining:
            return False
        self._transactions.complete(metadata)
        return True

    def _complain(self, transactional_id: str, error: KafkaError) -> None:
        telling = self._tellings[transactional_id]
        if telling is None or telling.complaint != error.code:
            logger.info("Transaction %s can't be completed yet: %s", transactional_id, error)
        if telling is not None:
            telling.complaint = error.code

    def _drop(self, telling: _Telling | None) -> None:
        if telling is not None:
            telling.drop()

    def _tell(self, telling: _Telling, tp: TopicPartition, marker: Marker) -> bool:
        """Whether the partition knows. Raises _Fenced."""
        try:
            if tp not in telling.in_flight:
                self._budget -= 1
                written = self._writer.write(tp, marker)
                if written is None:
                    return True
                telling.in_flight[tp] = written, self._clock.monotonic() + self._patience
                written.add_callback(self._on_answer)
            pending, deadline = telling.in_flight[tp]
            if not pending.done and self._clock.monotonic() < deadline:
                return False
            del telling.in_flight[tp]
            pending.try_fail(KafkaError(ErrorCode.REQUEST_TIMED_OUT, "too few replicas have it"))
            pending.result()
        except KafkaError as error:
            return self._is_over(telling, tp, error)
        return True

    def _is_over(self, telling: _Telling, tp: TopicPartition, error: KafkaError) -> bool:
        """False: try again. Raises _Fenced."""
        if error.code == ErrorCode.TRANSACTION_COORDINATOR_FENCED:
            raise _Fenced(str(error)) from error
        if error.code in _OVER:
            return True
        if telling.complaint != error.code:
            telling.complaint = error.code
            logger.info("No marker of %s in %s yet: %s", telling.metadata.transactional_id, tp, error)
        return False

    def _on_answer(self, pending: Pending[None]) -> None:
        self._wakeup.set()


class _Fenced(Exception):
    """A later coordinator has written to the partition."""
