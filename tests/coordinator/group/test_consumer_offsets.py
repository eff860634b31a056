"""Offsets of consumer groups: who may commit and fetch them, and how long they stay."""

from collections.abc import Callable

import pytest

from pykbroker.coordinator.shard import Outcome
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.offset_fetch import OffsetFetchRequestGroup
from pykbroker.protocol.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from tests.coordinator.group.consumer_plays import ConsumerPlay, beat, hears, joins, topic_id
from tests.coordinator.group.plays import (
    GROUP,
    GroupPlay,
    commit,
    commit_answered,
    delete_groups,
    delete_offsets,
    fetched,
    in_state,
    reload,
)
from tests.playbook import after

DAY = 24 * 3600


def stored(offset: int, topic: str = "t") -> Callable[[GroupPlay], None]:
    def effect(play: GroupPlay) -> None:
        assert fetched(play, topic=topic, topic_id=topic_id(topic)).committed_offset == offset

    return effect


def member_commit(epoch: int, offset: int, partition: int = 0, version: int = 9) -> Callable[[GroupPlay], None]:
    return commit(
        "a",
        offset,
        partition=partition,
        version=version,
        topic_id=topic_id("t"),
        member=False,
        member_id="a",
        generation_id_or_member_epoch=epoch,
    )


def two_epochs() -> ConsumerPlay:
    """a has partition 0 since epoch 2 and is in epoch 3."""
    play = ConsumerPlay({"t": 2})
    play << joins("a") >> hears("a", 2, {"t": [0, 1]}) << joins("b")
    play << beat("a", 2, {"t": [0, 1]}) << beat("a", 2, {"t": [0]})
    play.inbox.clear()
    return play


def test_an_older_epoch_counts_for_what_it_held_then() -> None:
    play = two_epochs()
    play << member_commit(3, 5) >> commit_answered("a") >> stored(5)
    play << member_commit(2, 6) >> commit_answered("a") >> stored(6)
    play << member_commit(2, 7, partition=1) >> commit_answered("a", E.STALE_MEMBER_EPOCH)
    play << member_commit(4, 7) >> commit_answered("a", E.STALE_MEMBER_EPOCH)
    play << member_commit(3, 7, version=8) >> commit_answered("a", E.UNSUPPORTED_VERSION)
    play >> stored(6)


def transactional(play: GroupPlay, generation: int, partition: int = 0) -> int:
    row = TxnOffsetCommitRequestPartition(partition_index=partition, committed_offset=1)
    request = TxnOffsetCommitRequest(
        group_id=GROUP,
        producer_id=1,
        member_id="a",
        generation_id=generation,
        topics=[TxnOffsetCommitRequestTopic(name="t", partitions=[row])],
    )
    try:
        outcome: Outcome[object] = play.shard.commit_transactional_offsets(request, None)
    except KafkaError as error:
        return error.code
    return 0 if outcome.records else -1


def test_in_transactions_too() -> None:
    play = two_epochs()
    assert [transactional(play, epoch) for epoch in (3, 2)] == [0, 0]
    assert [transactional(play, epoch, 1) for epoch in (4, 2)] == [E.ILLEGAL_GENERATION, E.ILLEGAL_GENERATION]


def test_who_may_fetch() -> None:
    play = two_epochs()

    def fetch(member_id: str | None, epoch: int, stable: bool) -> None:
        request = OffsetFetchRequestGroup(group_id=GROUP, member_id=member_id, member_epoch=epoch, topics=None)
        play.shard.fetch_offsets(request, require_stable=stable)

    for stable in (False, True):
        fetch(None, -1, stable)
        fetch("a", 3, stable)
        for member_id, epoch, code in (("a", 2, E.STALE_MEMBER_EPOCH), ("x", 3, E.UNKNOWN_MEMBER_ID)):
            with pytest.raises(KafkaError) as caught:
                fetch(member_id, epoch, stable)
            assert caught.value.code == code


def test_offsets_of_what_nobody_subscribes_to_expire() -> None:
    play = ConsumerPlay({"t": 1, "u": 1}, group_consumer_session_timeout_ms=30 * DAY * 1000)
    play << joins("a", "u")
    play << commit("x", 5, member=False, topic_id=topic_id("t")) >> commit_answered("x", E.UNKNOWN_MEMBER_ID)
    (
        play
        << member_commit(2, 5)
        << commit(
            "a", 6, topic="u", topic_id=topic_id("u"), member=False, member_id="a", generation_id_or_member_epoch=2
        )
    )
    play << delete_offsets("x", "u")
    assert play.take("x").topics[0].partitions[0].error_code == E.GROUP_SUBSCRIBED_TO_TOPIC
    play << after(7.1 * DAY)
    play >> stored(-1) >> stored(6, "u")


def test_nothing_expires_in_a_reconciliation() -> None:
    """Scenario 23: what is subscribed to stays, whoever has the partition; without subscribers its age counts."""
    play = ConsumerPlay({"t": 2}, group_consumer_session_timeout_ms=30 * DAY * 1000)
    play << joins("a", rebalance_timeout_ms=20 * DAY * 1000) >> hears("a", 2, {"t": [0, 1]})
    play << member_commit(2, 5) >> commit_answered("a") << joins("b") << beat("a", 2, {"t": [0, 1]})
    play >> in_state("Reconciling") << after(8 * DAY) >> in_state("Reconciling") >> stored(5)
    play << beat("a", -1) << beat("b", -1) << after(0.1 * DAY) >> stored(-1)


def test_a_reload_keeps_offsets_and_their_age() -> None:
    """Scenario 25."""
    play = ConsumerPlay({"t": 1, "u": 1}, group_consumer_session_timeout_ms=30 * DAY * 1000)
    play << joins("a", "u") >> hears("a", 2, {"u": [0]}) << member_commit(2, 5) >> commit_answered("a")
    play << after(6 * DAY) << reload >> stored(5) << after(0.9 * DAY) << reload >> stored(5)
    play << after(0.2 * DAY) >> stored(-1)


def test_a_group_is_deleted_when_it_is_empty() -> None:
    play = two_epochs()
    play << delete_groups("x")
    assert play.take("x")[0].error_code == E.NON_EMPTY_GROUP
    play << beat("a", -1) << beat("b", -1) << delete_groups("x")
    assert play.take("x")[0].error_code == 0
    assert play.group is None
