"""Plays of consumer groups: each step of a rebalance, each way to go, each deadline."""

from pykbroker.coordinator.group.consumer_member import MemberState
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.group.consumer_plays import ConsumerPlay, beat, hears, joins, refused
from tests.coordinator.group.plays import in_state, members, reload
from tests.playbook import after


def pair() -> ConsumerPlay:
    """a has t-0 and t-1, b t-2 and t-3, in epoch 3."""
    play = ConsumerPlay()
    play << joins("a") >> hears("a", 2, {"t": [0, 1, 2, 3]})
    play << joins("b") >> hears("b", 3, {}) >> in_state("Reconciling")
    play << beat("a", 2, {"t": [0, 1, 2, 3]}) >> hears("a", 2, {"t": [0, 1]})
    play << beat("b", 3, {}) >> hears("b", 3, None)
    play << beat("a", 2, {"t": [0, 1]}) >> hears("a", 3, None)
    play << beat("b", 3, {}) >> hears("b", 3, {"t": [2, 3]}) >> in_state("Stable")
    return play


def test_partitions_move_once_they_are_given_back() -> None:
    play = pair()
    play << reload
    play << beat("a", 3) >> hears("a", 3) << beat("b", 3) >> hears("b", 3) >> in_state("Stable")


def test_the_assignment_is_told_to_who_tells_everything() -> None:
    play = pair()
    full = {"rebalance_timeout_ms": 60_000, "subscribed_topic_names": ["t"]}
    play << beat("a", 3, {"t": [0, 1]}, **full) >> hears("a", 3, {"t": [0, 1]})


def test_a_lost_answer() -> None:
    play = ConsumerPlay()
    play << joins("a")
    play.take("a")
    play << beat("a", 2, subscribed_topic_names=["t", "u"]) >> hears("a", 3)
    play << beat("a", 2, {"t": [0]}) >> hears("a", 3)
    play << beat("a", 2, {"t": [0], "u": [0]}) >> refused("a", E.FENCED_MEMBER_EPOCH)
    play << beat("a", 1, {"t": [0]}) >> refused("a", E.FENCED_MEMBER_EPOCH)
    play << beat("a", 4, {"t": [0]}) >> refused("a", E.FENCED_MEMBER_EPOCH)


def test_a_member_leaves() -> None:
    play = pair()
    play << beat("b", -1) >> hears("b", -1) >> in_state("Assigning")
    play << beat("a", 3) >> hears("a", 4, {"t": [0, 1, 2, 3]}) >> in_state("Stable")
    play << beat("a", -1) >> hears("a", -1) >> in_state("Empty") << reload >> in_state("Empty")


def test_a_session_ends() -> None:
    play = pair()
    play << after(30) << beat("a", 3) << after(20) >> in_state("Assigning")
    assert set(play.consumers.members) == {"a"}
    play << beat("b", 3) >> refused("b", E.UNKNOWN_MEMBER_ID)


def test_a_session_that_ends_while_nothing_can_be_written_ends_when_it_can() -> None:
    """The topic is below its min.insync.replicas for a while."""
    play = pair()
    play.log.failures += [KafkaError(E.NOT_ENOUGH_REPLICAS)] * 3
    play << after(30) << beat("a", 3) << after(16)
    assert set(play.consumers.members) == {"a", "b"}
    play << after(1)
    assert set(play.consumers.members) == {"a"}


def test_who_gives_nothing_back_is_fenced_when_it_can_be_written() -> None:
    play = ConsumerPlay()
    play << joins("a", rebalance_timeout_ms=10_000)
    play << joins("b")
    play << beat("a", 2, {"t": [0, 1, 2, 3]})
    play.log.failures.append(KafkaError(E.NOT_ENOUGH_REPLICAS))
    play << after(10.2)
    assert set(play.consumers.members) == {"a", "b"}
    play << after(0.5)
    assert set(play.consumers.members) == {"b"}


def test_who_could_not_be_told_off_is_not_kept_for_ever() -> None:
    """A client that leaves does not ask again."""
    play = pair()
    play.log.failures.append(KafkaError(E.NOT_ENOUGH_REPLICAS))
    play << beat("b", -1) >> refused("b", E.NOT_ENOUGH_REPLICAS) << after(30) << beat("a", 3) << after(16)
    assert set(play.consumers.members) == {"a"}


def test_sessions_begin_anew_when_loaded() -> None:
    play = pair()
    play << after(44) << reload << after(44)
    assert set(play.consumers.members) == {"a", "b"}
    play << after(2)
    assert play.consumers.is_empty


def test_who_gives_nothing_back_in_time_is_fenced() -> None:
    play = ConsumerPlay()
    play << joins("a", rebalance_timeout_ms=10_000)
    play << joins("b")
    play << beat("a", 2, {"t": [0, 1, 2, 3]}) << after(5) << beat("a", 2, {"t": [0, 1, 2, 3]}) << after(4.9)
    assert set(play.consumers.members) == {"a", "b"}
    assert play.consumers.members["a"].state == MemberState.UNREVOKED_PARTITIONS
    play << after(0.2)
    assert set(play.consumers.members) == {"b"}


def test_the_rebalance_timeout_survives_a_reload_and_ends_with_the_revocation() -> None:
    play = ConsumerPlay()
    play << joins("a", rebalance_timeout_ms=10_000)
    play << joins("b") << beat("a", 2, {"t": [0, 1, 2, 3]}) << reload << after(9)
    play << beat("a", 2, {"t": [0, 1]}) << after(5)
    assert set(play.consumers.members) == {"a", "b"}


def test_the_assignment_waits_for_its_interval() -> None:
    play = ConsumerPlay(group_consumer_assignment_interval_ms=1000)
    play << joins("a") >> hears("a", 2, {"t": [0, 1, 2, 3]})
    play << joins("b") >> hears("b", 2, {}) >> in_state("Assigning")
    play << after(0.9) << beat("b", 2, {}) >> hears("b", 2) << after(0.2)
    play << beat("b", 2, {}) >> hears("b", 3) >> in_state("Reconciling")


def test_topics_that_change() -> None:
    play = pair()
    play.set_topics({"t": 4, "x": 1})
    play << beat("a", 3) >> hears("a", 3)
    play.set_topics({"t": 6})
    play << beat("a", 3) >> hears("a", 4, {"t": [0, 1, 4]})
    play.set_topics({})
    play << beat("b", 3) >> hears("b", 3, {})
    play << beat("b", 3, {}) >> hears("b", 5)
    assert play.consumers.epochs.metadata_hash == 0


def test_static_members_come_back() -> None:
    play = ConsumerPlay()
    play << joins("a", instance_id="i") >> hears("a", 2, {"t": [0, 1, 2, 3]})
    play << joins("b", instance_id="i") >> refused("b", E.UNRELEASED_INSTANCE_ID)
    play << beat("a", -2, instance_id="i") >> hears("a", -2)
    play << joins("c") >> hears("c", 3, {})
    play << joins("b", instance_id="i") >> hears("b", 3, {"t": [0, 1]})
    play << beat("a", 2, instance_id="i") >> refused("a", E.FENCED_INSTANCE_ID)
    play << beat("c", 3, {}) >> hears("c", 3, {"t": [2, 3]})
    play << beat("b", 3, instance_id="x") >> refused("b", E.UNKNOWN_MEMBER_ID)


def test_a_static_member_that_stays_away() -> None:
    play = ConsumerPlay()
    play << joins("a", instance_id="i")
    play << beat("a", -2, instance_id="i") << after(46)
    assert play.consumers.is_empty
    play << joins("b", instance_id="i")
    play << beat("b", -1, instance_id="i")
    assert play.consumers.is_empty


def test_a_group_has_its_limit() -> None:
    play = ConsumerPlay(group_consumer_max_size=1)
    play << joins("a") >> hears("a", 2, {"t": [0, 1, 2, 3]}) << joins("b") >> refused("b", E.GROUP_MAX_SIZE_REACHED)
    play << joins("a") >> hears("a", 2, {"t": [0, 1, 2, 3]})


def test_groups_and_members_that_are_none() -> None:
    play = ConsumerPlay()
    for epoch in (1, -1):
        play << beat("a", epoch) >> refused("a", E.GROUP_ID_NOT_FOUND)
    play << joins("a")
    for epoch in (1, -1):
        play << beat("x", epoch) >> refused("x", E.UNKNOWN_MEMBER_ID)


def test_nothing_happened_when_it_cannot_be_written() -> None:
    play = ConsumerPlay()
    play.log.failures.append(KafkaError(E.NOT_ENOUGH_REPLICAS))
    play << joins("a") >> refused("a", E.NOT_ENOUGH_REPLICAS)
    assert play.group is None
    play << joins("a") >> hears("a", 2, {"t": [0, 1, 2, 3]})
    play.log.failures.append(KafkaError(E.NOT_ENOUGH_REPLICAS))
    play << joins("b") >> refused("b", E.NOT_ENOUGH_REPLICAS) << beat("a", 2) >> hears("a", 2)


def test_patterns() -> None:
    play = ConsumerPlay({"t1": 1, "t2": 1, "x": 1})
    pattern = {"subscribed_topic_names": None, "subscribed_topic_regex": "t.*"}
    play << joins("a", **{**pattern, "subscribed_topic_regex": "("}) >> refused("a", E.INVALID_REGULAR_EXPRESSION)
    play << joins("a", **pattern) >> hears("a", 1, {}) << after(0.01)
    play << beat("a", 1, {}) >> hears("a", 2, {"t1": [0], "t2": [0]})
    play.set_topics({"t1": 1, "t2": 1, "t3": 2})
    play << beat("a", 2) >> hears("a", 2) << after(11) << beat("a", 2) >> hears("a", 2) << after(0.01)
    play << beat("a", 2) >> hears("a", 3, {"t1": [0], "t2": [0], "t3": [0, 1]})
    play << reload << beat("a", -1)
    assert not len(play.consumers.patterns)


def test_its_own_settings() -> None:
    from pykbroker.metadata.image import GROUP_RESOURCE, ConfigsImage

    play = ConsumerPlay()
    own = {"consumer.session.timeout.ms": "60000", "consumer.heartbeat.interval.ms": "7000"}
    play.image = play.image._replace(configs=ConfigsImage({(GROUP_RESOURCE, "g"): own}))
    play << joins("a")
    assert play.take("a").heartbeat_interval_ms == 7000
    play << after(59)
    assert not play.consumers.is_empty
    play << after(2)
    assert play.consumers.is_empty


def test_members_without_an_id_get_one() -> None:
    play = ConsumerPlay()
    play << joins("a", member_id="", version=0)
    answer = play.take("a")
    assert len(answer.member_id) == 22
    play.ids["a"] = answer.member_id
    play >> members("a")
