"""Plays of streams groups: each step of a rebalance, each way to go, each deadline, each state."""

from typing import Any

import pytest

from pykbroker.coordinator.group.streams_configured_topology import Status
from pykbroker.coordinator.group.streams_member import MemberState
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.group.plays import (
    commit,
    commit_answered,
    committed,
    delete_groups,
    delete_offsets,
    in_state,
    join,
    reload,
)
from tests.coordinator.group.streams_plays import StreamsPlay, beat, hears, joins, keeps_state, reads_t, refused
from tests.playbook import after, answered

DELAYED = Status.ASSIGNMENT_DELAYED
DAY = 24 * 3600


def pair() -> StreamsPlay:
    """a has tasks 0 and 1 of t, b 2 and 3, in epoch 3."""
    play = StreamsPlay()
    play << joins("a") >> hears("a", 2, {"0": [0, 1, 2, 3]})
    play << joins("b") >> hears("b", 3, {}) >> in_state("Reconciling")
    play << beat("a", 2, {"0": [0, 1, 2, 3]}) >> hears("a", 2, {"0": [0, 1]})
    play << beat("b", 3, {}) >> hears("b", 3)
    play << beat("a", 2, {"0": [0, 1]}) >> hears("a", 3)
    play << beat("b", 3, {}) >> hears("b", 3, {"0": [2, 3]}) >> in_state("Stable")
    return play


def test_tasks_move_once_they_are_given_back() -> None:
    play = pair()
    play << reload
    play << beat("a", 3) >> hears("a", 3) << beat("b", 3) >> hears("b", 3) >> in_state("Stable")


def test_the_first_assignment_waits_for_more_members() -> None:
    play = StreamsPlay(group_streams_initial_rebalance_delay_ms=3000)
    play << joins("a") >> hears("a", 1, {}, None, DELAYED) << after(2)
    play << joins("b") >> hears("b", 1, {}, None, DELAYED) >> in_state("Assigning")
    play << beat("a", 1) >> hears("a", 1, None, None, DELAYED)
    play << after(1.1) >> in_state("Reconciling")
    play << beat("a", 1) << beat("b", 1) >> in_state("Stable")
    told = [play.take(name).response for name in "ab"]
    assert [(row.member_epoch, len(row.active_tasks[0].partitions)) for row in told] == [(3, 2), (3, 2)]


def test_a_member_alone_is_assigned_by_its_next_heartbeat() -> None:
    """What its topology needs is known to the group only from its second heartbeat on, as in Kafka."""
    play = StreamsPlay(group_streams_initial_rebalance_delay_ms=3000)
    play << joins("a") >> hears("a", 1, {}, None, DELAYED) << after(4) >> in_state("Assigning")
    play << beat("a", 1) >> hears("a", 2, {"0": [0, 1, 2, 3]}) >> in_state("Stable")


def test_the_assignment_interval() -> None:
    play = StreamsPlay(group_streams_assignment_interval_ms=1000)
    play << joins("a") >> hears("a", 2, {"0": [0, 1, 2, 3]})
    play << joins("b") >> hears("b", 2, {}, None, DELAYED) >> in_state("Assigning")
    play << after(1) << beat("b", 2) >> hears("b", 3)


def test_a_lost_answer() -> None:
    play = StreamsPlay()
    play << joins("a")
    play.take("a")
    play << beat("a", 2, process_id="p2") >> hears("a", 3)
    play << beat("a", 2, {"0": [0]}) >> hears("a", 3)
    play << beat("a", 2) >> refused("a", E.FENCED_MEMBER_EPOCH)
    play << beat("a", 2, {"0": [0], "1": [0]}) >> refused("a", E.FENCED_MEMBER_EPOCH)
    play << beat("a", 1, {"0": [0]}) >> refused("a", E.FENCED_MEMBER_EPOCH)
    play << beat("a", 4, {"0": [0]}) >> refused("a", E.FENCED_MEMBER_EPOCH)


def test_a_member_leaves() -> None:
    play = pair()
    play << beat("b", -1) >> hears("b", -1) >> in_state("Assigning")
    play << beat("a", 3) >> hears("a", 4, {"0": [0, 1, 2, 3]}) >> in_state("Stable")
    play << beat("a", -1) >> hears("a", -1) >> in_state("Empty") << reload >> in_state("Empty")
    play << joins("a") >> hears("a", 6, {"0": [0, 1, 2, 3]})


def test_a_session_ends() -> None:
    play = pair()
    play << after(30) << beat("a", 3) << after(20) >> in_state("Assigning")
    assert set(play.streams.members) == {"a"}
    play << beat("b", 3) >> refused("b", E.UNKNOWN_MEMBER_ID)


def test_a_session_that_ends_while_nothing_can_be_written_ends_when_it_can() -> None:
    """The topic is below its min.insync.replicas for a while."""
    play = pair()
    play.log.failures += [KafkaError(E.NOT_ENOUGH_REPLICAS)] * 3
    play << after(30) << beat("a", 3) << after(16)
    assert set(play.streams.members) == {"a", "b"}
    play << after(1)
    assert set(play.streams.members) == {"a"}


def test_who_could_not_be_told_off_is_not_kept_for_ever() -> None:
    """A client that leaves does not ask again."""
    play = pair()
    play.log.failures.append(KafkaError(E.NOT_ENOUGH_REPLICAS))
    play << beat("b", -1) >> refused("b", E.NOT_ENOUGH_REPLICAS) << after(30) << beat("a", 3) << after(16)
    assert set(play.streams.members) == {"a"}


def test_sessions_begin_anew_when_loaded() -> None:
    play = pair()
    play << after(44) << reload << after(44)
    assert set(play.streams.members) == {"a", "b"}
    play << after(2)
    assert play.streams.is_empty


@pytest.mark.parametrize("reloaded", [False, True])
def test_who_gives_nothing_back_in_time_is_fenced(reloaded: bool) -> None:
    play = StreamsPlay()
    play << joins("a", rebalance_timeout_ms=10_000)
    play << joins("b")
    everything = {"0": [0, 1, 2, 3]}
    play << beat("a", 2, everything) << after(5) << beat("a", 2, everything) << after(4.9)
    assert play.streams.members["a"].state == MemberState.UNREVOKED_TASKS
    if reloaded:
        play << reload << after(9.9)
    assert set(play.streams.members) == {"a", "b"}
    play << after(0.2)
    assert set(play.streams.members) == {"b"}


def test_the_rebalance_timeout_ends_with_the_revocation() -> None:
    play = pair()
    play << after(40) << beat("a", 3) << beat("b", 3) << after(40)
    assert set(play.streams.members) == {"a", "b"}


# -- topics


def test_source_topics_that_come_and_go() -> None:
    play = StreamsPlay({})
    play << joins("a") >> hears("a", 2, {}, None, Status.MISSING_SOURCE_TOPICS) >> in_state("NotReady")
    play.set_topics({"t": 2})
    play << beat("a", 2) >> hears("a", 3, {"0": [0, 1]}) >> in_state("Stable")
    play.set_topics({"t": 3})
    play << beat("a", 3) >> hears("a", 4, {"0": [0, 1, 2]})
    play.set_topics({"other": 3})
    play << beat("a", 4, {"0": [0, 1, 2]}) >> hears("a", 4, {}, None, Status.MISSING_SOURCE_TOPICS)
    play << beat("a", 4, {}) >> hears("a", 5, None, None, Status.MISSING_SOURCE_TOPICS) >> in_state("NotReady")


def test_internal_topics_are_asked_for_until_they_are_there() -> None:
    play = StreamsPlay({"t": 2, "u": 1})
    play << joins("a", keeps_state())
    result = play.take("a")
    assert {name: topic.partitions for name, topic in result.to_create.items()} == {"tc": 2}
    assert [row.status_detail for row in result.response.status] == ["Internal topics are missing: tc"]
    play.set_topics({"t": 2, "u": 1, "tc": 3})
    play << beat("a", 2) >> hears("a", 3, None, None, Status.INCORRECTLY_PARTITIONED_TOPICS)
    play.set_topics({"t": 2, "u": 1, "tc": 2})
    play << beat("a", 3) >> hears("a", 4, {"0": [0, 1], "1": [0]}) >> in_state("Stable")


def test_topics_of_others_do_not_matter() -> None:
    play = pair()
    play.set_topics({"t": 4, "v": 1})
    play << beat("a", 3) >> hears("a", 3) >> in_state("Stable")


def test_standbys() -> None:
    topics = {"t": 2, "u": 1, "tc": 2}
    play = StreamsPlay(topics, group_streams_num_standby_replicas=1)
    play << joins("a", keeps_state()) >> hears("a", 2, {"0": [0, 1], "1": [0]})
    play << joins("b", keeps_state())
    play.take("b")
    play << beat("a", 2, {"0": [0, 1], "1": [0]})
    told = play.take("a").response
    kept = {row.subtopology_id: row.partitions for row in told.active_tasks}
    play << beat("a", 2, kept)
    play.take("a")
    for _ in range(3):
        play << beat("b", 3, {}) << beat("a", 3, kept)
    held = {name: play.streams.members[name].held for name in "ab"}
    for name, other in (("a", "b"), ("b", "a")):
        standby = {key: set(rows) for key, rows in held[name].standby.items()}
        assert standby == {key: set(rows) for key, rows in held[other].active.items() if key == "0"}
    play.config.group_streams_num_standby_replicas = 0
    play << beat("a", 3)
    assert play.streams.epochs.configs == (("num.standby.replicas", "0"),)
    assert play.streams.epochs.group == 4


# -- topologies


def test_another_topology() -> None:
    play = StreamsPlay()
    play << joins("a", reads_t(2)) >> hears("a", 2, {"0": [0, 1, 2, 3]})
    play << joins("b", reads_t(3)) >> refused("b", E.INVALID_REQUEST)
    play << joins("b", reads_t(1)) >> hears("b", 3, {}, None, Status.STALE_TOPOLOGY)


def test_a_shutdown_is_told_to_everyone_until_all_are_gone() -> None:
    play = pair()
    play << beat("a", 3, shutdown_application=True) >> hears("a", 3, None, None, Status.SHUTDOWN_APPLICATION)
    play << beat("b", 3) >> hears("b", 3, None, None, Status.SHUTDOWN_APPLICATION)
    play << beat("a", -1) << beat("b", -1) << joins("c")
    assert not play.take("c").response.status


def test_a_member_of_a_newer_state_starts_over() -> None:
    play = pair()
    member = play.streams.members["a"]
    play.streams.put_member(member._replace(state=MemberState.UNKNOWN))
    beat("a", 3, {"0": [0, 1]})(play)
    play >> refused("a", E.FENCED_MEMBER_EPOCH)
    beat("a", 3, {})(play)
    assert play.streams.members["a"].state == MemberState.STABLE


def test_a_full_group() -> None:
    play = StreamsPlay(group_streams_max_size=1)
    play << joins("a") << joins("b") >> refused("b", E.GROUP_MAX_SIZE_REACHED)


# -- other kinds of groups, and offsets


def test_classic_members_follow_an_empty_group_and_the_other_way_round() -> None:
    play = StreamsPlay()
    play << joins("a") << join("c", version=3) >> answered("c", error_code=E.INCONSISTENT_GROUP_PROTOCOL)
    play << beat("a", -1) << join("c", version=3) << after(3)
    assert play.group.group_type == "classic"
    play << joins("a")
    assert play.inbox["a"].pop().error_code == E.GROUP_ID_NOT_FOUND


def test_a_simple_group_becomes_one_with_its_offsets() -> None:
    play = StreamsPlay()
    play << commit("x", 7, member=False) >> commit_answered("x") << joins("a") >> committed(7)
    assert play.streams.members["a"]


def test_offsets_of_members() -> None:
    play = pair()
    play << commit("a", 5, member=False, member_id="a", generation_id_or_member_epoch=3) >> commit_answered("a")
    play << commit("a", 6, member=False, member_id="a", generation_id_or_member_epoch=2) >> commit_answered("a")
    later: dict[str, Any] = {"partition": 3, "member": False, "member_id": "a"}
    play << commit("a", 6, generation_id_or_member_epoch=2, **later) >> commit_answered("a", E.STALE_MEMBER_EPOCH)
    play << commit("a", 6, generation_id_or_member_epoch=4, **later) >> commit_answered("a", E.STALE_MEMBER_EPOCH)
    play << commit("x", 6, member=False) >> commit_answered("x", E.UNKNOWN_MEMBER_ID)
    play << committed_and_kept


def committed_and_kept(play: StreamsPlay) -> None:
    play >> committed(6)
    play << delete_offsets("x") << reload >> committed(6)


def test_offsets_stay_while_the_topology_reads_the_topic() -> None:
    """Scenarios 23 and 25: over a rebalance that stands still and over a reload; without members their age counts."""
    play = StreamsPlay(group_streams_session_timeout_ms=30 * DAY * 1000)
    play << joins("a", rebalance_timeout_ms=20 * DAY * 1000) >> hears("a", 2, {"0": [0, 1, 2, 3]})
    for topic in ("t", "u"):
        play << commit("a", 7, topic=topic, member=False, member_id="a", generation_id_or_member_epoch=2)
        play >> commit_answered("a")
    play << joins("b") << beat("a", 2, {"0": [0, 1, 2, 3]}) >> in_state("Reconciling")
    play << after(6.9 * DAY) >> committed(7) >> committed(7, topic="u") << reload >> in_state("Reconciling")
    play << after(0.2 * DAY) >> in_state("Reconciling") >> committed(7) >> committed(None, topic="u")
    play << beat("a", -1) << beat("b", -1) << after(0.1 * DAY) >> committed(None)


def test_an_empty_group_is_deleted_or_expires() -> None:
    play = pair()
    play << delete_groups("x")
    assert play.take("x")[0].error_code == E.NON_EMPTY_GROUP
    play << beat("a", -1) << beat("b", -1) << delete_groups("x")
    assert play.take("x")[0].error_code == 0
    assert play.group is None
    play << joins("a") << beat("a", -1) << after(700)
    assert play.group is None
    with pytest.raises(KafkaError):
        play.shard.describe_streams_group("g")
