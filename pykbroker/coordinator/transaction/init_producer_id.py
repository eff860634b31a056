"""InitProducerId of a transactional id: decisions (TransactionCoordinator.prepareInitProducerIdTransit). KIP-360."""

from collections.abc import Callable

from pykbroker.coordinator.transaction.end_transaction import fence
from pykbroker.coordinator.transaction.transaction_metadata import (
    ENDING,
    LAST_EPOCH,
    NO_EPOCH,
    ONGOING,
    ProducerIdentity,
    TransactionMetadata,
)
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode


def initialize(
    current: TransactionMetadata,
    expected: ProducerIdentity | None,
    timeout_ms: int,
    *,
    server_version: int,
    new_producer_id: Callable[[], int],
    now_ms: int,
) -> TransactionMetadata:
    """EMPTY under the identity to answer with, or PREPARE_ABORT: an open transaction must end before.

    `expected`: who the client believes to be. `server_version`: the finalized transaction.version. Raises KafkaError.
    """
    if expected is not None and not _may_be(current, expected):
        raise KafkaError(ErrorCode.PRODUCER_FENCED)
    if current.state in ENDING:
        raise KafkaError(ErrorCode.CONCURRENT_TRANSACTIONS)
    if current.state == ONGOING:
        return fence(current, server_version, now_ms)
    if current.is_epoch_exhausted and (expected is None or expected.epoch == current.epoch):
        last_epoch = NO_EPOCH if expected is None else current.epoch
        return current.with_producer_id(new_producer_id(), last_epoch, timeout_ms, now_ms)
    return _next_epoch(current, expected, timeout_ms, now_ms)


def _may_be(current: TransactionMetadata, expected: ProducerIdentity) -> bool:
    """The producer of now (its epoch is looked at later), or the one before, when its last epoch ended it: then this
    is a retry whose first answer was lost. Nobody is wrong about an id that was never initialized."""
    if current.epoch == NO_EPOCH or expected.producer_id == current.producer_id:
        return True
    return expected.producer_id == current.previous_producer_id and expected.epoch >= LAST_EPOCH


def _next_epoch(
    current: TransactionMetadata, expected: ProducerIdentity | None, timeout_ms: int, now_ms: int
) -> TransactionMetadata:
    if expected is None:
        return current.with_epoch(current.epoch + 1, NO_EPOCH, timeout_ms, now_ms)
    if current.epoch in (NO_EPOCH, expected.epoch):
        return current.with_epoch(current.epoch + 1, current.epoch, timeout_ms, now_ms)
    if expected.epoch == current.last_epoch:
        # A retry. Nobody else has initialized since: that would have forgotten the last epoch.
        return current.with_epoch(current.epoch, current.last_epoch, timeout_ms, now_ms)
    raise KafkaError(ErrorCode.PRODUCER_FENCED)
