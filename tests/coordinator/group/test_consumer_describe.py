"""How a group looks to an administrator."""

from pykbroker.coordinator.group.consumer_describe import described_consumer
from pykbroker.coordinator.group.consumer_group import ConsumerGroup
from pykbroker.coordinator.group.consumer_member import ClassicMetadata, ConsumerMember
from pykbroker.coordinator.group.modern_group import Epochs
from pykbroker.coordinator.timeline import Timeline
from tests.coordinator.group.consumer_plays import topic_id, topics_image

T, GONE = topic_id("t"), topic_id("gone")


def test_only_what_is_committed_and_exists() -> None:
    timeline = Timeline()
    group = ConsumerGroup("g", timeline)
    group.epochs = Epochs(group=3, assignment=2)
    member = ConsumerMember("a", 2, owned={T: {1: 1}, GONE: {0: 1}}, revoking={T: {0: 1}}, topics=frozenset({"u", "t"}))
    group.put_member(member._replace(assignor="range"))
    group.targets["a"] = {T: frozenset({1})}
    timeline.commit(1)
    timeline.offset = 1
    group.put_member(ConsumerMember("b", classic=ClassicMetadata(1, ())))
    row = described_consumer(group, "uniform", topics_image({"t": 2}).topics)
    assert (row.group_state, row.group_epoch, row.assignment_epoch, row.assignor_name) == ("Assigning", 3, 2, "range")
    (told,) = row.members
    assert (told.member_id, told.member_type, told.subscribed_topic_names) == ("a", 1, ["t", "u"])
    (owned,) = told.assignment.topic_partitions
    assert (owned.topic_id, owned.topic_name, owned.partitions) == (T, "t", [0, 1])
    (target,) = told.target_assignment.topic_partitions
    assert target.partitions == [1]
    timeline.commit(2)
    row = described_consumer(group, "uniform", topics_image({"t": 2}).topics)
    assert [member.member_type for member in row.members] == [1, 0]
