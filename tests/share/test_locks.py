"""Acquisition locks of batches whose offsets get a state of their own."""

from math import inf

from pykbroker.share.in_flight import InFlightBatch, InFlightState, RecordState
from pykbroker.share.locks import AcquisitionLocks


def acquired_batch(locks: AcquisitionLocks, deadline: float) -> tuple[InFlightBatch, InFlightState]:
    state = InFlightState(RecordState.ACQUIRED, 1, "ann", locks.add(10, 12, deadline))
    return InFlightBatch(10, 12, state), state


def test_each_offset_runs_out_when_its_batch_would_have() -> None:
    locks = AcquisitionLocks()
    batch, _ = acquired_batch(locks, 30.0)
    batch.split(locks)
    assert len(locks) == 3
    expired = []
    while (lock := locks.pop_expired(30.0)) is not None:
        expired.append((lock.first_offset, lock.last_offset))
    assert expired == [(10, 10), (11, 11), (12, 12)]
    assert locks.pop_expired(1000.0) is None


def test_nothing_runs_out_twice_when_a_batch_is_split_afterwards() -> None:
    """Its release is being written, its lock runs out, the log is cut within it; then the write fails."""
    locks = AcquisitionLocks()
    batch, state = acquired_batch(locks, 30.0)
    assert state.start_transition(RecordState.AVAILABLE, limit=5)
    assert locks.pop_expired(30.0) is state.lock
    batch.split(locks)
    assert locks.next_deadline() == inf
    for part, _, _ in state.pieces(10, 12):
        part.complete_transition(commit=False)
        assert (part.state, part.member_id, part.lock) == (RecordState.AVAILABLE, "", None)
    assert len(locks) == 0


def test_a_failed_write_before_the_lock_runs_out_leaves_each_offset_with_its_member() -> None:
    locks = AcquisitionLocks()
    batch, state = acquired_batch(locks, 30.0)
    assert state.start_transition(RecordState.AVAILABLE, limit=5)
    batch.split(locks)
    for part, _, _ in state.pieces(10, 12):
        part.complete_transition(commit=False)
        assert (part.state, part.member_id) == (RecordState.ACQUIRED, "ann")
    assert locks.next_deadline() == 30.0


def test_records_given_up_while_a_write_is_under_way_stay_archived_when_it_fails() -> None:
    locks = AcquisitionLocks()
    _, state = acquired_batch(locks, 30.0)
    assert state.start_transition(RecordState.AVAILABLE, limit=5)
    state.archive()
    assert not state.is_done
    state.complete_transition(commit=False)
    assert (state.state, state.member_id, state.is_done) == (RecordState.ARCHIVED, "", True)
    assert locks.next_deadline() == inf
