"""OffsetFetch of one group: stable or committed, some topics or all (KIP-447)."""

from typing import Any

from pykbroker.coordinator.group.offset_and_metadata import OffsetAndMetadata
from pykbroker.ids import TopicPartition
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.offset_fetch import OffsetFetchRequestGroup
from tests.coordinator.group.plays import GROUP, TP, GroupPlay, commit, commit_answered, fetched

PENDING = OffsetAndMetadata(9, record_offset=5)


def everything(play: GroupPlay, *, stable: bool = False, group: str = GROUP) -> list[tuple[Any, ...]]:
    answer = play.shard.fetch_offsets(OffsetFetchRequestGroup(group_id=group, topics=None), require_stable=stable)
    return [
        (topic.name, row.partition_index, row.committed_offset, row.error_code)
        for topic in answer.topics
        for row in topic.partitions
    ]


def test_no_such_group_has_no_offsets() -> None:
    play = GroupPlay()
    assert everything(play) == []
    row = fetched(play)
    assert (row.committed_offset, row.committed_leader_epoch, row.metadata, row.error_code) == (-1, -1, "", 0)


def test_everything_by_topic() -> None:
    play = GroupPlay()
    play << commit("x", 1) << commit("x", 2, topic="u") << commit("x", 3, partition=1)
    assert everything(play) == [("t", 0, 1, 0), ("t", 1, 3, 0), ("u", 0, 2, 0)]
    assert everything(play, stable=True) == everything(play)


def test_what_is_not_committed_is_seen_by_stable_reads_only() -> None:
    play = GroupPlay()
    play << commit("x", 1) >> commit_answered("x")
    play.log.auto_commit = False
    play << commit("x", 2) << commit("x", 3, group_id="new")
    assert everything(play) == [("t", 0, 1, 0)]
    assert everything(play, stable=True) == [("t", 0, 2, 0)]
    assert everything(play, group="new") == []
    play.log.commit(TP)
    assert everything(play, group="new") == [("t", 0, 3, 0)]


def test_open_transactions_are_told_to_stable_reads_only() -> None:
    play = GroupPlay()
    play << commit("x", 1) << commit("x", 2, partition=1)
    play.shard.offsets.commit(GROUP, TopicPartition("t", 0), PENDING, 7)
    assert everything(play) == [("t", 0, 1, 0), ("t", 1, 2, 0)]
    assert everything(play, stable=True) == [("t", 0, -1, E.UNSTABLE_OFFSET_COMMIT), ("t", 1, 2, 0)]
    assert fetched(play, require_stable=True).error_code == E.UNSTABLE_OFFSET_COMMIT
    play.shard.replay_end_transaction(7, committed=True)
    assert fetched(play, require_stable=True).committed_offset == 9
