"""State → records in Kafka's versions; what they lose, memory may not know."""

from pykbroker.coordinator.group import group_records as records
from pykbroker.coordinator.group.classic import loaded_group
from pykbroker.ids import ZERO_UUID, Uuid
from pykbroker.protocol.persisted.group.group_metadata import GroupMetadataKey, GroupMetadataValue
from pykbroker.protocol.persisted.group.offset_commit import OffsetCommitKey, OffsetCommitValue
from tests.coordinator.group.plays import GroupPlay, stable

TOPIC_ID = Uuid(15 * b"\1" + b"\1")


def test_a_group() -> None:
    play = GroupPlay()
    play << stable("a", "b", protocols={"range": b"meta", "sticky": b"other"})
    group = play.group
    assignments = {member.member_id: member.assignment for member in group.members.values()}
    record = records.classic_group_record(group, assignments)
    assert (record.key, record.version) == (GroupMetadataKey(group="g"), 3)
    value = record.value
    assert isinstance(value, GroupMetadataValue)
    assert (value.protocol_type, value.generation, value.protocol, value.leader) == ("consumer", 1, "range", "a-1")
    assert [(row.member_id, row.subscription, row.assignment) for row in value.members] == [
        ("a-1", b"meta", b"a"),
        ("b-2", b"meta", b"b"),
    ]
    again = loaded_group("g", value)
    assert (again.state, again.leader_id, again.supported) == ("Stable", "a-1", {"range": 2})


def test_old_members_without_rebalance_timeout_have_their_session_timeout() -> None:
    play = GroupPlay()
    play << stable("a", session=7000)
    value = records.classic_group_record(play.group, {play.ids["a"]: b""}).value
    assert isinstance(value, GroupMetadataValue)
    value.members[0].rebalance_timeout = -1
    assert loaded_group("g", value).rebalance_timeout_ms == 7000


def test_an_offset() -> None:
    record = records.offset_record(
        "g", "t", 1, offset=5, leader_epoch=3, metadata="m", committed_at=100, topic_id=TOPIC_ID
    )
    assert record.key == OffsetCommitKey(group="g", topic="t", partition=1)
    assert record.version == 4
    expected = OffsetCommitValue(offset=5, leader_epoch=3, metadata="m", commit_timestamp=100, topic_id=TOPIC_ID)
    assert record.value == expected


def test_an_offset_that_expires_is_of_a_version_without_epoch_and_topic_id() -> None:
    record = records.offset_record(
        "g", "t", 1, offset=5, leader_epoch=3, metadata="m", committed_at=100, expires_at=200, topic_id=TOPIC_ID
    )
    assert record.version == 1
    assert isinstance(record.value, OffsetCommitValue)
    assert (record.value.expire_timestamp, record.value.leader_epoch, record.value.topic_id) == (200, -1, ZERO_UUID)
    decoded, _ = OffsetCommitValue.decode(bytes(record.value.encode(1)), 1)
    assert decoded == record.value


def test_tombstones() -> None:
    assert records.offset_tombstone("g", "t", 1).value is None
    assert records.classic_group_tombstone("g") == (GroupMetadataKey(group="g"), None, 0)
