"""The table of transitions, and what each changes."""

from itertools import product

import pytest

from pykbroker.coordinator.transaction.transaction_metadata import (
    AT_REST,
    COMPLETE_ABORT,
    COMPLETE_COMMIT,
    EMPTY,
    ENDING,
    NEVER_MS,
    ONGOING,
    PREPARE_ABORT,
    PREPARE_COMMIT,
    STATE_NAMES,
    TRANSITIONS,
    TransactionMetadata,
)
from pykbroker.protocol.enums import TRANSACTION_STATE_IS_EXPIRATION_ALLOWED, TransactionState
from tests.coordinator.transaction.plays import A, B

NOW = 1_000


def metadata(state: int, **fields: object) -> TransactionMetadata:
    return TransactionMetadata("tx", 7, 500, epoch=3, last_epoch=2, state=state)._replace(**fields)  # type: ignore[arg-type]


def test_states_are_numbered_and_named_as_in_kafka() -> None:
    for state, name in STATE_NAMES.items():
        known = TransactionState(state)
        assert known.name.replace("_", "") == name.upper()
        assert TRANSACTION_STATE_IS_EXPIRATION_ALLOWED[known] == (state in AT_REST)


def attempt(state: int, target: int) -> TransactionMetadata:
    before = metadata(state)
    if target == EMPTY:
        return before.with_epoch(4, 3, 500, NOW)
    if target == ONGOING:
        return before.with_partitions([A], 2, NOW)
    if target in ENDING:
        return before.ending(
            commit=target == PREPARE_COMMIT, epoch=4, last_epoch=3, next_producer_id=-1, client_version=2, now_ms=NOW
        )
    return before.completed(NOW)


@pytest.mark.parametrize(
    ("state", "target"), list(product((EMPTY, ONGOING, COMPLETE_COMMIT, COMPLETE_ABORT), range(4)))
)
def test_no_way_but_those_of_the_table(state: int, target: int) -> None:
    if target in TRANSITIONS[state]:
        after = attempt(state, target)
        assert (after.state, after.previous_producer_id) == (target, 7)
    else:
        with pytest.raises(RuntimeError, match="there is no way from"):
            attempt(state, target)


@pytest.mark.parametrize("state", [EMPTY, ONGOING, COMPLETE_COMMIT, COMPLETE_ABORT])
def test_only_what_is_ending_can_be_completed(state: int) -> None:
    with pytest.raises(RuntimeError):
        metadata(state).completed(NOW)


@pytest.mark.parametrize(("state", "end"), [(PREPARE_COMMIT, COMPLETE_COMMIT), (PREPARE_ABORT, COMPLETE_ABORT)])
def test_a_completed_transaction_has_no_partitions(state: int, end: int) -> None:
    after = metadata(state, partitions=frozenset((A, B)), start_timestamp=5).completed(NOW)
    assert (after.state, after.partitions, after.start_timestamp) == (end, frozenset(), 5)
    assert (after.identity, after.last_epoch, after.last_update_timestamp) == ((7, 3), 2, NOW)


def test_the_next_producer_id_takes_over_when_the_old_one_is_done() -> None:
    before = metadata(PREPARE_COMMIT, next_producer_id=9, epoch=32767)
    assert before.next_identity == (9, 0)
    after = before.completed(NOW)
    assert (after.identity, after.previous_producer_id, after.next_producer_id) == ((9, 0), 7, -1)


def test_the_first_partition_starts_the_time() -> None:
    for state in AT_REST:
        assert metadata(state).with_partitions([A], 2, NOW).start_timestamp == NOW
    running = metadata(ONGOING, start_timestamp=5, partitions=frozenset((B,)))
    again = running.with_partitions([A], 2, NOW)
    assert (again.start_timestamp, again.partitions) == (5, {A, B})


def test_when_it_is_too_late() -> None:
    running = metadata(ONGOING, start_timestamp=100)
    assert not running.is_timed_out(600)
    assert running.is_timed_out(601)
    assert not running._replace(timeout_ms=NEVER_MS).is_timed_out(2**40)
    assert not metadata(EMPTY, start_timestamp=100).is_timed_out(601)
