"""What is stored of a new target assignment, and what each assignor is told."""

from pykbroker.coordinator.group.assignor_spec import Assignment, GroupSpec
from pykbroker.coordinator.group.consumer_group import ConsumerGroup, ResolvedPattern
from pykbroker.coordinator.group.consumer_member import ConsumerMember
from pykbroker.coordinator.group.target_assignment import ASSIGNORS, topic_ids, update_target
from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.coordinator.timeline import Timeline
from tests.coordinator.group.consumer_plays import topic_id, topics_image

T, U = topic_id("t"), topic_id("u")
TOPICS = topics_image({"t": 2, "u": 1}).topics


def of(record: CoordinatorRecord) -> tuple[str, object]:
    key, value = record.key, record.value
    if hasattr(key, "member_id"):
        return key.member_id, {row.topic_id: row.partitions for row in value.topic_partitions}  # type: ignore[union-attr]
    return "epoch", (value.assignment_epoch, value.assignment_timestamp)  # type: ignore[union-attr]


def test_only_what_has_changed_is_stored() -> None:
    group = ConsumerGroup("g", Timeline())
    a, b = ConsumerMember("a", topics=frozenset({"t"})), ConsumerMember("b", topics=frozenset({"t"}))
    group.put_member(a)
    group.targets["a"] = {T: frozenset({0})}
    records: list[CoordinatorRecord] = []
    assert update_target(group, b, 5, ASSIGNORS["uniform"], TOPICS, 99, records) == {T: {1}}
    assert list(map(of, records)) == [("b", {T: [1]}), ("epoch", (5, 99))]


def test_what_the_assignor_is_told() -> None:
    told: list[GroupSpec] = []

    def assignor(spec: GroupSpec) -> Assignment:
        told.append(spec)
        return {"b": {T: {1}, U: set()}}

    group = ConsumerGroup("g", Timeline())
    group.put_member(ConsumerMember("a", topics=frozenset({"gone"}), regex="u.*", instance_id="i", rack_id="r"))
    group.targets["a"] = {T: frozenset({0, 1})}
    group.patterns["u.*"] = ResolvedPattern(frozenset({"u"}), 1, 1)
    member = ConsumerMember("b", topics=frozenset({"t"}))
    records: list[CoordinatorRecord] = []
    assert update_target(group, member, 5, assignor, TOPICS, 0, records) == {T: {1}}
    (spec,) = told
    assert spec.sizes == {T: 2, U: 1}
    assert spec.members["a"] == ({U}, {T: {0, 1}}, "i", "r")
    assert spec.members["b"] == ({T}, {}, None, None)
    assert list(map(of, records)) == [("a", {}), ("b", {T: [1]}), ("epoch", (5, 0))]


def test_ids_of_topics_that_exist() -> None:
    assert topic_ids(frozenset({"t", "gone"}), TOPICS) == {T}
