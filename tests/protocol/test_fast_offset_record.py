"""The hand-written encoder of an offset commit's record says what the generated one says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.coordinator.log_records import FrameRecord
from pykbroker.ids import ZERO_UUID, Uuid
from pykbroker.protocol.coordinator_records import frame_record
from pykbroker.protocol.fast_offset_record import OFFSET_COMMIT, VALUE_VERSION, frame_group_record
from pykbroker.protocol.message import Message
from pykbroker.protocol.persisted.group.group_metadata import GroupMetadataKey, GroupMetadataValue
from pykbroker.protocol.persisted.group.offset_commit import OffsetCommitKey, OffsetCommitValue
from tests.protocol.test_fast_produce import int32, int64, names, tags, uuids

# Lengths on both sides of what takes one byte.
texts = names | st.integers(120, 135).map(lambda size: "x" * size)


def framed(frame: FrameRecord, key: Message, value: Message | None, version: int) -> object:
    try:
        return frame(key, value, version)
    except ValueError as error:
        return str(error)


def assert_framed_alike(key: Message, value: Message | None, version: int) -> None:
    assert framed(frame_group_record, key, value, version) == framed(frame_record, key, value, version)


def test_the_record_of_an_offset_is_framed_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    key, value = OffsetCommitKey("g", "t", 3), OffsetCommitValue(5, 2, "note", 9, topic_id=Uuid.random())
    expected = frame_record(key, value, VALUE_VERSION)
    monkeypatch.setattr(OffsetCommitValue, "encode_into", None)
    assert frame_group_record(key, value, VALUE_VERSION) == expected
    assert key.API_KEY == OFFSET_COMMIT


@pytest.mark.parametrize("version", range(5))
def test_every_version_and_tombstones_are_framed_alike(version: int) -> None:
    key = OffsetCommitKey("g", "t", 3)
    assert_framed_alike(key, OffsetCommitValue(5, -1, "note", 9), version)
    assert_framed_alike(key, None, version)
    assert_framed_alike(GroupMetadataKey("g"), GroupMetadataValue(protocol_type="consumer"), min(version, 3))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_random_records_are_framed_alike(data: st.DataObject) -> None:
    wide, ids = int64 | st.just(1 << 63), names | st.just("x" * 40_000) | st.just("\ud800")
    key = data.draw(st.builds(OffsetCommitKey, ids, ids, int32 | st.just(1 << 31)))
    fields = (
        wide,
        int32 | st.just(1 << 31),
        texts | ids,
        wide,
        st.just(-1),
        uuids | st.just(ZERO_UUID),
        st.none() | tags,
    )
    assert_framed_alike(key, data.draw(st.builds(OffsetCommitValue, *fields)), VALUE_VERSION)
