"""One step of a member towards its target assignment."""

import pytest

from pykbroker.coordinator.group.consumer_member import ConsumerMember, MemberState
from pykbroker.coordinator.group.reconciliation import Step, reconcile
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.group.consumer_plays import topic_id

T, U = topic_id("t"), topic_id("u")
STABLE, UNREVOKED, UNRELEASED = MemberState.STABLE, MemberState.UNREVOKED_PARTITIONS, MemberState.UNRELEASED_PARTITIONS


def step(
    epoch: int,
    target: set[int],
    reported: set[int] | None = None,
    taken: set[int] = frozenset(),  # type: ignore[assignment]
    topics: str = "t",
    changed: bool = False,
) -> Step:
    """All about topic t; `taken`: partitions that other members own."""
    return Step(
        epoch,
        {T: frozenset(target)},
        frozenset(map(topic_id, topics)),
        {(T, partition): 1 for partition in taken},
        None if reported is None else {T: frozenset(reported)},
        changed,
    )


def member(
    epoch: int, *owned: int, state: MemberState = STABLE, revoking: dict[int, int] | None = None
) -> ConsumerMember:
    return ConsumerMember(
        "m",
        epoch,
        epoch,
        state,
        owned={T: dict.fromkeys(owned, epoch)} if owned else {},
        revoking={T: revoking} if revoking else {},
    )


def looks(found: ConsumerMember) -> tuple[object, ...]:
    return found.epoch, found.previous_epoch, found.state, dict(found.owned.get(T, {})), dict(found.revoking.get(T, {}))


def test_nothing_to_do() -> None:
    there = member(5, 0)
    assert reconcile(there, step(5, {0, 1})) is there


def test_it_gets_what_is_free() -> None:
    assert looks(reconcile(member(5, 0), step(6, {0, 1}))) == (6, 5, STABLE, {0: 5, 1: 6}, {})


def test_it_waits_for_what_is_not() -> None:
    waiting = reconcile(member(5, 0), step(6, {0, 1, 2}, taken={0, 1}))
    assert looks(waiting) == (6, 5, UNRELEASED, {0: 5, 2: 6}, {})
    again = reconcile(waiting, step(6, {0, 1, 2}, taken={0, 1, 2}))
    assert looks(again) == (6, 6, UNRELEASED, {0: 5, 2: 6}, {})
    assert reconcile(again, step(6, {0, 1, 2}, taken={0, 1, 2})) == again
    assert looks(reconcile(again, step(6, {0, 1, 2}, taken={0, 2}))) == (6, 6, STABLE, {0: 5, 2: 6, 1: 6}, {})


def test_it_gives_back_first() -> None:
    giving = reconcile(member(5, 0, 1), step(6, {1, 2}, {0, 1}))
    assert looks(giving) == (5, 5, UNREVOKED, {1: 5}, {0: 5})
    assert reconcile(giving, step(6, {1, 2}, {0, 1})) is giving
    assert reconcile(giving, step(6, {1, 2})) is giving
    taken = {0, 1}
    assert looks(reconcile(giving, step(6, {1, 2}, {1}, taken))) == (6, 5, STABLE, {1: 5, 2: 6}, {})


def test_what_it_gave_back_may_become_its_own_again() -> None:
    giving = member(5, 1, state=UNREVOKED, revoking={0: 5})
    assert looks(reconcile(giving, step(7, {0, 1}, {1}, {0, 1}))) == (7, 5, STABLE, {1: 5, 0: 7}, {})


def test_what_it_does_not_own_any_more_need_not_be_given_back() -> None:
    assert looks(reconcile(member(5, 0, 1), step(6, {1}, {1}))) == (6, 5, STABLE, {1: 5}, {})


def test_topics_it_left_are_taken_at_once() -> None:
    left = reconcile(member(5, 0), step(5, {0}, {0}, topics="u", changed=True))
    assert looks(left) == (5, 5, UNREVOKED, {}, {0: 5})
    assert looks(reconcile(member(5, 0), step(5, {0}, set(), topics="u", changed=True))) == (5, 5, STABLE, {}, {})
    same = member(5, 0)
    assert reconcile(same, step(5, {0}, {0}, changed=True)) is same
    giving = member(5, 1, state=UNREVOKED, revoking={0: 5})
    more = reconcile(giving, step(6, {1}, {0, 1}, topics="u", changed=True))
    assert looks(more) == (5, 5, UNREVOKED, {}, {0: 5, 1: 5})


def test_targets_it_does_not_subscribe_to_are_not_given() -> None:
    assert looks(reconcile(member(5), step(6, {0}, set(), topics="u"))) == (6, 5, STABLE, {}, {})


def test_a_state_of_a_newer_version() -> None:
    unknown = member(5, 0, state=MemberState.UNKNOWN)
    for reported in (None, {0}):
        with pytest.raises(KafkaError) as caught:
            reconcile(unknown, step(6, {0}, reported))
        assert caught.value.code == E.FENCED_MEMBER_EPOCH
    unknown = unknown._replace(owned={})
    empty = step(6, {0}, set())._replace(reported={})
    assert looks(reconcile(unknown, empty)) == (6, 5, STABLE, {0: 6}, {})
