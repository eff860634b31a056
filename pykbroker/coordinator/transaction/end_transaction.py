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


def check_producer(current: TransactionMetadata, producer: ProducerIdentity, client_version: int) -> None:
    """Raises KafkaError INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED for one who may not end anything here."""
    bumps = client_version >= EPOCH_BUMP
    is_renewed = bumps and _is_renewed(current, producer)
    if producer.producer_id != current.producer_id and not is_renewed:
        raise KafkaError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
    is_retry = bumps and (is_renewed or current.epoch == producer.epoch + 1)
    if bumps and current.state in ENDING:
        is_valid = current.epoch == producer.epoch + 1
    elif bumps and current.state not in (ONGOING, EMPTY):
        is_valid = is_retry or producer.epoch == current.epoch
    else:
        is_valid = producer.epoch == current.epoch
    if not is_valid:
        raise KafkaError(ErrorCode.PRODUCER_FENCED)


def end(
    current: TransactionMetadata,
    producer: ProducerIdentity,
    *,
    commit: bool,
    client_version: int,
    new_producer_id: Callable[[], int],
    now_ms: int,
) -> TransactionMetadata | None:
    """What to write, in state PREPARE_COMMIT or PREPARE_ABORT; None: it has ended so already.

    The producer is checked. Raises KafkaError CONCURRENT_TRANSACTIONS, INVALID_TXN_STATE.
    """
    bumps = client_version >= EPOCH_BUMP
    if current.state != ONGOING:
        is_retry = not bumps or _is_renewed(current, producer) or current.epoch == producer.epoch + 1
        if is_retry or commit or current.state not in AT_REST:
            _require_same_end(current, commit, is_retry)
            return None
    renews = bumps and current.is_epoch_exhausted
    return current.ending(
        commit=commit,
        epoch=current.epoch + 1 if bumps else current.epoch,
        last_epoch=current.epoch if bumps else current.last_epoch,
        next_producer_id=new_producer_id() if renews else NO_PRODUCER_ID,
        client_version=client_version if bumps else 0,
        now_ms=now_ms,
    )


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


def _is_renewed(current: TransactionMetadata, producer: ProducerIdentity) -> bool:
    """The producer used its last epoch, and has not heard of its new producer id."""
    return current.epoch == 0 and producer.epoch == LAST_EPOCH and current.previous_producer_id == producer.producer_id


def _require_same_end(current: TransactionMetadata, commit: bool, is_retry: bool) -> None:
    """Raises CONCURRENT_TRANSACTIONS while it ends as asked, INVALID_TXN_STATE when it did not end so."""
    if current.state == (PREPARE_COMMIT if commit else PREPARE_ABORT):
        raise KafkaError(ErrorCode.CONCURRENT_TRANSACTIONS)
    if not is_retry or current.state != (COMPLETE_COMMIT if commit else COMPLETE_ABORT):
        raise KafkaError(ErrorCode.INVALID_TXN_STATE)
