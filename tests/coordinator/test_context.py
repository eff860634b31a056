"""One shard on its log: commits awaited, failures of the log, loading, reloading, unloading."""

import logging
from typing import Any

import pytest

from pykbroker.coordinator.context import ACTIVE, FAILED, LOADING, CoordinatorContext
from pykbroker.coordinator.group.group_shard import GroupShard
from pykbroker.coordinator.timeline import Timeline
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.record.builder import build_batch
from pykbroker.record.control import end_transaction_batch
from tests.coordinator.group.plays import (
    GROUP,
    SETTINGS,
    TP,
    Commit,
    GroupPlay,
    alive,
    commit,
    commit_answered,
    committed,
    delete_groups,
    fetched,
    in_state,
    join,
    leave,
    members,
    registered,
    reload,
    stable,
    sync,
)
from tests.playbook import after, answered, nothing


def lagging(**overrides: Any) -> GroupPlay:
    """The high watermark moves only by `catch_up`."""
    play = GroupPlay(**overrides)
    play.log.auto_commit = False
    return play


def catch_up(play: GroupPlay) -> None:
    play.log.commit(TP)


def fails(*codes: E) -> Any:
    return lambda play: play.log.failures.extend(KafkaError(code) for code in codes)


# -- commits


def test_an_answer_waits_for_the_commit_and_so_does_the_view() -> None:
    play = lagging()
    play << commit("x", 5) >> nothing >> committed(None)
    assert fetched(play, require_stable=True).committed_offset == 5
    play << catch_up >> commit_answered("x") >> committed(5)


def test_of_what_is_committed_with_its_append_nothing_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    noted = []
    monkeypatch.setattr(Timeline, "note", lambda timeline, table, key: noted.append(timeline))
    play = GroupPlay()
    play << commit("x", 5) >> commit_answered("x") >> committed(5)
    play << commit("x", 6) >> commit_answered("x") >> committed(6)
    assert play.context.shard.timeline not in noted


def test_answers_come_in_order_as_the_high_watermark_moves() -> None:
    play = lagging()
    play << commit("x", 5) << commit("y", 6) >> nothing
    play.log.commit(TP, 1)
    play >> commit_answered("x") >> nothing >> committed(5)
    play.log.commit(TP, 2)
    play >> commit_answered("y") >> committed(6)


def test_an_operation_without_records_waits_for_those_before() -> None:
    play = GroupPlay()
    play << stable("a")
    play.log.auto_commit = False
    play << commit("a", 1) << leave("x", group="none") >> answered("x", error_code=E.UNKNOWN_MEMBER_ID)
    play << delete_groups("x", "none") >> nothing << catch_up >> commit_answered("a")
    assert play.take("x")[0].error_code == E.GROUP_ID_NOT_FOUND


def test_assignments_wait_for_the_commit() -> None:
    play = lagging()
    play << join("a", version=1) << catch_up << after(3) >> answered("a", generation_id=1)
    play << sync("a", {"a": b"x"}) >> nothing >> in_state("CompletingRebalance")
    play << catch_up >> answered("a", assignment=b"x") >> in_state("Stable")


def test_a_rebalance_overtakes_the_commit_of_assignments() -> None:
    play = lagging()
    play << join("a", version=1) << catch_up << after(3) >> answered("a", generation_id=1) << sync("a", {"a": b"x"})
    play << join("b", version=1) >> answered("a", error_code=E.REBALANCE_IN_PROGRESS) << catch_up
    play >> nothing >> in_state("PreparingRebalance")


def test_a_commit_that_takes_too_long_times_out() -> None:
    play = lagging()
    play << commit("x", 5) << after(6) >> commit_answered("x", E.REQUEST_TIMED_OUT) << catch_up >> committed(5)


def test_assignments_that_take_too_long_are_lost() -> None:
    play = lagging()
    play << join("a", version=1) << catch_up << after(3) >> answered("a", generation_id=1) << sync("a", {"a": b"x"})
    play << after(5.5) >> answered("a", error_code=E.COORDINATOR_NOT_AVAILABLE) >> in_state("PreparingRebalance")


def test_the_last_commit_of_a_deletion_shows() -> None:
    play = GroupPlay()
    play << commit("x", 5) >> commit_answered("x")
    play.log.auto_commit = False
    play << delete_groups("x") >> committed(5)
    assert [group.group_id for group in play.shard.groups.committed()] == [GROUP]
    play << catch_up >> committed(None)
    assert play.shard.groups.committed() == []


# -- failures of the log


@pytest.mark.parametrize("code", [E.NOT_ENOUGH_REPLICAS, E.NOT_LEADER_OR_FOLLOWER, E.MESSAGE_TOO_LARGE])
def test_a_refused_append_changes_nothing(code: E) -> None:
    play = GroupPlay()
    play << stable("a") << commit("a", 1) >> commit_answered("a") << fails(code)
    play << commit("a", 2) >> commit_answered("a", code) >> committed(1) >> alive("a")
    play << fails(code) << commit("y", 3, group_id="other", member=False) >> commit_answered("y", code)
    assert play.shard.groups.get("other") is None


@pytest.mark.parametrize("code", [E.KAFKA_STORAGE_ERROR, E.NOT_ENOUGH_REPLICAS_AFTER_APPEND])
def test_an_append_of_unknown_result_reloads(code: E) -> None:
    play = GroupPlay()
    play << stable("a") << join("a", protocols={"range": b"new"})
    play.inbox.clear()
    play.log.fail_after_write.append(KafkaError(code))
    play << commit("x", 7, group_id="other", member=False) >> commit_answered("x", code)
    assert play.context.state == LOADING
    while play.context.load_step():
        pass
    play << catch_up >> committed(None) >> in_state("Stable")
    assert fetched(play, group="other").committed_offset == 7


def test_an_unexpected_failure_reloads_and_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    play = GroupPlay()
    play.log.failures.append(OSError("disk"))
    with caplog.at_level(logging.CRITICAL), pytest.raises(OSError, match="disk"):
        play << commit("x", 1)
    assert play.context.state == LOADING


def test_a_log_that_is_not_where_we_think_reloads() -> None:
    play = GroupPlay()
    play.log.append_raw(TP, build_batch([(b"\0\2\0\1x", None, (), 1)]))
    play << commit("x", 1) >> commit_answered("x", E.NOT_COORDINATOR)
    assert play.context.state == LOADING


def test_assignments_that_cannot_be_stored() -> None:
    play = GroupPlay()
    play << join("a", version=1) << after(3) >> answered("a", generation_id=1) << fails(E.NOT_ENOUGH_REPLICAS)
    play << sync("a", {"a": b"x"}) >> answered("a", error_code=E.COORDINATOR_NOT_AVAILABLE)
    play >> in_state("PreparingRebalance") >> members("a")
    assert play.take("a").error_code == E.NOT_ENOUGH_REPLICAS


def test_a_group_that_cannot_be_stored_does_not_exist() -> None:
    play = GroupPlay()
    play << fails(E.NOT_ENOUGH_REPLICAS) << join("a", version=1)
    assert play.group is None
    assert play.take("a").error_code == E.COORDINATOR_NOT_AVAILABLE
    play.inbox.clear()
    play << after(100) >> nothing << stable("b") >> in_state("Stable")


def test_a_static_member_that_cannot_be_stored_keeps_its_id() -> None:
    play = GroupPlay()
    play << join("a", instance="i") << after(3) >> answered("a", generation_id=1) << sync("a", {"a": b"x"})
    play >> answered("a", assignment=b"x") << fails(E.NOT_ENOUGH_REPLICAS) << join("b", instance="i", member_id="")
    b = play.take("b")
    assert (b.error_code, b.member_id, b.generation_id) == (E.COORDINATOR_NOT_AVAILABLE, "", 1)
    play.inbox.clear()
    play >> members("a") >> alive("a") << reload >> alive("a")


def test_expirations_are_split_when_the_log_refuses_large_batches() -> None:
    play = GroupPlay()
    for partition in range(40):
        play << commit("x", 1, partition=partition) >> commit_answered("x")
    play.log.max_message_bytes = 300
    play << after(8 * 24 * 3600) >> committed(None, partition=39)
    assert play.group is None
    assert len(play.log.batches[TP]) == 44


def test_a_bug_in_a_timer_reloads(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    play = GroupPlay()
    play << stable("a")

    def explode(self: object, *args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(type(play.shard.classic.rebalancer), "on_session_expired", explode)
    with caplog.at_level(logging.CRITICAL):
        play.clock.advance(11)
        play.context.on_deadline()
    assert play.context.state == LOADING


# -- loading


def open_context(play: GroupPlay) -> CoordinatorContext[GroupShard]:
    return CoordinatorContext(TP, 1, play.new_shard, play.log, play.clock, SETTINGS, Commit)


def test_nothing_is_answered_while_loading() -> None:
    play = GroupPlay()
    context = open_context(play)
    assert context.state == LOADING
    with pytest.raises(KafkaError) as caught:
        context.require_active()
    assert caught.value.code == E.COORDINATOR_LOAD_IN_PROGRESS
    assert context.load_step() is False
    assert context.state == ACTIVE


def test_large_logs_are_loaded_in_slices() -> None:
    play = GroupPlay()
    rows = [
        (b"\0\1\0\1g\0\1t" + i.to_bytes(4, "big"), b"\0\0" + bytes(8) + b"\0\0" + bytes(8), (), 1) for i in range(1200)
    ]
    play.log.append_raw(TP, build_batch(rows))
    play.log.commit(TP)
    context = open_context(play)
    steps = 0
    while context.load_step():
        steps += 1
    assert steps == 2
    assert context.state == ACTIVE
    assert len(context.shard.offsets.offsets.of_group("g") or ()) == 1200


def test_what_is_not_committed_yet_is_loaded_and_shown_later() -> None:
    play = GroupPlay()
    play << commit("x", 1) >> commit_answered("x")
    play.log.auto_commit = False
    play << commit("y", 2) << reload >> commit_answered("y", E.NOT_LEADER_OR_FOLLOWER) >> committed(1) << catch_up
    play >> committed(2)


@pytest.mark.parametrize("error", [KafkaError(E.NOT_LEADER_OR_FOLLOWER), RuntimeError("bug")])
def test_loading_fails(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    play = GroupPlay()
    play << commit("x", 1)
    play.log.fail_reads.append(error)
    with caplog.at_level(logging.CRITICAL):
        context = open_context(play)
        assert context.load_step() is False
    assert context.state == FAILED
    with pytest.raises(KafkaError) as caught:
        context.require_active()
    assert caught.value.code == E.NOT_COORDINATOR


def test_a_damaged_record_fails_the_load() -> None:
    play = GroupPlay()
    play.log.append_raw(TP, build_batch([(b"\0\2", b"\0\3", (), 1)]))
    context = open_context(play)
    context.load_step()
    assert context.state == FAILED


def test_records_of_unknown_kinds_are_passed_over() -> None:
    play = GroupPlay()
    play.log.append_raw(TP, build_batch([(b"\x10\0new", b"x", (), 1)]))
    play.log.commit(TP)
    play << reload << commit("x", 1) >> commit_answered("x") >> committed(1)


def test_operations_for_later_run_when_loaded() -> None:
    play = GroupPlay()
    play << commit("x", 1) >> commit_answered("x")
    context = open_context(play)
    context.write_eventually(lambda shard: shard.topics_deleted([("t", bytes(16))]))  # type: ignore[list-item]
    context.load_step()
    assert context.shard.offsets.offsets.get(GROUP, ("t", 0)) is None  # type: ignore[arg-type]


def test_transactions_of_the_log() -> None:
    play = GroupPlay()
    play << commit("x", 1) >> commit_answered("x")
    row = (b"\0\1\0\1g\0\1t\0\0\0\0", b"\0\0" + (9).to_bytes(8, "big") + b"\0\0" + bytes(8), (), 1)
    play.log.append_raw(TP, build_batch([row], producer_id=5, producer_epoch=0, base_sequence=0, is_transactional=True))
    play.log.commit(TP)
    play << reload >> committed(1)
    assert fetched(play, require_stable=True).error_code == E.UNSTABLE_OFFSET_COMMIT
    marker = end_transaction_batch(commit=True, producer_id=5, producer_epoch=0, coordinator_epoch=0, timestamp=1)
    play.log.append_raw(TP, marker)
    play.log.commit(TP)
    play << reload >> committed(9)


# -- unloading


def test_unloading_fails_what_was_not_committed() -> None:
    play = lagging()
    play << commit("x", 5)
    play.context.close()
    play >> commit_answered("x", E.NOT_LEADER_OR_FOLLOWER)
    assert play.log.listeners[TP] == []
    with pytest.raises(KafkaError) as caught:
        play.context.require_active()
    assert caught.value.code == E.NOT_COORDINATOR


def test_who_asks_for_a_member_id_is_pending_again_after_a_reload() -> None:
    play = GroupPlay()
    registered(play, "a")
    play << reload << join("a") >> answered("a", error_code=E.UNKNOWN_MEMBER_ID)
