"""InitProducerId: which identity, for whom. KIP-360."""

import pytest

from pykbroker.coordinator.transaction.init_producer_id import initialize
from pykbroker.coordinator.transaction.transaction_metadata import (
    AT_REST,
    EMPTY,
    LAST_EPOCH,
    ONGOING,
    PREPARE_ABORT,
    PREPARE_COMMIT,
    ProducerIdentity,
    TransactionMetadata,
)
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E

CURRENT = TransactionMetadata("tx", 7, 500, previous_producer_id=7, epoch=5, last_epoch=4)


def init(current: TransactionMetadata, expected: tuple[int, int] | None = None) -> TransactionMetadata | int:
    try:
        return initialize(
            current,
            None if expected is None else ProducerIdentity(*expected),
            900,
            server_version=2,
            new_producer_id=lambda: 8,
            now_ms=1_000,
        )
    except KafkaError as error:
        return error.code


def identity(found: TransactionMetadata | int) -> tuple[int, int, int]:
    assert isinstance(found, TransactionMetadata), found
    assert (found.state, found.timeout_ms, found.partitions, found.start_timestamp) == (EMPTY, 900, frozenset(), -1)
    return found.producer_id, found.epoch, found.last_epoch


@pytest.mark.parametrize("state", sorted(AT_REST))
def test_who_may_go_on(state: int) -> None:
    current = CURRENT._replace(state=state)
    assert identity(init(current)) == (7, 6, -1)
    assert identity(init(current, (7, 5))) == (7, 6, 5)
    assert identity(init(current, (7, 4))) == (7, 5, 4)  # a retry
    for stranger in ((7, 3), (7, 6), (6, 5), (6, 4)):
        assert init(current, stranger) == E.PRODUCER_FENCED


def test_nobody_is_wrong_about_an_id_that_is_new() -> None:
    fresh = TransactionMetadata("tx", 7, 500)
    assert identity(init(fresh)) == (7, 0, -1)
    assert identity(init(fresh, (99, 12))) == (7, 0, -1)


@pytest.mark.parametrize("state", [PREPARE_ABORT, PREPARE_COMMIT])
def test_an_end_must_be_awaited(state: int) -> None:
    assert init(CURRENT._replace(state=state)) == E.CONCURRENT_TRANSACTIONS
    assert init(CURRENT._replace(state=state), (6, 5)) == E.PRODUCER_FENCED


def test_an_open_transaction_is_ended() -> None:
    found = init(CURRENT._replace(state=ONGOING))
    assert isinstance(found, TransactionMetadata)
    assert (found.state, found.epoch) == (PREPARE_ABORT, 6)


def test_used_up_epochs() -> None:
    last = CURRENT._replace(epoch=LAST_EPOCH, last_epoch=LAST_EPOCH - 1)
    assert identity(init(last)) == (8, 0, -1)
    renewed = init(last, (7, LAST_EPOCH))
    assert identity(renewed) == (8, 0, LAST_EPOCH)
    assert isinstance(renewed, TransactionMetadata)
    assert identity(init(renewed, (7, LAST_EPOCH))) == (8, 0, LAST_EPOCH)  # a retry
    assert init(renewed, (7, 3)) == E.PRODUCER_FENCED
