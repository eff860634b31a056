"""TxnOffsetCommit and markers in a group's shard: who may commit, and what the log is told."""

from collections.abc import Callable
from typing import Any

import pytest

from pykbroker.coordinator.group.group_shard import GroupShard
from pykbroker.coordinator.shard import Marker, Outcome
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
)
from pykbroker.record.batch import parse_header
from tests.coordinator.group.plays import (
    GROUP,
    TP,
    Failure,
    GroupPlay,
    commit,
    commit_answered,
    committed,
    fetched,
    join,
    reload,
    stable,
)
from tests.playbook import after, nothing

DAY = 24 * 3600
GUARD = object()


def txn_commit(
    actor: str, offset: int, *, producer_id: int = 7, group: str = GROUP, metadata: str = "", **member: Any
) -> Callable[[GroupPlay], None]:
    row = TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=offset, committed_metadata=metadata)
    request = TxnOffsetCommitRequest(
        transactional_id="tx",
        group_id=group,
        producer_id=producer_id,
        producer_epoch=3,
        topics=[TxnOffsetCommitRequestTopic(name="t", partitions=[row])],
        **member,
    )
    return lambda play: play.run(actor, lambda shard: shard.commit_transactional_offsets(request, GUARD))


def marker(actor: str, commits: bool, producer_id: int = 7) -> Callable[[GroupPlay], None]:
    def operation(_: GroupShard) -> Outcome[bool]:
        out: Outcome[bool] = Outcome(True)
        out.marker = Marker(producer_id, 3, 0, commits)
        return out

    return lambda play: play.run(actor, operation)


def txn_answered(actor: str, code: int = 0) -> Callable[[GroupPlay], None]:
    def effect(play: GroupPlay) -> None:
        answer = play.take(actor)
        if isinstance(answer, Failure):
            assert answer.error_code == code
            return
        assert isinstance(answer, TxnOffsetCommitResponse)
        assert answer.topics[0].partitions[0].error_code == code

    return effect


def marked(actor: str) -> Callable[[GroupPlay], None]:
    def effect(play: GroupPlay) -> None:
        assert play.take(actor) is True

    return effect


def unstable(play: GroupPlay) -> None:
    assert fetched(play, require_stable=True).error_code == E.UNSTABLE_OFFSET_COMMIT


@pytest.mark.parametrize("commits", [True, False])
def test_offsets_wait_for_their_marker(commits: bool) -> None:
    play = GroupPlay()
    play << commit("x", 1) >> commit_answered("x")
    play << txn_commit("p", 5) >> txn_answered("p") >> committed(1) >> unstable
    play << reload >> committed(1) >> unstable
    play << marker("c", commits) >> marked("c") >> committed(5 if commits else 1)
    play << reload >> committed(5 if commits else 1) >> nothing


def test_the_batch_is_the_producers() -> None:
    play = GroupPlay()
    play << txn_commit("p", 5) >> txn_answered("p") << marker("c", True) >> marked("c")
    data, end = (parse_header(batch) for batch in play.log.batches[TP])
    assert (data.producer_id, data.producer_epoch, data.base_sequence) == (7, 3, 0)
    assert (data.is_transactional, data.is_control) == (True, False)
    assert (end.is_transactional, end.is_control, end.producer_id) == (True, True, 7)
    assert play.log.guards == [GUARD, None]


def test_a_plain_commit_that_came_later_wins() -> None:
    play = GroupPlay()
    play << txn_commit("p", 5) << commit("x", 9) << marker("c", True)
    play >> txn_answered("p") >> commit_answered("x") >> marked("c") >> committed(9)


def test_two_transactions_at_once() -> None:
    play = GroupPlay()
    play << txn_commit("p", 5) << txn_commit("q", 6, producer_id=8) << marker("c", True, 8)
    play >> txn_answered("p") >> txn_answered("q") >> marked("c") >> committed(6) >> unstable
    play << marker("c", True) >> marked("c") >> committed(6)


def test_members_of_this_generation_only() -> None:
    """KIP-447."""
    play = GroupPlay()
    play << stable("a", "b")
    me = play.ids["a"]
    play << txn_commit("p", 1, member_id=me, generation_id=1) >> txn_answered("p")
    play << txn_commit("p", 1, member_id=me, generation_id=0) >> txn_answered("p", E.ILLEGAL_GENERATION)
    play << txn_commit("p", 1, member_id="nobody", generation_id=1) >> txn_answered("p", E.UNKNOWN_MEMBER_ID)
    play << txn_commit("p", 1, member_id=me) >> txn_answered("p", E.ILLEGAL_GENERATION)
    play << txn_commit("p", 1) >> txn_answered("p")  # old clients don't say who they are


def test_also_while_the_group_rebalances() -> None:
    play = GroupPlay()
    play << stable("a", "b") << join("a")
    play << txn_commit("p", 1, member_id=play.ids["b"], generation_id=1) >> txn_answered("p")


def test_a_group_that_is_not_there() -> None:
    play = GroupPlay()
    play << txn_commit("p", 1, member_id="m", generation_id=1) >> txn_answered("p", E.ILLEGAL_GENERATION)
    play << txn_commit("p", 1, member_id="m") >> txn_answered("p")


def test_too_much_metadata() -> None:
    play = GroupPlay()
    play << txn_commit("p", 1, metadata="x" * 4097) >> txn_answered("p", E.OFFSET_METADATA_TOO_LARGE)


@pytest.mark.parametrize("code", [E.INVALID_TXN_STATE, E.INVALID_PRODUCER_EPOCH])
def test_what_the_log_refuses_changes_nothing(code: E) -> None:
    play = GroupPlay()
    play << commit("x", 1) >> commit_answered("x")
    play.log.failures.append(KafkaError(code))
    play << txn_commit("p", 5) >> txn_answered("p", code)
    play.log.failures.append(KafkaError(code))
    play << marker("c", True)
    answer = play.take("c")
    assert answer.error_code == code
    assert play.context.state == "active"
    play >> committed(1)


def test_a_marker_waits_for_its_commit() -> None:
    play = GroupPlay()
    play << txn_commit("p", 5) >> txn_answered("p")
    play.log.auto_commit = False
    play << marker("c", True) >> nothing >> committed(-1)
    play.log.commit(TP)
    play >> marked("c") >> committed(5)


def test_what_an_open_transaction_commits_does_not_expire() -> None:
    """Scenario 24, redpanda#31483: a tombstone of the old offset would take along the one that becomes visible."""
    play = GroupPlay()
    play << commit("x", 1) >> commit_answered("x") << after(6.9 * DAY) << txn_commit("t", 2) >> txn_answered("t")
    play << after(0.2 * DAY) >> committed(1) << reload << after(0.2 * DAY) >> committed(1)
    play << marker("m", True) >> marked("m") >> committed(2) << reload >> committed(2)
    play << after(6.5 * DAY) >> committed(2) << after(0.2 * DAY) >> committed(None)
