"""EndTxn, and the abort of a transaction whose producer is gone: decisions (TransactionCoordinator.endTransaction).

With transactions v2 (KIP-890) the epoch tells a retry from the next transaction. What then happens where there is no
open transaction, for a request with the epoch before (retry) or with the current one:

                  abort retry   abort now   commit retry  commit now
  Empty           fenced        new epoch   fenced        invalid
  CompleteAbort   done          new epoch   invalid       invalid
  CompleteCommit  invalid       new epoch   done          invalid
"""

from collections.abc import Callable

from pykbroker.coordinator.transaction.transaction_metadata import (
    AT_REST,
    COMPLETE_ABORT,
    COMPLETE_COMMIT,
    EMPTY,
    ENDING,
    EPOCH_BUMP,
    LAST_EPOCH,
    NO_EPOCH,
    NO_PRODUCER_ID,
    ONGOING,
    PREPARE_ABORT,
    PREPARE_COMMIT,
    ProducerIdentity,
    TransactionMetadata,
)
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode


def end(
    current: TransactionMetadata,
    producer: ProducerIdentity,
    *,
    commit: bool,
    client_version: int,
    new_producer_id: Callable[[], int],
    now_ms: int,
) -> TransactionMetadata | None:
    """What to write, in state PREPARE_COMMIT or PREPARE_ABORT; None: it has ended so already. Raises KafkaError."""
    if client_version >= EPOCH_BUMP:
        return _end_v2(current, producer, commit, client_version, new_producer_id, now_ms)
    return _end_v1(current, producer, commit, now_ms)


def fence(current: TransactionMetadata, server_version: int, now_ms: int) -> TransactionMetadata:
    """Aborts an open transaction under a new epoch, which shuts its producer out."""
    bumps = server_version >= EPOCH_BUMP
    return current.ending(
        commit=False,
        epoch=current.epoch + 1,
        last_epoch=current.epoch if bumps else NO_EPOCH,
        next_producer_id=NO_PRODUCER_ID,
        client_version=server_version if bumps else 0,
        now_ms=now_ms,
    )


def _end_v1(
    current: TransactionMetadata, producer: ProducerIdentity, commit: bool, now_ms: int
) -> TransactionMetadata | None:
    if producer.producer_id != current.producer_id:
        raise KafkaError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
    if producer.epoch != current.epoch:
        raise KafkaError(ErrorCode.PRODUCER_FENCED)
    if current.state == ONGOING:
        return current.ending(
            commit=commit,
            epoch=current.epoch,
            last_epoch=current.last_epoch,
            next_producer_id=NO_PRODUCER_ID,
            client_version=0,
            now_ms=now_ms,
        )
    _require_same_end(current, commit)
    return None


def _end_v2(
    current: TransactionMetadata,
    producer: ProducerIdentity,
    commit: bool,
    client_version: int,
    new_producer_id: Callable[[], int],
    now_ms: int,
) -> TransactionMetadata | None:
    is_renewed = (
        current.epoch == 0 and producer.epoch == LAST_EPOCH and current.previous_producer_id == producer.producer_id
    )
    is_retry = is_renewed or current.epoch == producer.epoch + 1
    if producer.producer_id != current.producer_id and not is_renewed:
        raise KafkaError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
    if not _is_valid_epoch(current, producer, is_retry):
        raise KafkaError(ErrorCode.PRODUCER_FENCED)
    if current.state != ONGOING and (is_retry or commit or current.state not in AT_REST):
        _require_same_end(current, commit, is_retry=is_retry)
        return None
    return current.ending(
        commit=commit,
        epoch=current.epoch + 1,
        last_epoch=current.epoch,
        next_producer_id=new_producer_id() if current.is_epoch_exhausted else NO_PRODUCER_ID,
        client_version=client_version,
        now_ms=now_ms,
    )


def _is_valid_epoch(current: TransactionMetadata, producer: ProducerIdentity, is_retry: bool) -> bool:
    if current.state in (ONGOING, EMPTY):
        return producer.epoch == current.epoch
    if current.state in ENDING:
        return current.epoch == producer.epoch + 1
    return is_retry or producer.epoch == current.epoch


def _require_same_end(current: TransactionMetadata, commit: bool, *, is_retry: bool = True) -> None:
    """Raises CONCURRENT_TRANSACTIONS while it ends as asked, INVALID_TXN_STATE when it did not end so."""
    if current.state == (PREPARE_COMMIT if commit else PREPARE_ABORT):
        raise KafkaError(ErrorCode.CONCURRENT_TRANSACTIONS)
    if not is_retry or current.state != (COMPLETE_COMMIT if commit else COMPLETE_ABORT):
        raise KafkaError(ErrorCode.INVALID_TXN_STATE)
