"""State to records and back."""

from pykbroker.coordinator.group.consumer_group import ConsumerGroup, ResolvedPattern
from pykbroker.coordinator.group.consumer_member import ClassicMetadata, ConsumerMember, MemberState
from pykbroker.coordinator.group.consumer_records import (
    current_assignment_record,
    group_tombstones,
    member_metadata_record,
    member_tombstones,
    pattern_record,
    target_assignment_record,
    target_of,
    with_current_assignment,
    with_metadata,
)
from pykbroker.coordinator.log_records import decode_batches, encode_batch
from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.coordinator.timeline import Timeline
from tests.coordinator.group.consumer_plays import topic_id

T, U = topic_id("t"), topic_id("u")
MEMBER = ConsumerMember(
    "m",
    7,
    6,
    MemberState.UNREVOKED_PARTITIONS,
    "i",
    "r",
    9000,
    "client",
    "/10.0.0.1",
    frozenset({"t", "u"}),
    "x.*",
    "range",
    ClassicMetadata(100, (("range", b"a"), ("sticky", b""))),
    {T: {0: 5, 3: 7}},
    {U: {1: 2}},
)


def through_the_log(record: CoordinatorRecord) -> CoordinatorRecord:
    (entry, _) = decode_batches("group", bytes(encode_batch([record], 1, 0)))
    assert isinstance(entry.content, CoordinatorRecord)
    return entry.content


def test_a_member() -> None:
    for member in (MEMBER, ConsumerMember("m")):
        value = through_the_log(member_metadata_record("g", member)).value
        assert (
            with_metadata(ConsumerMember("m"), value)._replace(
                epoch=member.epoch,
                previous_epoch=member.previous_epoch,
                state=member.state,
                owned=member.owned,
                revoking=member.revoking,
            )
            == member
        )


def test_what_it_owns() -> None:
    value = through_the_log(current_assignment_record("g", MEMBER)).value
    assert with_current_assignment(MEMBER._replace(epoch=0, owned={}, revoking={}), value) == MEMBER


def test_before_assignments_had_epochs() -> None:
    value = current_assignment_record("g", MEMBER).value
    for row in value.assigned_partitions:  # type: ignore[union-attr]
        row.assignment_epochs = None
    assert with_current_assignment(ConsumerMember("m"), value).owned == {T: {0: 7, 3: 7}}


def test_a_state_of_a_newer_version() -> None:
    value = current_assignment_record("g", MEMBER).value
    value.state = 99  # type: ignore[union-attr]
    assert with_current_assignment(MEMBER, value).state == MemberState.UNKNOWN


def test_targets_and_patterns() -> None:
    target = {T: frozenset({2, 0})}
    assert target_of(through_the_log(target_assignment_record("g", "m", target)).value) == target
    value = through_the_log(pattern_record("g", "x.*", ResolvedPattern(frozenset({"b", "a"}), 3, 4))).value
    assert (value.topics, value.version, value.timestamp) == (["a", "b"], 3, 4)


def names(records: list[CoordinatorRecord]) -> list[str]:
    assert all(record.value is None for record in records)
    return [type(row.key).__name__.removeprefix("ConsumerGroup").removesuffix("Key") for row in records]


def test_the_end_of_a_member_and_of_a_group() -> None:
    of_member = ["CurrentMemberAssignment", "TargetAssignmentMember", "MemberMetadata"]
    assert names(member_tombstones("g", "m")) == of_member
    group = ConsumerGroup("g", Timeline())
    assert names(group_tombstones(group)) == ["TargetAssignmentMetadata", "PartitionMetadata", "Metadata"]
    group.put_member(MEMBER)
    group.patterns["x.*"] = ResolvedPattern(frozenset(), 1, 1)
    records = group_tombstones(group, {"m": "n"})
    assert names(records) == [
        *of_member[:2],
        "TargetAssignmentMetadata",
        of_member[2],
        "RegularExpression",
        "PartitionMetadata",
        "Metadata",
    ]
    assert {getattr(row.key, "member_id", "n") for row in records} == {"n"}
