"""Members with different subscriptions: nobody gets what it does not want, loads are as even as that allows."""

from hypothesis import given
from hypothesis import strategies as st

from pykbroker.coordinator.group.assignor_mixed import assign_mixed
from pykbroker.coordinator.group.assignor_spec import GroupSpec, SpecMember
from pykbroker.ids import Uuid
from tests.coordinator.group.consumer_plays import topic_id

T, U, V = topic_id("t"), topic_id("u"), topic_id("v")


def member(topics: str, **target: set[int]) -> SpecMember:
    return SpecMember(
        frozenset(map(topic_id, topics)), {topic_id(name): frozenset(rows) for name, rows in target.items()}
    )


def test_who_can_take_only_one_topic_gets_it() -> None:
    spec = GroupSpec({"a": member("tu"), "b": member("u")}, {T: 2, U: 2})
    assert assign_mixed(spec) == {"a": {T: {0, 1}}, "b": {U: {0, 1}}}


def test_what_is_not_subscribed_to_is_given_away() -> None:
    spec = GroupSpec({"a": member("t", t={0}, u={0, 1}), "b": member("u")}, {T: 1, U: 2})
    assert assign_mixed(spec) == {"a": {T: {0}}, "b": {U: {0, 1}}}


def test_loads_are_evened_out() -> None:
    spec = GroupSpec({"a": member("tu", t={0, 1, 2, 3}), "b": member("t"), "c": member("u")}, {T: 4, U: 1})
    assignment = assign_mixed(spec)
    assert assignment["a"][T] < {0, 1, 2, 3}
    assert (len(assignment["a"][T]), len(assignment["b"][T]), assignment["c"]) == (2, 2, {U: {0}})


def test_a_partition_that_is_gone() -> None:
    spec = GroupSpec({"a": member("t", t={0, 7}), "b": member("u")}, {T: 1, U: 1})
    assert assign_mixed(spec) == {"a": {T: {0}}, "b": {U: {0}}}


@given(st.lists(st.tuples(st.sampled_from(["t", "u", "tu"]), st.sets(st.integers(0, 5))), min_size=1, max_size=5))
def test_whatever_the_members_claim(members: list[tuple[str, set[int]]]) -> None:
    """Scenario 27: one partition claimed by many, or by one that does not want it any more, or gone."""
    specs = {f"m{i}": member(topics, t=claim, u=claim) for i, (topics, claim) in enumerate(members)}
    sizes = dict.fromkeys(frozenset().union(*(row.topics for row in specs.values())), 4)
    assignment = assign_mixed(GroupSpec(specs, sizes))
    given = [(key, p) for rows in assignment.values() for key, indexes in rows.items() for p in indexes]
    assert sorted(given) == sorted((key, p) for key in sizes for p in range(4))
    assert all(set(rows) <= specs[name].topics for name, rows in assignment.items())


@given(st.data())
def test_any_subscriptions(data: st.DataObject) -> None:
    sizes = {T: data.draw(st.integers(0, 6)), U: data.draw(st.integers(0, 6)), V: data.draw(st.integers(1, 3))}
    topics = [data.draw(st.sets(st.sampled_from([T, U, V]))) for _ in range(data.draw(st.integers(1, 5)))]
    targets: list[dict[Uuid, set[int]]] = [{} for _ in topics]
    for key, size in sizes.items():
        for partition in range(size):
            owner = data.draw(st.integers(0, len(topics)))
            if owner < len(topics):
                targets[owner].setdefault(key, set()).add(partition)
    members = {
        f"m{i}": SpecMember(frozenset(topics[i]), {key: frozenset(rows) for key, rows in targets[i].items()})
        for i in range(len(topics))
    }
    subscribed = {key: sizes[key] for key in set().union(*topics)}
    assignment = assign_mixed(GroupSpec(members, subscribed))
    consumed = [(key, p) for rows in assignment.values() for key, indexes in rows.items() for p in indexes]
    assert sorted(consumed) == sorted((key, p) for key, size in subscribed.items() for p in range(size))
    loads = {name: sum(map(len, rows.values())) for name, rows in assignment.items()}
    for name, rows in assignment.items():
        assert set(rows) <= members[name].topics
        for key in rows:
            # Nobody else who could take one of its partitions has two fewer.
            assert all(loads[name] - loads[other] <= 1 for other in members if key in members[other].topics)
