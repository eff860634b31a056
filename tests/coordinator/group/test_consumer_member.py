"""Members as values."""

from pykbroker.coordinator.group.consumer_member import (
    ConsumerMember,
    MemberState,
    pairs,
    with_epoch,
    without_epochs,
)
from tests.coordinator.group.consumer_plays import topic_id

T, U = topic_id("t"), topic_id("u")


def test_epochs() -> None:
    member = ConsumerMember("m", epoch=3)
    assert member.is_reconciled_to(3)
    assert not member.is_reconciled_to(4)
    assert not member._replace(state=MemberState.UNRELEASED_PARTITIONS).is_reconciled_to(3)
    assert (member.moved_to(5).epoch, member.moved_to(5).previous_epoch) == (5, 3)
    assert member.moved_to(3).previous_epoch == 3


def test_since_when_it_holds_a_partition() -> None:
    member = ConsumerMember("m", owned={T: {0: 4}}, revoking={U: {1: 2}})
    assert (member.assignment_epoch(T, 0), member.assignment_epoch(U, 1)) == (4, 2)
    assert (member.assignment_epoch(T, 1), member.assignment_epoch(U, 0)) == (None, None)


def test_with_and_without_epochs() -> None:
    owned = with_epoch({T: frozenset({1, 0})}, 7)
    assert owned == {T: {0: 7, 1: 7}}
    assert without_epochs(owned) == {T: frozenset({0, 1})}
    assert sorted(pairs(owned)) == [(T, 0), (T, 1)]
