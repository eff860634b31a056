"""The states as one table, and the votes (ClassicGroupTest)."""

import itertools

import pytest

from pykbroker.coordinator.group.classic_group import (
    COMPLETING_REBALANCE,
    DEAD,
    EMPTY,
    PREPARING_REBALANCE,
    STABLE,
    TRANSITIONS,
    ClassicGroup,
)
from pykbroker.coordinator.group.classic_member import ClassicMember
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E

STATES = (EMPTY, PREPARING_REBALANCE, COMPLETING_REBALANCE, STABLE, DEAD)
ALLOWED = {
    (EMPTY, PREPARING_REBALANCE),
    (PREPARING_REBALANCE, COMPLETING_REBALANCE),
    (PREPARING_REBALANCE, EMPTY),
    (COMPLETING_REBALANCE, STABLE),
    (COMPLETING_REBALANCE, PREPARING_REBALANCE),
    (STABLE, PREPARING_REBALANCE),
    *((state, DEAD) for state in STATES),
}


def member(name: str, protocols: str = "x", *, instance: str | None = None, rebalance: int = 1000) -> ClassicMember:
    pairs = tuple((protocol, protocol.encode()) for protocol in protocols)
    return ClassicMember("g", name, instance, "client", "/host", rebalance, 6000, pairs)


def group(*members: ClassicMember) -> ClassicGroup:
    made = ClassicGroup("g", 0)
    for each in members:
        made.add(each, "consumer")
    made.transition(PREPARING_REBALANCE, 1)
    return made


@pytest.mark.parametrize(("source", "target"), list(itertools.product(STATES, STATES)))
def test_transitions(source: str, target: str) -> None:
    made = ClassicGroup("g", 0, source)
    if (source, target) in ALLOWED:
        made.transition(target, 7)
        assert (made.state, made.previous_state, made.state_timestamp) == (target, source, 7)
    else:
        with pytest.raises(RuntimeError, match="can't go"):
            made.transition(target, 7)


def test_every_state_has_its_row() -> None:
    assert TRANSITIONS.keys() == set(STATES)


def test_the_first_member_leads_and_the_next_one_follows_it() -> None:
    made = group(member("a"), member("b"))
    assert made.leader_id == "a"
    made.remove("a")
    assert made.leader_id == "b"
    made.remove("b")
    assert (made.leader_id, made.supported) == (None, {})
    made.remove("b")


def test_a_leader_that_waits_is_elected() -> None:
    made = group(member("a"), member("b"))
    assert not made.elect_joined_leader()
    made.members["b"].awaiting_join = []  # type: ignore[assignment]
    assert made.elect_joined_leader()
    assert made.leader_id == "b"
    assert made.elect_joined_leader()
    assert not ClassicGroup("g", 0).elect_joined_leader()


@pytest.mark.parametrize(
    ("protocols", "chosen"),
    [(["x"], "x"), (["xy", "yx", "yx"], "y"), (["xyz", "zyq", "zy"], "z"), (["xxy"], "y"), (["xx"], "x")],
)
def test_votes(protocols: list[str], chosen: str) -> None:
    made = group(*(member(str(number), names) for number, names in enumerate(protocols)))
    assert made.select_protocol() == chosen


def test_which_protocols_fit() -> None:
    made = ClassicGroup("g", 0)
    assert made.supports("anything", ["p"])
    assert not made.supports("", ["p"])
    assert not made.supports("anything", [])
    made = group(member("a", "xy"), member("b", "yz"))
    assert made.supports("consumer", ["q", "y"])
    assert not made.supports("consumer", ["x", "z"])
    assert not made.supports("connect", ["y"])


def test_who_is_a_member() -> None:
    made = group(member("a", instance="i"), member("b"))
    assert made.validate_member("a", "i").member_id == "a"
    assert made.validate_member("a", None).member_id == "a"
    for member_id, instance, code in (
        ("b", "i", E.FENCED_INSTANCE_ID),
        ("b", "j", E.UNKNOWN_MEMBER_ID),
        ("c", None, E.UNKNOWN_MEMBER_ID),
    ):
        with pytest.raises(KafkaError) as caught:
            made.validate_member(member_id, instance)
        assert caught.value.code == code


def test_the_longest_rebalance_timeout_counts() -> None:
    assert group(member("a", rebalance=5), member("b", rebalance=9)).rebalance_timeout_ms == 9
    assert group(member("a", rebalance=-7)).rebalance_timeout_ms == 0
    assert ClassicGroup("g", 0).rebalance_timeout_ms == 0


def test_the_next_generation() -> None:
    made = group(member("a"))
    made.pending_sync["a"] = None
    made.next_generation(5)
    assert (made.generation_id, made.state, made.protocol_name, made.pending_sync) == (1, COMPLETING_REBALANCE, "x", {})
    made.transition(PREPARING_REBALANCE, 6)
    made.remove("a")
    made.next_generation(7)
    assert (made.generation_id, made.state, made.protocol_name) == (2, EMPTY, None)
    assert made.subscribed_topics == frozenset()


def test_subscriptions() -> None:
    made = group(member("a"))
    assert made.is_subscribed_to("t")  # a consumer group, of what is not known
    made.protocol_type = "connect"
    assert not made.is_subscribed_to("t")
    made.protocol_type = "consumer"
    made.members["a"].protocols = (("x", b"\0\1\0\0\0\1\0\1t\0\0\0\0"),)
    made.next_generation(1)
    assert made.subscribed_topics == {"t"}
    assert not made.is_subscribed_to("u")


def test_repr_is_short() -> None:
    assert repr(group(member("a"))) == "<ClassicGroup g PreparingRebalance generation 0, 1 members>"
    assert repr(member("a", instance="i")) == "<ClassicMember a instance i>"
