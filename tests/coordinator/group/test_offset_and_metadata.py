"""One committed offset."""

from pykbroker.coordinator.group.offset_and_metadata import OffsetAndMetadata
from pykbroker.ids import ZERO_UUID, Uuid


def test_it_belongs_to_a_topic_by_id_unless_one_is_unknown() -> None:
    one, two = Uuid(15 * b"\1" + b"\1"), Uuid(15 * b"\1" + b"\2")
    offset = OffsetAndMetadata(1, topic_id=one)
    assert offset.is_of(one)
    assert offset.is_of(ZERO_UUID)
    assert not offset.is_of(two)
    assert OffsetAndMetadata(1).is_of(two)
