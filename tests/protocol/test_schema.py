"""schemas.json, loaded: what the JSON form and `wire show` know of a message."""

from pykbroker.protocol.lookup import request_class
from pykbroker.protocol.schema import NEVER_FLEXIBLE, removed_apis, schemas


def test_a_message() -> None:
    schema = schemas()["FetchRequest"]
    assert (schema.kind, schema.key, schema.lowest, schema.highest, schema.flexible_from) == ("request", 1, 4, 18, 12)
    assert schema.message_class() is request_class(1)
    fields = {field.name: field for field in schema.fields}
    assert (fields["ClusterId"].tag, fields["ClusterId"].nullable, fields["ClusterId"].json_name) == (
        0, (12, 18), "clusterId",
    )  # fmt: skip
    assert (fields["ReplicaId"].present, fields["ReplicaId"].shown_type, fields["ReplicaId"].type) == (
        (4, 14), "brokerId", "int32",
    )  # fmt: skip
    assert fields["Topics"].array
    assert [field.name for field in schema.structs["FetchTopic"]] == ["Topic", "TopicId", "Partitions"]
    assert fields["ClusterId"].may_be_null(12)
    assert not fields["MaxBytes"].may_be_null(12)


def test_all_there() -> None:
    assert len(schemas()) == 273
    assert schemas()["InitProducerIdRequest"].unstable == 6
    assert schemas()["SaslHandshakeRequest"].flexible_from == NEVER_FLEXIBLE
    assert removed_apis() == {"LeaderAndIsr": 4, "StopReplica": 5, "UpdateMetadata": 6, "ControlledShutdown": 7}
    header = {field.name: field for field in schemas()["RequestHeader"].fields}
    assert header["ClientId"].never_compact


def test_attributes_are_those_of_the_classes() -> None:
    for schema in schemas().values():
        for name, fields in schema.structs.items():
            struct = schema.struct_class(name)
            assert [field.attribute for field in fields] == list(struct.__slots__)
