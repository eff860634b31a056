"""Groups that change their protocol."""

from typing import Any

import pytest

from pykbroker.coordinator.group.classic_group import ClassicGroup
from pykbroker.coordinator.group.consumer_migration import SKIPPED_GENERATIONS
from pykbroker.coordinator.group.subscription import encode_assignment
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.group.consumer_plays import ConsumerPlay, beat, hears, joins, refused, topic_id
from tests.coordinator.group.plays import (
    Failure,
    alive,
    commit,
    commit_answered,
    committed,
    in_state,
    join,
    reload,
    sync,
)
from tests.coordinator.group.test_consumer_classic import rejoins, subscription
from tests.playbook import after, answered


def classic(play: ConsumerPlay, assignment: bytes | None = None, **fields: Any) -> ConsumerPlay:
    """A stable classic group of one member, c, that has all four partitions."""
    if assignment is None:
        assignment = encode_assignment({topic_id("t"): range(4)}, play.image.topics, b"\0\1")
    play << join("c", version=3, **{"protocols": {"range": subscription()}, **fields}) << after(3)
    play >> answered("c", generation_id=1) << sync("c", {"c": assignment}) >> answered("c", error_code=0)
    return play


def test_the_first_new_member_makes_it_a_consumer_group() -> None:
    play = classic(ConsumerPlay())
    play << commit("c", 7) >> commit_answered("c")
    play << joins("a") >> hears("a", 2, {}) >> committed(7)
    member = play.consumers.members[play.ids["c"]]
    assert (member.epoch, member.uses_classic, play.assigned(play.ids["c"])) == (1, True, {"t": [0, 1, 2, 3]})
    play >> alive("c", E.REBALANCE_IN_PROGRESS)
    play << rejoins("c", 0, 1) >> answered("c", generation_id=2) << sync("c") >> answered("c", error_code=0)
    play << beat("a", 2, {}) >> hears("a", 2, {"t": [2, 3]}) >> in_state("Stable") << reload >> in_state("Stable")


def test_the_last_one_makes_it_a_classic_group_again() -> None:
    play = classic(ConsumerPlay())
    play << joins("a") << beat("a", -1)
    assert isinstance(play.group, ClassicGroup)
    play >> in_state("PreparingRebalance") >> alive("c", E.ILLEGAL_GENERATION)
    play << rejoins("c") >> answered("c", generation_id=3, leader=play.ids["c"])
    play << sync("c", {"c": b""}) >> answered("c", error_code=0) >> in_state("Stable") << reload >> in_state("Stable")


def test_a_rebalance_that_a_new_coordinator_never_heard_of() -> None:
    play = classic(ConsumerPlay())
    play << joins("a") << rejoins("c", 0, 1) >> answered("c", generation_id=2) << sync("c")
    play.take("c")
    play << beat("a", 2, {}) << beat("a", -1) << reload
    play >> alive("c", E.ILLEGAL_GENERATION) << rejoins("c") << after(60)
    play >> answered("c", generation_id=2 + SKIPPED_GENERATIONS + 1)


def test_so_does_its_session() -> None:
    play = classic(ConsumerPlay(), session=300_000)
    play << joins("a") << after(46)
    assert isinstance(play.group, ClassicGroup)


def test_members_that_wait_are_sent_back_to_join_again() -> None:
    play = classic(ConsumerPlay())
    play << join("d", version=3, protocols={"range": subscription()}) << joins("a")
    play >> answered("d", error_code=E.REBALANCE_IN_PROGRESS)


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        ({"group_consumer_migration_policy": "disabled"}, {}),
        ({"group_consumer_migration_policy": "downgrade"}, {}),
        ({"group_consumer_max_size": 0}, {}),
        ({}, {"protocol_type": "connect"}),
        ({}, {"protocols": {"range": b"\0"}}),
        ({}, {"assignment": b"\0\1\0"}),
        ({}, {"assignment": b"\0\1\0\0\0\0\0\0\0\1x"}),
    ],
)
def test_what_stays_classic(settings: dict[str, Any], fields: dict[str, Any]) -> None:
    play = classic(ConsumerPlay(**settings), **fields)
    play << joins("a") >> refused("a", E.GROUP_ID_NOT_FOUND) >> in_state("Stable")
    play << beat("a", 1) >> refused("a", E.GROUP_ID_NOT_FOUND)
    play << beat("a", -1) >> refused("a", E.GROUP_ID_NOT_FOUND)


def test_a_partition_given_to_two_classic_members_stays_a_matter_of_theirs() -> None:
    """Scenario 27; the dialogue two_classic_members_claim_one_partition is Kafka's word on it."""
    play = ConsumerPlay()
    play << join("c", version=3, protocols={"range": subscription()})
    play << join("d", version=3, protocols={"range": subscription()}) << after(3) << after(3)
    play >> answered("c", generation_id=1, leader=play.ids["c"]) >> answered("d", generation_id=1)
    topics = play.image.topics
    first = encode_assignment({topic_id("t"): (0, 1, 2)}, topics, b"\0\1")
    second = encode_assignment({topic_id("t"): (2, 3)}, topics, b"\0\1")
    play << sync("c", {"c": first, "d": second}) << sync("d")
    play >> answered("c", assignment=first) >> answered("d", assignment=second)
    play << joins("a") >> refused("a", E.UNKNOWN_SERVER_ERROR) >> in_state("Stable") >> alive("c") >> alive("d")


@pytest.mark.parametrize("settings", [{"group_consumer_migration_policy": "upgrade"}, {"group_max_size": 0}])
def test_what_stays_a_consumer_group(settings: dict[str, Any]) -> None:
    play = classic(ConsumerPlay())
    for name, value in settings.items():
        setattr(play.config, name, value)
    play << joins("a") << beat("a", -1)
    assert play.consumers.classic_count == 1


def test_an_upgrade_that_cannot_be_written() -> None:
    play = classic(ConsumerPlay())
    play.log.failures.append(KafkaError(E.NOT_ENOUGH_REPLICAS))
    play << joins("a") >> refused("a", E.NOT_ENOUGH_REPLICAS) >> in_state("Stable") >> alive("c")
    play << joins("a") >> hears("a", 2, {})


def test_a_downgrade_that_cannot_be_written() -> None:
    play = classic(ConsumerPlay())
    play << joins("a")
    play.log.failures.append(KafkaError(E.NOT_ENOUGH_REPLICAS))
    play << beat("a", -1)
    assert isinstance(play.inbox["a"][-1], Failure)
    assert play.consumers.classic_count == 1
    play << beat("a", -1)
    assert isinstance(play.group, ClassicGroup)


def test_an_empty_classic_group_gives_way() -> None:
    play = ConsumerPlay()
    play << commit("x", 4, member=False) >> commit_answered("x") << joins("a") >> hears("a", 2, {"t": [0, 1, 2, 3]})
    play >> committed(4) << reload >> committed(4) >> in_state("Stable")


def test_a_classic_group_follows_an_empty_consumer_group() -> None:
    play = ConsumerPlay()
    play << joins("a") << beat("a", -1)
    classic(play) >> in_state("Stable") << reload >> in_state("Stable")


def test_a_classic_member_takes_the_place_of_the_last_other_one() -> None:
    play = ConsumerPlay()
    play << joins("a", instance_id="i") >> hears("a", 2, {"t": [0, 1, 2, 3]})
    play << rejoins("c", instance="i", version=9) >> answered("c", error_code=0, generation_id=2)
    assert isinstance(play.group, ClassicGroup)
    play >> in_state("Stable") >> alive("c") << reload >> in_state("Stable")
    (member,) = play.group.members.values()
    assert member.assignment == encode_assignment({topic_id("t"): range(4)}, play.image.topics, b"\0\1")


def test_with_another_subscription_there_is_a_rebalance() -> None:
    play = ConsumerPlay({"t": 1, "u": 1})
    play << joins("a", "t", "u", instance_id="i")
    play << rejoins("c", instance="i", version=9) >> answered("c", error_code=0) >> in_state("PreparingRebalance")
