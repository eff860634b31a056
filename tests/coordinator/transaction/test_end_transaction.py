"""The table of EndTxn: every state, retry or not, old clients and new."""

import pytest

from pykbroker.coordinator.transaction.end_transaction import check_producer, end, fence
from pykbroker.coordinator.transaction.transaction_metadata import (
    COMPLETE_ABORT,
    COMPLETE_COMMIT,
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

EPOCH = 5
FENCED, INVALID, BUSY, DONE, BUMP = E.PRODUCER_FENCED, E.INVALID_TXN_STATE, E.CONCURRENT_TRANSACTIONS, 0, "bump"


def current(state: int, **fields: object) -> TransactionMetadata:
    return TransactionMetadata("tx", 7, 500, epoch=EPOCH, state=state)._replace(**fields)  # type: ignore[arg-type]


def outcome(
    metadata: TransactionMetadata, producer: ProducerIdentity, commit: bool, version: int
) -> TransactionMetadata | int:
    try:
        check_producer(metadata, producer, version)
        decided = end(
            metadata, producer, commit=commit, client_version=version, new_producer_id=lambda: 8, now_ms=1_000
        )
    except KafkaError as error:
        return error.code
    return DONE if decided is None else decided


# state: abort retry, abort now, commit retry, commit now
V2 = {
    EMPTY: (FENCED, BUMP, FENCED, INVALID),
    ONGOING: (FENCED, BUMP, FENCED, BUMP),
    PREPARE_ABORT: (BUSY, FENCED, INVALID, FENCED),
    PREPARE_COMMIT: (INVALID, FENCED, BUSY, FENCED),
    COMPLETE_ABORT: (DONE, BUMP, INVALID, INVALID),
    COMPLETE_COMMIT: (INVALID, BUMP, DONE, INVALID),
}
# state: abort, commit
V1 = {
    EMPTY: (INVALID, INVALID),
    ONGOING: (BUMP, BUMP),
    PREPARE_ABORT: (BUSY, INVALID),
    PREPARE_COMMIT: (INVALID, BUSY),
    COMPLETE_ABORT: (DONE, INVALID),
    COMPLETE_COMMIT: (INVALID, DONE),
}


@pytest.mark.parametrize(("state", "column"), [(state, column) for state in V2 for column in range(4)])
def test_new_clients(state: int, column: int) -> None:
    commit, retry = column >= 2, column % 2 == 0
    found = outcome(current(state), ProducerIdentity(7, EPOCH - 1 if retry else EPOCH), commit, 2)
    if V2[state][column] != BUMP:
        assert found == V2[state][column]
        return
    assert isinstance(found, TransactionMetadata)
    assert found.state == (PREPARE_COMMIT if commit else PREPARE_ABORT)
    assert (found.epoch, found.last_epoch, found.client_version) == (EPOCH + 1, EPOCH, 2)
    assert found.start_timestamp == (-1 if state == ONGOING else 1_000)


@pytest.mark.parametrize(("state", "column"), [(state, column) for state in V1 for column in range(2)])
def test_old_clients(state: int, column: int) -> None:
    found = outcome(current(state), ProducerIdentity(7, EPOCH), bool(column), 0)
    if V1[state][column] != BUMP:
        assert found == V1[state][column]
        return
    assert isinstance(found, TransactionMetadata)
    assert (found.epoch, found.client_version) == (EPOCH, 0)


@pytest.mark.parametrize("state", V2)
@pytest.mark.parametrize("version", [0, 2])
def test_strangers(state: int, version: int) -> None:
    for commit in (True, False):
        for epoch in (EPOCH - 2, EPOCH + 1):
            assert outcome(current(state), ProducerIdentity(7, epoch), commit, version) == FENCED
        unknown = outcome(current(state), ProducerIdentity(6, EPOCH), commit, version)
        assert unknown == E.INVALID_PRODUCER_ID_MAPPING


def test_the_last_epoch_ends_with_a_new_producer_id() -> None:
    found = outcome(current(ONGOING, epoch=LAST_EPOCH), ProducerIdentity(7, LAST_EPOCH), True, 2)
    assert isinstance(found, TransactionMetadata)
    assert (found.identity, found.next_identity) == ((7, LAST_EPOCH + 1), (8, 0))
    done = found.completed(2_000)
    assert outcome(done, ProducerIdentity(7, LAST_EPOCH), True, 2) == DONE
    assert outcome(done, ProducerIdentity(7, LAST_EPOCH), False, 2) == INVALID
    assert outcome(done, ProducerIdentity(7, LAST_EPOCH - 1), True, 2) == E.INVALID_PRODUCER_ID_MAPPING
    assert outcome(done, ProducerIdentity(7, LAST_EPOCH), True, 0) == E.INVALID_PRODUCER_ID_MAPPING
    old = outcome(current(ONGOING, epoch=LAST_EPOCH), ProducerIdentity(7, LAST_EPOCH), True, 0)
    assert isinstance(old, TransactionMetadata)
    assert old.next_producer_id == -1


@pytest.mark.parametrize(("version", "last_epoch", "client_version"), [(0, -1, 0), (1, -1, 0), (2, EPOCH, 2)])
def test_fencing_takes_one_epoch(version: int, last_epoch: int, client_version: int) -> None:
    found = fence(current(ONGOING, start_timestamp=1), version, 1_000)
    assert (found.state, found.epoch, found.last_epoch) == (PREPARE_ABORT, EPOCH + 1, last_epoch)
    assert (found.client_version, found.start_timestamp, found.next_producer_id) == (client_version, 1, -1)


def test_there_is_an_epoch_left_for_fencing() -> None:
    assert fence(current(ONGOING, epoch=LAST_EPOCH), 2, 1_000).epoch == 2**15 - 1
