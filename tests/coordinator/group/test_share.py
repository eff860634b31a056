"""Plays of share groups: each way in and out, each epoch, each deadline."""

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.group.consumer_plays import refused
from tests.coordinator.group.plays import in_state, reload
from tests.coordinator.group.share_plays import SharePlay, asks_for, beat, fails, hears, initializes, joins
from tests.playbook import after


def alone(topics: dict[str, int] | None = None) -> SharePlay:
    """a has all of t, in epoch 3."""
    play = SharePlay(topics)
    play << joins("a") >> hears("a", 2, {}) >> asks_for(2, t=[0, 1, 2, 3]) << initializes
    play << beat("a", 2) >> hears("a", 3, {"t": [0, 1, 2, 3]}) >> in_state("Stable")
    return play


def pair() -> SharePlay:
    """a and b have two partitions each, in epoch 4."""
    play = alone()
    play << joins("b") << beat("a", 3)
    play.take("a"), play.take("b")
    return play


def test_partitions_are_assigned_once_they_are_initialized() -> None:
    play = alone()
    play << beat("a", 3) >> hears("a", 3) << reload << beat("a", 3) >> hears("a", 3) >> asks_for(0)
    assert play.initialized() == {"t": [0, 1, 2, 3]}


def test_two_members_share_evenly() -> None:
    play = pair()
    first, second = (play.shares.members[name].assigned for name in "ab")
    rows = [partition for owned in (first, second) for rows in owned.values() for partition in rows]
    assert sorted(rows) == [0, 1, 2, 3]
    assert all(len(next(iter(owned.values()))) == 2 for owned in (first, second))
    assert play.shares.epochs[0] == play.shares.epochs.assignment == 4


def test_more_members_than_partitions() -> None:
    play = SharePlay({"t": 1})
    play << joins("a") << initializes << beat("a", 2) << joins("b") << joins("c")
    assert [list(play.shares.members[name].assigned.values()) for name in "bc"] == [[frozenset({0})]] * 2


def test_the_assignment_is_told_to_who_tells_everything() -> None:
    play = alone()
    play << beat("a", 3, "t") >> hears("a", 3, {"t": [0, 1, 2, 3]})
    play << joins("a") >> hears("a", 3, {"t": [0, 1, 2, 3]})


def test_a_lost_answer() -> None:
    play = alone()
    play << beat("a", 2) >> hears("a", 3)  # the answer that told it epoch 3 got lost
    play << beat("a", 1) >> refused("a", E.FENCED_MEMBER_EPOCH)
    play << beat("a", 4) >> refused("a", E.FENCED_MEMBER_EPOCH)


def test_who_is_not_there() -> None:
    play = SharePlay()
    play << beat("a", 1) >> refused("a", E.GROUP_ID_NOT_FOUND)
    play << beat("a", -1) >> refused("a", E.GROUP_ID_NOT_FOUND)
    play << joins("a") >> hears("a", 2, {})
    play << beat("b", 1) >> refused("b", E.UNKNOWN_MEMBER_ID)
    play << beat("b", -1) >> refused("b", E.UNKNOWN_MEMBER_ID)


def test_there_is_no_room() -> None:
    play = SharePlay(group_share_max_size=1)
    play << joins("a") >> hears("a", 2, {}) << joins("b") >> refused("b", E.GROUP_MAX_SIZE_REACHED)
    play << joins("a") >> hears("a", 2, {})


def test_a_member_leaves() -> None:
    play = pair()
    play << beat("b", -1) >> hears("b", -1) >> in_state("Stable")
    play << beat("a", 4) >> hears("a", 5, {"t": [0, 1, 2, 3]})
    play << beat("a", -1) >> hears("a", -1) >> in_state("Empty") << reload >> in_state("Empty")
    assert play.initialized() == {"t": [0, 1, 2, 3]}
    play << joins("c") >> hears("c", 7, {"t": [0, 1, 2, 3]})


def test_a_session_ends() -> None:
    play = pair()
    play << after(30) << beat("a", 4) << after(20)
    assert set(play.shares.members) == {"a"}
    play << beat("b", 4) >> refused("b", E.UNKNOWN_MEMBER_ID)


def test_a_session_that_ends_while_nothing_can_be_written_ends_when_it_can() -> None:
    """The topic is below its min.insync.replicas for a while."""
    play = pair()
    play.log.failures += [KafkaError(E.NOT_ENOUGH_REPLICAS)] * 3
    play << after(30) << beat("a", 4) << after(16)
    assert set(play.shares.members) == {"a", "b"}
    play << after(1)
    assert set(play.shares.members) == {"a"}


def test_who_could_not_be_told_off_is_not_kept_for_ever() -> None:
    """A client that leaves does not ask again."""
    play = pair()
    play.log.failures.append(KafkaError(E.NOT_ENOUGH_REPLICAS))
    play << beat("b", -1) >> refused("b", E.NOT_ENOUGH_REPLICAS) << after(30) << beat("a", 4) << after(16)
    assert set(play.shares.members) == {"a"}


def test_sessions_begin_anew_when_loaded() -> None:
    play = pair()
    play << after(44) << reload << after(44)
    assert set(play.shares.members) == {"a", "b"}
    play << after(2)
    assert play.shares.is_empty


def test_other_topics() -> None:
    play = alone({"t": 4, "u": 1})
    play << beat("a", 3, "u") >> hears("a", 4, {}) >> asks_for(4, u=[0]) << initializes
    play << beat("a", 4) >> hears("a", 5, {"u": [0]})


def test_a_topic_grows() -> None:
    play = alone()
    play.set_topics({"t": 5})
    play << beat("a", 3) >> hears("a", 4) >> asks_for(4, t=[4]) << initializes
    play << beat("a", 4) >> hears("a", 5, {"t": [0, 1, 2, 3, 4]})


def test_a_topic_comes_later() -> None:
    play = SharePlay({})
    play << joins("a") >> hears("a", 2, {}) >> asks_for(0)
    play.set_topics({"t": 1})
    play << beat("a", 2) >> hears("a", 3) >> asks_for(3, t=[0])


def test_assignments_do_not_change_too_often() -> None:
    play = SharePlay(group_share_assignment_interval_ms=1000)
    play << joins("a") >> hears("a", 2, {}) << initializes << beat("a", 2) >> hears("a", 2)
    play << beat("a", 2) >> hears("a", 2) << after(1.1) << beat("a", 2) >> hears("a", 3, {"t": [0, 1, 2, 3]})


def test_the_persister_fails() -> None:
    play = SharePlay()
    play << joins("a") >> hears("a", 2, {}) << fails
    assert play.shares.states is not None
    assert not play.shares.states.initializing
    play << beat("a", 2) >> hears("a", 2) >> asks_for(2, t=[0, 1, 2, 3]) << initializes
    play << beat("a", 2) >> hears("a", 3, {"t": [0, 1, 2, 3]})


def test_an_initialization_of_which_nothing_is_heard_is_tried_again() -> None:
    play = SharePlay()
    play << joins("a") >> hears("a", 2, {})
    play.asked.clear()
    play << after(20) << beat("a", 2) >> hears("a", 2) >> asks_for(0)
    play << after(11) << beat("a", 2) >> hears("a", 2) >> asks_for(2, t=[0, 1, 2, 3])


def test_after_a_reload_it_waits_once_more() -> None:
    play = SharePlay()
    play << joins("a") >> hears("a", 2, {}) << after(20) << reload
    play.asked.clear()
    play << beat("a", 2) >> hears("a", 2) >> asks_for(0) << after(29) << beat("a", 2) >> hears("a", 2) >> asks_for(0)
    play << after(2) << beat("a", 2) >> hears("a", 2) >> asks_for(2, t=[0, 1, 2, 3])


def test_nothing_is_asked_for_what_could_not_be_written() -> None:
    play = SharePlay()
    play.log.failures.append(KafkaError(E.NOT_ENOUGH_REPLICAS))
    play << joins("a") >> refused("a", E.NOT_ENOUGH_REPLICAS) >> asks_for(0)
    assert play.group is None
    play << joins("a") >> hears("a", 2, {}) >> asks_for(2, t=[0, 1, 2, 3])


def test_answers_wait_for_the_commit() -> None:
    play = SharePlay()
    play.log.auto_commit = False
    play << joins("a")
    assert not play.unread()
    assert not play.asked
    play.log.commit(next(iter(play.log.batches)))
    play >> hears("a", 2, {}) >> asks_for(2, t=[0, 1, 2, 3])
