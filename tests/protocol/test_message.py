"""What all generated messages have in common: defaults, equality, repr, versions, fields that a version lacks."""

import pytest

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.ids import ZERO_UUID, Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.lookup import message_class
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.fetch import FetchRequest, FetchResponse, FetchTopic
from pykbroker.protocol.messages.heartbeat import HeartbeatRequest
from pykbroker.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pykbroker.protocol.messages.offset_fetch import OffsetFetchRequest
from pykbroker.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from pykbroker.protocol.schema import schemas


def test_defaults_are_fresh_and_kafkas() -> None:
    one, other = FetchRequest(), FetchRequest()
    assert (one.replica_id, one.max_bytes, one.session_epoch, one.rack_id) == (-1, 0x7FFFFFFF, -1, "")
    assert one.topics == []
    assert one.topics is not other.topics
    assert one.replica_state is not other.replica_state
    assert FetchTopic().topic_id == ZERO_UUID
    assert ProduceRequest().transactional_id is None  # its default is null
    assert MetadataRequest().topics == []  # nullable, and its default is not null
    assert MetadataRequest(topics=None).topics is None


def test_equality_and_repr() -> None:
    one = HeartbeatRequest(group_id="a", generation_id=1)
    assert one == HeartbeatRequest(group_id="a", generation_id=1, unknown_tags=[])
    assert one != HeartbeatRequest(group_id="a")
    assert one != HeartbeatRequest(group_id="a", generation_id=1, unknown_tags=[(1, b"x")])
    assert one != FetchRequest()
    assert repr(one) == "HeartbeatRequest(group_id='a', generation_id=1, member_id='', group_instance_id=None)"
    assert "unknown_tags=[(1, b'x')]" in repr(HeartbeatRequest(unknown_tags=[(1, b"x")]))
    with pytest.raises(TypeError):
        hash(one)


def test_no_attribute_but_the_fields() -> None:
    with pytest.raises(AttributeError):
        HeartbeatRequest().groupid = "a"  # type: ignore[attr-defined]


@pytest.mark.parametrize("version", [-1, 5])
def test_versions_without_a_schema(version: int) -> None:
    for attempt in (lambda: HeartbeatRequest.decode(b"", version), lambda: HeartbeatRequest().encode(version)):
        with pytest.raises(KafkaError, match="0 to 4") as caught:
            attempt()
        assert caught.value.code == ErrorCode.UNSUPPORTED_VERSION


def test_fields_that_a_version_lacks() -> None:
    with pytest.raises(KafkaError, match="group_instance_id") as caught:
        HeartbeatRequest(group_instance_id="static").encode(2)
    assert caught.value.code == ErrorCode.UNSUPPORTED_VERSION
    HeartbeatRequest(group_instance_id="static").encode(3)
    with pytest.raises(KafkaError, match="require_stable"):
        OffsetFetchRequest(require_stable=True).encode(6)
    assert FetchRequest(rack_id="may be dropped").encode(10) == FetchRequest().encode(10)


def test_null_where_a_version_has_none() -> None:
    with pytest.raises(KafkaError, match="topics is null"):
        MetadataRequest(topics=None).encode(0)
    with pytest.raises(MalformedFrame):
        OffsetFetchRequest.decode(bytes.fromhex("0000ffffffff"), 1)
    assert OffsetFetchRequest.decode(bytes.fromhex("0000ffffffff"), 2)[0].topics is None


def test_values_that_do_not_fit_are_our_bug() -> None:
    for request in (
        HeartbeatRequest(generation_id=2**31),
        HeartbeatRequest(group_id="x" * 32768),
        HeartbeatRequest(group_id="\ud800"),
    ):
        for version in (0, 4):
            with pytest.raises(ValueError, match="HeartbeatRequest v"):
                request.encode(version)


def test_records_are_slices_of_the_buffer() -> None:
    data = TopicProduceData(name="t", partition_data=[PartitionProduceData(index=0, records=b"batch")])
    raw = ProduceRequest(topic_data=[data]).encode(9)
    request, _ = ProduceRequest.decode(raw, 9)
    records = request.topic_data[0].partition_data[0].records
    assert isinstance(records, memoryview)
    raw[raw.index(b"batch")] = ord("m")
    assert bytes(records) == b"match"


def test_other_fields_do_not_keep_the_buffer() -> None:
    raw = bytearray(MetadataRequest(topics=[MetadataRequestTopic(topic_id=Uuid(16 * b"\1"), name=None)]).encode(12))
    request, _ = MetadataRequest.decode(memoryview(raw), 12)
    raw[:] = bytes(len(raw))
    assert request.topics is not None
    assert request.topics[0].topic_id == Uuid(16 * b"\1")


def test_unknown_tags_of_every_struct_survive() -> None:
    topic = MetadataRequestTopic(name="t", unknown_tags=[(7, b"deep")])
    request = MetadataRequest(topics=[topic], unknown_tags=[(9, b"top")])
    decoded, _ = MetadataRequest.decode(request.encode(12), 12)
    assert decoded == request
    response = FetchResponse(unknown_tags=[(0, b"not ours")])  # tag 0 has no meaning before version 16
    assert FetchResponse.decode(response.encode(12), 12)[0].unknown_tags == [(0, b"not ours")]


def test_known_tag_of_the_wrong_size() -> None:
    raw = FetchRequest(cluster_id="abc").encode(12)
    at = raw.rindex(b"\x00\x04\x04abc")
    assert FetchRequest.decode(raw, 12)[0].cluster_id == "abc"
    for size in (3, 5):
        raw[at + 1] = size
        with pytest.raises(MalformedFrame):
            FetchRequest.decode(raw + bytes(size - 4 if size > 4 else 0), 12)


def test_every_message_names_its_limits() -> None:
    for schema in schemas().values():
        message: type[Message] = schema.message_class()
        limits = (message.MIN_VERSION, message.MAX_VERSION, message.FLEXIBLE_FROM)
        assert limits == (schema.lowest, schema.highest, schema.flexible_from)
        named = (-1 if schema.key is None else schema.key, message.__name__)
        assert named == (message.API_KEY, schema.name)
        for version in range(schema.lowest, schema.highest + 1):
            assert message.decode(message().encode(version), version)[0] == message()
        if schema.kind not in ("request", "response"):
            assert message_class(schema.name) is message
