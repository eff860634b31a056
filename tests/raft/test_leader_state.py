"""Who follows the metadata log and how far, and who waits for more of it."""

from pathlib import Path

import pytest

from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.raft.leader_state import OBSERVER_SESSION_MS, Leader, LeaderState
from tests.raft.logs import append, open_log
from tests.raft.test_metadata_log import lead

DIRECTORY = Uuid(b"directory-of-two")


def leading(folder: Path, epoch: int = 3) -> LeaderState:
    log = open_log(folder)
    lead(log, epoch)
    append(log, "a", "b")
    log.sync()
    return LeaderState(log, 1, "cluster", {"TOLD": ("far", 9)})


def test_where_the_leader_is(tmp_path: Path) -> None:
    state = leading(tmp_path)
    assert state.leader("TOLD", ("here", 1)) == Leader(1, 3, ("far", 9))
    assert state.leader("OTHER", ("here", 1)) == Leader(1, 3, ("here", 1))


def test_the_cluster_need_not_be_named(tmp_path: Path) -> None:
    state = leading(tmp_path)
    assert [state.is_this_cluster(each) for each in (None, "cluster", "", "other")] == [True, True, False, False]


def test_only_the_present_epoch_is_answered(tmp_path: Path) -> None:
    state = leading(tmp_path)
    assert [state.error_of_epoch(epoch) for epoch in (2, 3, 4)] == [
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
    ]
    state.close()
    assert state.error_of_epoch(3) == ErrorCode.BROKER_NOT_AVAILABLE


def test_an_observer_that_has_all_has_caught_up_now(tmp_path: Path) -> None:
    state = leading(tmp_path)
    state.fetched(2, DIRECTORY, 3, 1000)
    (observer,) = state.observers(1000)
    assert (observer.id, observer.directory_id, observer.end_offset) == (2, DIRECTORY, 3)
    assert (observer.last_fetch_ms, observer.last_caught_up_ms) == (1000, 1000)


def test_one_that_has_what_there_was_had_caught_up_at_its_last_fetch(tmp_path: Path) -> None:
    state = leading(tmp_path)
    state.fetched(2, DIRECTORY, 1, 1000)
    assert state.observers(1000)[0].last_caught_up_ms == -1
    append(state.log, "c")
    state.fetched(2, DIRECTORY, 3, 1500)
    (observer,) = state.observers(1500)
    assert (observer.end_offset, observer.last_fetch_ms, observer.last_caught_up_ms) == (3, 1500, 1000)


def test_who_only_looks_is_no_observer(tmp_path: Path) -> None:
    state = leading(tmp_path)
    state.fetched(-1, DIRECTORY, 3, 1000)
    state.fetched(1, DIRECTORY, 3, 1000)
    assert state.observers(1000) == []


def test_an_observer_is_forgotten_after_its_session(tmp_path: Path) -> None:
    state = leading(tmp_path)
    state.fetched(2, DIRECTORY, 3, 1000)
    state.fetched(3, DIRECTORY, 3, 1001)
    assert [each.id for each in state.observers(1000 + OBSERVER_SESSION_MS)] == [3]


def test_ghosts_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pykbroker.raft.leader_state.MOST_OBSERVERS", 3)
    state = leading(tmp_path)
    for number in range(5):
        state.fetched(2, Uuid(bytes(15) + bytes([number])), 3, 1000 + number)
    assert [each.directory_id[-1] for each in state.observers(1004)] == [2, 3, 4]


def test_a_commit_wakes_who_waits(tmp_path: Path) -> None:
    state = leading(tmp_path)
    pending, gone = state.wait(), state.wait()
    state.forget(gone)
    state.committed()
    assert (pending.done, gone.done) == (True, False)
    state.committed()  # nobody waits


def test_nobody_waits_for_a_leader_that_stops(tmp_path: Path) -> None:
    state = leading(tmp_path)
    pending = state.wait()
    state.close()
    assert pending.done
