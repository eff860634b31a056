"""Runs of partitions, topic by topic."""

from pykbroker.coordinator.group.assignor_range import assign_range
from pykbroker.coordinator.group.assignor_spec import GroupSpec, SpecMember
from tests.coordinator.group.consumer_plays import topic_id

T, U = topic_id("t"), topic_id("u")


def member(*topics: str, instance: str | None = None) -> SpecMember:
    return SpecMember(frozenset(map(topic_id, topics)), {}, instance)


def test_the_first_ones_get_one_more() -> None:
    spec = GroupSpec({"b": member("t", "u"), "a": member("t", "u")}, {T: 3, U: 1})
    assert assign_range(spec) == {"a": {T: {0, 1}, U: {0}}, "b": {T: {2}}}


def test_static_members_come_first_by_their_instance() -> None:
    spec = GroupSpec({"a": member("t"), "z": member("t", instance="2"), "b": member("t", instance="3")}, {T: 3})
    assert assign_range(spec) == {"z": {T: {0}}, "b": {T: {1}}, "a": {T: {2}}}


def test_only_subscribers_get_any() -> None:
    spec = GroupSpec({"a": member("t", "u"), "b": member("u"), "c": member()}, {T: 2, U: 4})
    assert assign_range(spec) == {"a": {T: {0, 1}, U: {0, 1}}, "b": {U: {2, 3}}, "c": {}}


def test_nobody() -> None:
    assert assign_range(GroupSpec({}, {})) == {}
