"""What a group says of itself, and the indexes that follow its members."""

import pytest

from pykbroker.coordinator.group.consumer_group import (
    ASSIGNING,
    RECONCILING,
    ConsumerGroup,
    ResolvedPattern,
)
from pykbroker.coordinator.group.consumer_member import ClassicMetadata, ConsumerMember, MemberState
from pykbroker.coordinator.group.modern_group import EMPTY, STABLE, Epochs
from pykbroker.coordinator.timeline import Timeline
from pykbroker.errors import KafkaError
from tests.coordinator.group.consumer_plays import topic_id

T = topic_id("t")
CLASSIC = ClassicMetadata(1, (("range", b""), ("sticky", b"")))


@pytest.fixture
def group() -> ConsumerGroup:
    return ConsumerGroup("g", Timeline())


def test_states(group: ConsumerGroup) -> None:
    assert (group.state, group.epochs.group, group.epochs.assignment) == (EMPTY, 1, 1)
    group.put_member(ConsumerMember("a", epoch=1))
    assert group.state == STABLE
    group.epochs = Epochs(group=2)
    assert group.state == ASSIGNING
    group.epochs = Epochs(group=2, assignment=2)
    assert group.state == RECONCILING
    group.put_member(ConsumerMember("a", epoch=2, state=MemberState.UNREVOKED_PARTITIONS))
    assert group.state == RECONCILING


def test_committed_and_written_state() -> None:
    timeline = Timeline()
    group = ConsumerGroup("g", timeline)
    group.put_member(ConsumerMember("a", epoch=1))
    assert (group.state, group.committed_state, group.committed_members()) == (STABLE, EMPTY, [])
    timeline.commit(1)
    assert group.committed_state == STABLE
    timeline.offset = 1
    group.epochs = Epochs(group=2)
    assert (group.committed_epochs.group, group.committed_state, group.state) == (1, STABLE, ASSIGNING)


def test_owners_of_partitions(group: ConsumerGroup) -> None:
    group.put_member(ConsumerMember("a", epoch=3, owned={T: {0: 1}}, revoking={T: {1: 1}}))
    assert group.partition_epochs == {(T, 0): 3, (T, 1): 3}
    group.put_member(ConsumerMember("a", epoch=4, owned={T: {0: 1}}))
    assert group.partition_epochs == {(T, 0): 4}
    # After compaction the log may tell that b got it before it tells that a gave it back.
    group.put_member(ConsumerMember("b", epoch=5, owned={T: {0: 5}}))
    group.put_member(ConsumerMember("a", epoch=5))
    assert group.partition_epochs == {(T, 0): 5}
    group.put_member(ConsumerMember("b", epoch=-2, owned={T: {0: 0}}))
    assert group.partition_epochs == {(T, 0): -2}
    group.remove_member("b")
    assert group.partition_epochs == {}
    group.remove_member("nobody")


def test_static_members(group: ConsumerGroup) -> None:
    group.put_member(ConsumerMember("a", instance_id="i"))
    group.targets["a"] = {T: frozenset({0})}
    assert group.static_member("i") == ConsumerMember("a", instance_id="i")
    assert (group.static_member(None), group.static_member("j")) == (None, None)
    replacing = ConsumerMember("b", instance_id="i")
    assert group.target(replacing) == {T: frozenset({0})}
    assert group.with_member(replacing) == [replacing]
    group.put_member(replacing)
    group.remove_member("a")
    assert group.static_members == {"i": "b"}


def test_all_members_as_they_will_be(group: ConsumerGroup) -> None:
    a, b = ConsumerMember("a"), ConsumerMember("b")
    group.put_member(a)
    group.put_member(b)
    assert group.with_member(a._replace(epoch=1)) == [a._replace(epoch=1), b]
    assert group.with_member(ConsumerMember("c")) == [a, b, ConsumerMember("c")]


def test_subscriptions(group: ConsumerGroup) -> None:
    member = ConsumerMember("a", topics=frozenset({"t"}), regex="u.*")
    group.put_member(member)
    assert (group.topics_of(member), group.regex_counts) == (frozenset({"t"}), {"u.*": 1})
    group.patterns["u.*"] = ResolvedPattern(frozenset({"u1"}), 1, 1)
    assert group.topics_of(member) == {"t", "u1"}
    assert [group.is_subscribed_to(topic) for topic in ("t", "u1", "u2")] == [True, True, False]
    group.put_member(member._replace(regex=""))
    assert group.regex_counts == {}


def test_the_assignor_that_most_prefer(group: ConsumerGroup) -> None:
    rows = [ConsumerMember("a", assignor="range"), ConsumerMember("b", assignor="uniform"), ConsumerMember("c")]
    assert group.preferred_assignor(rows[2:]) is None
    assert group.preferred_assignor([*rows, rows[0]]) == "range"


def test_classic_members(group: ConsumerGroup) -> None:
    assert not group.supports_classic("consumer", [])
    assert group.supports_classic("consumer", ["any"])
    group.put_member(ConsumerMember("a"))
    group.put_member(ConsumerMember("b", classic=CLASSIC))
    assert (group.classic_count, group.classic_protocols) == (1, {"range": 1, "sticky": 1})
    assert group.supports_classic("consumer", ["x", "sticky"])
    assert not group.supports_classic("consumer", ["x"])
    assert not group.supports_classic("connect", ["range"])
    group.remove_member("b")
    assert group.classic_protocols == {}


def test_waiting_for_others(group: ConsumerGroup) -> None:
    member = ConsumerMember("a", epoch=2, owned={T: {0: 2}})
    group.put_member(member)
    group.targets["a"] = {T: frozenset({0, 1})}
    assert not group.waits_for_others(member)
    group.put_member(ConsumerMember("b", epoch=1, owned={T: {1: 1}}))
    assert group.waits_for_others(member)


def test_nobody(group: ConsumerGroup) -> None:
    with pytest.raises(KafkaError, match=r"Member x is not a member of group g\."):
        group.member("x")
