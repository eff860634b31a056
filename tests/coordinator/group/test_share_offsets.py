"""Administrators of share groups: what the group remembers at each step of an alteration or a deletion."""

from collections.abc import Callable, Iterable
from typing import Any

from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.alter_share_group_offsets import (
    AlterShareGroupOffsetsRequestPartition,
    AlterShareGroupOffsetsRequestTopic,
)
from tests.coordinator.group.consumer_plays import refused, topic_id
from tests.coordinator.group.plays import (
    GROUP,
    GroupPlay,
    commit,
    commit_answered,
    delete_groups,
    in_state,
    join,
    reload,
)
from tests.coordinator.group.share_plays import SharePlay, asks_for, beat, hears, initializes, joins

T, U = topic_id("t"), topic_id("u")


def alters(topic: str, offsets: dict[int, int]) -> Callable[[GroupPlay], None]:
    rows = [AlterShareGroupOffsetsRequestPartition(partition_index=p, start_offset=o) for p, o in offsets.items()]
    topics = [AlterShareGroupOffsetsRequestTopic(topic_name=topic, partitions=rows)]
    return lambda play: play.run("admin", lambda shard: shard.shares.offsets.alter(GROUP, topics))


def deletes(*names: str) -> Callable[[GroupPlay], None]:
    return lambda play: play.run("admin", lambda shard: shard.shares.offsets.begin_delete(GROUP, names))


def deletes_group(play: GroupPlay) -> None:
    play.run("admin", lambda shard: shard.shares.offsets.begin_delete_groups([GROUP, "other"]))


def topics_deleted(play: GroupPlay, names: Iterable[str]) -> None:
    play.run("metadata", lambda shard: shard.topics_deleted([(name, topic_id(name)) for name in names]))


def left(topics: dict[str, int] | None = None) -> SharePlay:
    """A group without members that knows t, in epoch 4."""
    play = SharePlay(topics or {"t": 2})
    play << joins("a") >> hears("a", 2, {}) << initializes << beat("a", 2) >> hears("a", 3, {"t": [0, 1]})
    play << beat("a", -1) >> hears("a", -1) >> in_state("Empty")
    return play


def states(play: SharePlay) -> tuple[list[Any], list[Any], list[Any]]:
    found = play.shares.states
    assert found is not None
    return list(found.initializing), list(found.initialized), list(found.deleting)


def test_a_group_comes_into_being_by_an_alteration() -> None:
    play = SharePlay({"t": 2})
    play << alters("t", {0: 7, 1: 0, 2: 0, -1: 0})
    alteration = play.take("admin")
    (row,) = alteration.rows
    assert row.topic_id == T
    assert [p.error_code for p in row.partitions] == [0, 0, E.UNKNOWN_TOPIC_OR_PARTITION, E.UNKNOWN_TOPIC_OR_PARTITION]
    (topic,) = alteration.request.topics
    assert [(p.partition, p.start_offset, p.state_epoch) for p in topic.partitions] == [(0, 7, 1), (1, 0, 1)]
    assert (play.shares.epochs.group, states(play)) == (1, ([T], [], []))
    play << reload >> in_state("Empty")
    play.asked.append(alteration.request)
    play << initializes
    assert states(play) == ([], [T], [])
    play << joins("a") >> hears("a", 2, {"t": [0, 1]}) >> asks_for(0)


def test_an_alteration_of_nothing_leaves_nothing() -> None:
    play = SharePlay()
    play << alters("nosuch", {0: 1})
    assert play.take("admin").request.topics == []
    assert play.group is None


def test_only_empty_share_groups() -> None:
    play = SharePlay()
    play << joins("a") >> hears("a", 2, {})
    for event in (alters("t", {0: 1}), deletes("t")):
        play << event >> refused("admin", E.NON_EMPTY_GROUP)
    play << deletes_group
    assert play.take("admin") == {GROUP: E.NON_EMPTY_GROUP}
    other = SharePlay()
    other << deletes("t") >> refused("admin", E.GROUP_ID_NOT_FOUND)
    other << commit("x", 1, member=False) >> commit_answered("x")
    for event in (alters("t", {0: 1}), deletes("t")):
        other << event >> refused("admin", E.GROUP_ID_NOT_FOUND)
    other << deletes_group
    assert other.take("admin") == {}


def test_offsets_are_deleted_in_two_steps() -> None:
    play = left({"t": 2, "u": 1})
    play << deletes("t", "u", "nosuch")
    deletion = play.take("admin")
    assert deletion.partitions == {T: frozenset({0, 1})}
    assert [(row.topic_name, row.error_code) for row in deletion.refused] == [
        ("u", E.UNKNOWN_TOPIC_OR_PARTITION),
        ("nosuch", E.UNKNOWN_TOPIC_OR_PARTITION),
    ]
    assert states(play) == ([], [], [T])
    play << reload << deletes("t")  # nothing was heard of the first time
    assert play.take("admin").partitions == {T: frozenset({0, 1})}
    play.run("admin", lambda shard: shard.shares.offsets.complete_delete(GROUP, [T]))
    assert play.take("admin") is True
    assert states(play) == ([], [], [])
    play << joins("a") >> hears("a", 5, {}) >> asks_for(5, t=[0, 1])


def test_who_joins_wants_no_deletion() -> None:
    play = left()
    play << deletes("t") << joins("a")
    assert states(play) == ([T], [], [])


def test_the_group_is_deleted_after_its_state() -> None:
    play = left()
    play << deletes_group
    assert play.take("admin") == {GROUP: {T: frozenset({0, 1})}}
    assert states(play) == ([], [], [T])
    play << delete_groups("x")
    assert play.take("x")[0].error_code == 0
    assert play.group is None
    play << reload
    assert play.group is None
    play << joins("a") >> hears("a", 2, {})


def test_a_deletion_half_done_is_done_again() -> None:
    play = left()
    play << deletes("t") << deletes_group
    play.take("admin")
    assert play.take("admin") == {GROUP: {T: frozenset({0, 1})}}


def test_topics_are_deleted() -> None:
    play = left({"t": 2, "u": 1})
    play << alters("u", {0: 0})
    play.set_topics({"t": 2})
    topics_deleted(play, ["u"])
    assert states(play) == ([], [T], [])
    topics_deleted(play, ["u"])
    end = play.log.end(next(iter(play.log.batches)))
    topics_deleted(play, ["other"])
    assert play.log.end(next(iter(play.log.batches))) == end
    topics_deleted(play, ["t"])
    assert states(play) == ([], [], [])


def test_what_is_initialized_of_a_group_that_is_gone_is_not_noted() -> None:
    play = left()
    play.run("persister", lambda shard: shard.shares.initialization.complete("gone", {T: frozenset({0})}))
    assert play.shard.groups.get("gone") is None


def test_classic_members_do_not_get_in_even_when_it_is_empty() -> None:
    play = left()
    play << join("c", version=1)
    assert play.take("c").error_code == E.INCONSISTENT_GROUP_PROTOCOL
