"""Every transition of a transactional id, and what happens between a decision and its commit."""

from typing import Any

import pytest

from pykbroker.coordinator.transaction.transaction_metadata import (
    COMPLETE_ABORT,
    COMPLETE_COMMIT,
    EMPTY,
    LAST_EPOCH,
    NO_IDENTITY,
    ONGOING,
    PREPARE_ABORT,
    PREPARE_COMMIT,
    ProducerIdentity,
)
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.transaction.plays import (
    ID,
    OFFSETS,
    A,
    B,
    TransactionPlay,
    add,
    commit_log,
    done,
    end,
    fail_append,
    hold_commits,
    identified,
    init,
    is_in,
    partition_answers,
    refused,
    reload,
    tell,
    told,
)
from tests.playbook import after, nothing

ABORT_INTERVAL = 10
OLD = 0


def begun(**overrides: Any) -> TransactionPlay:
    play = TransactionPlay(**overrides)
    play << init() >> identified("p", 100, 0)
    return play


def test_a_life() -> None:
    play = begun()
    play >> is_in(EMPTY, timeout_ms=60_000, start_timestamp=-1)
    play << add("p", A) >> done("p") >> is_in(ONGOING, partitions=frozenset((A,)), client_version=2)
    play << add("p", B, OFFSETS) >> done("p") >> is_in(ONGOING, partitions=frozenset((A, B, OFFSETS)))
    play << end("p", True) >> identified("p", 100, 1) >> is_in(PREPARE_COMMIT, epoch=1) >> told(A)
    play << tell >> is_in(COMPLETE_COMMIT, epoch=1, partitions=frozenset())
    for tp in (A, B, OFFSETS):
        play >> told(tp, (100, 1, True))
    play << add("p", A) >> done("p") >> is_in(ONGOING)
    play << end("p", False) >> identified("p", 100, 2) >> is_in(PREPARE_ABORT)
    play << tell >> is_in(COMPLETE_ABORT) >> told(A, (100, 1, True), (100, 2, False)) >> nothing


def test_a_life_with_an_old_client() -> None:
    play = begun()
    for number, commit in enumerate((True, False, True), 1):
        play << add("p", A, version=OLD) >> done("p")
        play << end("p", commit, OLD) >> identified("p", 100, 0)
        play << tell >> is_in(COMPLETE_COMMIT if commit else COMPLETE_ABORT, epoch=0)
        assert len(play.partitions.markers[A]) == number


def test_adding_what_is_there_writes_nothing() -> None:
    play = begun()
    play << add("p", A, B) >> done("p")
    before = len(play.records())
    play << add("p", B) >> done("p")
    assert len(play.records()) == before


def test_while_a_transaction_ends_nobody_begins() -> None:
    play = begun()
    play << add("p", A) >> done("p")
    play << partition_answers(A, E.NOT_LEADER_OR_FOLLOWER)
    play << end("p", True) >> identified("p", 100, 1)
    play << tell >> is_in(PREPARE_COMMIT)
    play << add("p", A) >> refused("p", E.CONCURRENT_TRANSACTIONS)
    play << init() >> refused("p", E.CONCURRENT_TRANSACTIONS)
    play << end("p", True, identity=ProducerIdentity(100, 0)) >> refused("p", E.CONCURRENT_TRANSACTIONS)
    play << end("p", False, identity=ProducerIdentity(100, 0)) >> refused("p", E.INVALID_TXN_STATE)
    play << tell >> is_in(COMPLETE_COMMIT)


def test_nothing_counts_before_it_is_committed() -> None:
    play = begun()
    play << hold_commits << add("p", A) >> nothing
    for event in (add("p", B), end("p", True), init()):
        play << event >> refused("p", E.CONCURRENT_TRANSACTIONS)
    play << commit_log >> done("p")
    play << hold_commits << end("p", True) << tell >> nothing >> told(A)
    # A retry of what is pending: the committed state is still the transaction itself.
    play << end("p", True) >> refused("p", E.CONCURRENT_TRANSACTIONS)
    play << end("p", True, identity=ProducerIdentity(100, 7)) >> refused("p", E.PRODUCER_FENCED)
    play << commit_log << tell >> identified("p", 100, 1) >> is_in(COMPLETE_COMMIT) >> told(A, (100, 1, True))


def test_a_first_init_that_is_not_committed_yet() -> None:
    play = TransactionPlay()
    play << hold_commits << init("p") >> nothing
    play << init("q") >> refused("q", E.CONCURRENT_TRANSACTIONS)
    play << end("q", True, identity=ProducerIdentity(100, 0)) >> refused("q", E.INVALID_PRODUCER_ID_MAPPING)
    play << commit_log >> identified("p", 100, 0)


@pytest.mark.parametrize("code", [E.NOT_ENOUGH_REPLICAS, E.KAFKA_STORAGE_ERROR])
def test_what_could_not_be_written_did_not_happen(code: int) -> None:
    play = begun()
    play << add("p", A) >> done("p")
    for event in (end("p", True), add("p", B), init()):
        play << fail_append(code) << event >> refused("p", code)
        while play.service.runtime.step():
            pass
        play >> is_in(ONGOING, epoch=0, partitions=frozenset((A,)))
    play << end("p", True) << tell >> identified("p", 100, 1) >> is_in(COMPLETE_COMMIT)


def test_a_completion_that_could_not_be_written_is_tried_again() -> None:
    play = begun()
    play << add("p", A) << end("p", False) >> done("p") >> identified("p", 100, 1)
    play << fail_append(E.NOT_ENOUGH_REPLICAS) << tell >> is_in(PREPARE_ABORT) >> told(A, (100, 1, False))
    play << tell >> is_in(COMPLETE_ABORT) >> told(A, (100, 1, False))


def test_another_producer_aborts_what_is_open() -> None:
    play = begun()
    play << add("p", A) >> done("p")
    play << init("q") >> identified("q", *NO_IDENTITY) >> is_in(PREPARE_ABORT, epoch=1)
    play << init("q") >> refused("q", E.CONCURRENT_TRANSACTIONS)
    play << tell >> is_in(COMPLETE_ABORT, epoch=1) >> told(A, (100, 1, False))
    play << init("q") >> identified("q", 100, 2)
    play << add("p", A) >> refused("p", E.PRODUCER_FENCED)
    play << end("p", True) >> refused("p", E.PRODUCER_FENCED)


def test_a_cluster_of_old_transactions_writes_old_records() -> None:
    play = begun(version=0)
    play << add("p", A, version=OLD) >> done("p")
    play << init("q") << tell >> identified("q", *NO_IDENTITY) >> is_in(COMPLETE_ABORT, epoch=1, client_version=0)
    play << init("q") >> identified("q", 100, 2)
    assert {record.version for record in play.records()} == {0}


def test_a_silent_producer_is_aborted() -> None:
    play = begun(transaction_abort_timed_out_transaction_cleanup_interval_ms=ABORT_INTERVAL * 1000)
    play << init(timeout_ms=5_000) >> identified("p", 100, 1)
    play << after(ABORT_INTERVAL - 3) << add("p", A) >> done("p")
    play << after(ABORT_INTERVAL - 1) >> is_in(ONGOING)
    play << after(4) >> is_in(COMPLETE_ABORT, epoch=2) >> told(A, (100, 2, False))
    play << add("p", A) >> refused("p", E.PRODUCER_FENCED)
    play << init("p", expected=ProducerIdentity(100, 1)) >> identified("p", 100, 2)


def test_one_that_goes_on_is_aborted_all_the_same() -> None:
    """The timeout counts from the first partition, whatever comes later."""
    play = begun()
    play << init(timeout_ms=15_000) >> identified("p", 100, 1)
    play << add("p", A) >> done("p")
    for partition in range(1, 20):
        play << after(1) << add("p", A._replace(partition=partition))
    play << after(2) >> is_in(COMPLETE_ABORT)


def test_a_timeout_that_can_not_be_written_is_tried_again() -> None:
    play = begun()
    play << add("p", A) >> done("p")
    play << after(60) << fail_append(E.NOT_ENOUGH_REPLICAS) << after(ABORT_INTERVAL) >> is_in(ONGOING)
    play << after(ABORT_INTERVAL) >> is_in(COMPLETE_ABORT)


def test_ids_that_nobody_uses_expire() -> None:
    play = begun(
        transactional_id_expiration_ms=3_000_000, transaction_remove_expired_transaction_cleanup_interval_ms=600_000
    )
    play << init("other", key="busy") >> identified("other", 101, 0)
    play << after(2_900) << init("other", key="busy") << after(700)
    play >> identified("other", 101, 1)
    assert list(play.shard.table) == ["busy"]
    play << add("p", A) >> refused("p", E.INVALID_PRODUCER_ID_MAPPING)
    play << init() >> identified("p", 102, 0)


def test_open_transactions_do_not_expire() -> None:
    play = begun(transactional_id_expiration_ms=1, transaction_remove_expired_transaction_cleanup_interval_ms=1_000)
    play << init(timeout_ms=900_000) >> identified("p", 100, 1)
    play << add("p", A) << after(5) >> done("p") >> is_in(ONGOING)
    play << end("p", True) << tell << after(2) >> identified("p", 100, 2)
    assert ID not in play.shard.table


def test_half_done_ends_go_on_after_a_reload() -> None:
    """redpanda#6018 (scenario 15): all or nothing, whoever coordinates."""
    play = begun()
    play << add("p", A, B) >> done("p")
    play << partition_answers(B, E.NOT_LEADER_OR_FOLLOWER)
    (
        play
        << end("p", True)
        << tell
        >> identified("p", 100, 1)
        >> is_in(PREPARE_COMMIT)
        >> told(A, (100, 1, True))
        >> told(B)
    )
    play << reload >> is_in(COMPLETE_COMMIT) >> told(B, (100, 1, True))
    assert [marker.coordinator_epoch for marker in play.partitions.markers[B]] == [1]
    assert len(play.service.markers) == 0


@pytest.mark.parametrize("commit", [True, False])
def test_open_transactions_stay_open_over_a_reload(commit: bool) -> None:
    play = begun()
    play << add("p", A) << reload << add("p", B) << end("p", commit) << tell
    play >> done("p") >> done("p") >> identified("p", 100, 1)
    play >> told(A, (100, 1, commit)) >> told(B, (100, 1, commit))


def test_what_a_coordinator_before_has_acknowledged_counts_whatever_the_high_watermark_here() -> None:
    """Its followers had the record, and did not know yet that all have it."""
    play = begun()
    play << hold_commits << add("p", A) << reload
    assert play.service.missing_partitions(ID, ProducerIdentity(100, 0), [A]) == set()
    play >> is_in(ONGOING, partitions=frozenset((A,)))


def test_who_waits_when_it_moves_away_hears_of_it() -> None:
    play = begun()
    play << hold_commits << add("p", A)
    play.service.on_resigned(0, None)
    play << init("q") >> refused("q", E.NOT_COORDINATOR)
    assert len(play.service.markers) == 0


def exhausted() -> TransactionPlay:
    """At the last epoch that a client gets."""
    play = TransactionPlay()
    for _ in range(3):
        play << init() >> (lambda play: play.take("p"))
    record = play.state._replace(epoch=LAST_EPOCH)
    play.run("skip", lambda shard: shard._write(record, ProducerIdentity(100, LAST_EPOCH)))
    play.identities["p"] = ProducerIdentity(100, LAST_EPOCH)
    play >> identified("skip", 100, LAST_EPOCH)
    return play


def test_when_the_epochs_are_used_up_init_gives_another_producer_id() -> None:
    play = exhausted()
    (
        play
        << init(expected=ProducerIdentity(100, LAST_EPOCH))
        >> identified("p", 101, 0)
        >> is_in(EMPTY, last_epoch=LAST_EPOCH)
    )
    # A retry: the producer never heard of its new id.
    play << init(expected=ProducerIdentity(100, LAST_EPOCH)) >> identified("p", 101, 0)
    play << init(expected=ProducerIdentity(100, 3)) >> refused("p", E.PRODUCER_FENCED)


def test_when_the_epochs_are_used_up_the_end_gives_another_producer_id() -> None:
    play = exhausted()
    play << add("p", A) << end("p", True) >> done("p") >> identified("p", 101, 0)
    play >> is_in(PREPARE_COMMIT, producer_id=100, epoch=LAST_EPOCH + 1, next_producer_id=101)
    play << reload >> is_in(COMPLETE_COMMIT, producer_id=101, epoch=0, next_producer_id=-1)
    play >> told(A, (100, LAST_EPOCH + 1, True))
    before = ProducerIdentity(100, LAST_EPOCH)
    play << end("p", True, identity=before) >> identified("p", 101, 0)
    play << end("p", False, identity=before) >> refused("p", E.INVALID_TXN_STATE)
    play << add("p", A) << end("p", True) << tell >> done("p") >> identified("p", 101, 1)


def test_one_epoch_is_left_for_fencing() -> None:
    play = exhausted()
    play << add("p", A) << init("q") >> done("p") >> identified("q", *NO_IDENTITY)
    play << tell >> is_in(COMPLETE_ABORT, producer_id=100, epoch=LAST_EPOCH + 1)
    play << init("q") >> identified("q", 101, 0)


def test_a_transaction_without_end_of_two_phase_commit_never_times_out() -> None:
    play = begun()
    play << init(timeout_ms=2**31 - 1) >> identified("p", 100, 1)
    play << add("p", A) >> done("p")
    play.clock.advance(40 * 86400)
    play << after(2 * ABORT_INTERVAL) >> is_in(ONGOING)
