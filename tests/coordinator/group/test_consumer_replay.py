"""Records to groups, whatever compaction has left of them."""

from typing import Any

import pytest

from pykbroker.coordinator.group.classic_group import ClassicGroup
from pykbroker.coordinator.group.consumer_group import ConsumerGroup, ResolvedPattern
from pykbroker.coordinator.group.consumer_member import ConsumerMember
from pykbroker.coordinator.group.consumer_records import (
    current_assignment_record,
    group_epoch_record,
    group_tombstones,
    member_metadata_record,
    member_tombstones,
    partition_metadata_tombstone,
    pattern_record,
    pattern_tombstone,
    target_assignment_record,
    target_epoch_record,
)
from pykbroker.coordinator.group.consumer_replay import CONSUMER_REPLAY
from pykbroker.coordinator.group.group_records import classic_group_tombstone
from pykbroker.coordinator.group.groups import Groups
from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.coordinator.timeline import Timeline
from pykbroker.protocol.persisted.group.consumer_group_partition_metadata import ConsumerGroupPartitionMetadataValue
from tests.coordinator.group.consumer_plays import topic_id

T = topic_id("t")
MEMBER = ConsumerMember("m", 2, 1, topics=frozenset({"t"}), owned={T: {0: 2}})


class Replay:
    def __init__(self) -> None:
        self.timeline = Timeline()
        self.groups = Groups(self.timeline)

    def __call__(self, *records: CoordinatorRecord) -> Any:
        for record in records:
            CONSUMER_REPLAY.replay(self.groups, self.timeline, record)
        return self.groups.get("g")


@pytest.fixture
def replay() -> Replay:
    return Replay()


def test_a_whole_group_and_its_end(replay: Replay) -> None:
    group = replay(
        group_epoch_record("g", 2, 77),
        member_metadata_record("g", MEMBER),
        target_assignment_record("g", "m", {T: frozenset({0})}),
        target_epoch_record("g", 2, 1234),
        current_assignment_record("g", MEMBER),
        pattern_record("g", "x", ResolvedPattern(frozenset({"t"}), 1, 2)),
    )
    assert isinstance(group, ConsumerGroup)
    assert (group.members["m"], group.targets["m"], group.epochs) == (MEMBER, {T: frozenset({0})}, (2, 77, 2, 1234))
    assert group.patterns["x"].topics == {"t"}
    assert replay(pattern_tombstone("g", "x")) is group
    assert not len(group.patterns)
    replay(*member_tombstones("g", "m"))
    assert group.is_empty
    assert not len(group.targets)
    assert replay(*group_tombstones(group)) is None


def test_an_assignment_without_its_member(replay: Replay) -> None:
    group = replay(current_assignment_record("g", MEMBER))
    assert group.partition_epochs == {(T, 0): 2}
    assert replay(member_tombstones("g", "m")[0]).members["m"].epoch == -1


def test_tombstones_of_nothing(replay: Replay) -> None:
    assert replay(*member_tombstones("g", "m"), pattern_tombstone("g", "x")) is None


def test_offsets_read_before_made_a_simple_group(replay: Replay) -> None:
    replay.groups.put(ClassicGroup("g", 0))
    assert isinstance(replay(group_epoch_record("g", 2, 0)), ConsumerGroup)


def test_a_classic_group_is_not_replaced(replay: Replay) -> None:
    classic = ClassicGroup("g", 0)
    classic.protocol_type = "consumer"
    replay.groups.put(classic)
    assert replay(group_epoch_record("g", 2, 0)) is classic


def test_what_kafka_wrote_before_4_1(replay: Replay) -> None:
    key = partition_metadata_tombstone("g").key
    group = replay(CoordinatorRecord(key, ConsumerGroupPartitionMetadataValue(topics=[])))
    assert group.has_partition_metadata
    assert not replay(partition_metadata_tombstone("g")).has_partition_metadata


def test_whose_records_they_are() -> None:
    assert CONSUMER_REPLAY.concerns(group_epoch_record("g", 1, 0))
    assert not CONSUMER_REPLAY.concerns(classic_group_tombstone("g"))
