"""Even loads, and as few moves as they allow."""

from hypothesis import given
from hypothesis import strategies as st

from pykbroker.coordinator.group.assignor_spec import Assignment, GroupSpec, SpecMember
from pykbroker.coordinator.group.assignor_uniform import assign_uniform
from pykbroker.ids import Uuid
from tests.coordinator.group.consumer_plays import topic_id

T, U = topic_id("t"), topic_id("u")


def spec(sizes: dict[Uuid, int], targets: dict[str, dict[Uuid, set[int]]]) -> GroupSpec:
    topics = frozenset(sizes)
    members = {
        name: SpecMember(topics, {key: frozenset(rows) for key, rows in target.items()})
        for name, target in targets.items()
    }
    return GroupSpec(members, sizes)


def total(assignment: Assignment) -> list[tuple[Uuid, int]]:
    return sorted((key, p) for rows in assignment.values() for key, indexes in rows.items() for p in indexes)


def test_from_nothing() -> None:
    assert assign_uniform(spec({T: 4}, {"a": {}, "b": {}})) == {"a": {T: {0, 1}}, "b": {T: {2, 3}}}


def test_a_new_member_takes_from_the_others_what_is_its_share() -> None:
    assignment = assign_uniform(spec({T: 3}, {"a": {T: {0, 1, 2}}, "b": {}}))
    assert assignment == {"a": {T: {0, 1}}, "b": {T: {2}}}


def test_topics_and_partitions_that_are_gone() -> None:
    assignment = assign_uniform(spec({T: 2}, {"a": {T: {0, 5}, U: {0}}, "b": {}}))
    assert total(assignment) == [(T, 0), (T, 1)]
    assert assignment["a"] == {T: {0}}


def test_nothing_subscribed_to() -> None:
    assert assign_uniform(spec({}, {"a": {T: {1}}})) == {"a": {}}
    assert assign_uniform(GroupSpec({}, {})) == {}


def test_two_members_that_had_the_same() -> None:
    """Scenario 27."""
    assignment = assign_uniform(spec({T: 4}, {"a": {T: {0, 1, 2}}, "b": {T: {1, 2, 3}}}))
    assert assignment == {"a": {T: {0, 1}}, "b": {T: {2, 3}}}


@given(st.integers(1, 9), st.integers(0, 5), st.lists(st.sets(st.integers(0, 13)), min_size=1, max_size=5))
def test_whatever_the_members_claim(t: int, u: int, claims: list[set[int]]) -> None:
    """Scenario 27, KAFKA-12984: one partition claimed by many, or gone; each gets one owner, and loads are even."""
    targets = {
        f"m{i}": {T: {p for p in claim if p < 9}, U: {p - 9 for p in claim if p >= 9}} for i, claim in enumerate(claims)
    }
    assignment = assign_uniform(spec({T: t, U: u}, targets))
    assert total(assignment) == [*((T, p) for p in range(t)), *((U, p) for p in range(u))]
    loads = [sum(map(len, rows.values())) for rows in assignment.values()]
    assert max(loads) - min(loads) <= 1


@given(st.integers(1, 12), st.integers(0, 9), st.lists(st.integers(0, 5), min_size=21, max_size=21))
def test_balance_then_stickiness(t: int, u: int, owners: list[int]) -> None:
    names = ["a", "b", "c", "d"]
    targets: dict[str, dict[Uuid, set[int]]] = {name: {} for name in names}
    partitions = [(T, p) for p in range(t)] + [(U, p) for p in range(u)]
    for (key, partition), owner in zip(partitions, owners, strict=False):
        if owner < len(names):
            targets[names[owner]].setdefault(key, set()).add(partition)
    assignment = assign_uniform(spec({T: t, U: u}, targets))
    assert total(assignment) == sorted(partitions)
    loads = {name: sum(map(len, assignment[name].values())) for name in names}
    assert max(loads.values()) - min(loads.values()) <= 1
    for name in names:
        had = sum(map(len, targets[name].values()))
        kept = sum(len(rows & targets[name].get(key, set())) for key, rows in assignment[name].items())
        assert kept >= min(had, min(loads.values()))
