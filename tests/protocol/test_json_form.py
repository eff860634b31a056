"""The JSON form refuses what does not fit the schema and says where; the golden lines are in test_golden.py."""

from typing import Any

import pytest

from pykbroker.errors import KafkaError
from pykbroker.protocol.json_form import from_json, tags_from_json, to_json
from pykbroker.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic

FETCH = {
    "replicaState": {"replicaId": 1, "replicaEpoch": 2},
    "maxWaitMs": 1, "minBytes": 1, "maxBytes": 1, "isolationLevel": 0, "sessionId": 0, "sessionEpoch": 0,
    "topics": [], "forgottenTopicsData": [], "rackId": "",
}  # fmt: skip
TOPIC = {"topicId": "AAAAAAAAAAAAAAAAAAAAAQ", "partitions": []}


def test_a_good_one() -> None:
    message = from_json("FetchRequest", 18, FETCH | {"topics": [TOPIC]})
    assert to_json(message, 18) == FETCH | {"topics": [TOPIC]}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"maxWaitMs": "1"}, "maxWaitMs: expected an integer, not '1'"),
        ({"maxWaitMs": True}, "maxWaitMs: expected an integer, not True"),
        ({"maxWaitMs": 1.0}, "maxWaitMs: expected an integer"),
        ({"maxWaitMs": 2**31}, "maxWaitMs: 2147483648 is not within"),
        ({"isolationLevel": -129}, "isolationLevel: -129 is not within"),
        ({"maxWaitMs": None}, "maxWaitMs must not be null"),
        ({"rackId": 7}, "rackId: expected a string"),
        ({"rackId": None}, "rackId must not be null"),
        ({"topics": {}}, "topics: expected a list"),
        ({"topics": [TOPIC, 3]}, r"topics\[1\]: expected an object, not 3"),
        ({"topics": [{}]}, r"topics\[0\]: topicId is missing"),
        ({"topics": [TOPIC | {"topicId": "x"}]}, r"topics\[0\].topicId: 'x' is not a Kafka uuid"),
        ({"topics": [TOPIC | {"topicId": 1}]}, r"topics\[0\].topicId: expected a uuid"),
        ({"topics": [TOPIC | {"topic": "t"}]}, r"topics\[0\]: version 18 of FetchTopic has no topic"),
        ({"topics": [TOPIC | {"partitions": [{"partition": 1}]}]}, r"topics\[0\].partitions\[0\]: currentLeaderEpoch"),
        ({"unknown_tags": []}, "version 18 of FetchRequest has no unknown_tags"),
        ({"replicaState": []}, "replicaState: expected an object"),
    ],
)
def test_misfits(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        from_json("FetchRequest", 18, FETCH | changed)


@pytest.mark.parametrize(
    ("name", "field", "value", "says"),
    [
        ("SaslAuthenticateRequest", "authBytes", "not base64!", "authBytes: "),
        ("SaslAuthenticateRequest", "authBytes", 1, "authBytes: expected base64"),
        ("ListGroupsRequest", "statesFilter", ["a", 1], r"statesFilter\[1\]: expected a string"),
        ("OffsetFetchRequest", "requireStable", 1, "requireStable: expected a boolean"),
    ],
)
def test_other_types(name: str, field: str, value: Any, says: str) -> None:
    from pykbroker.protocol.schema import schemas

    schema = schemas()[name]
    version = schema.fields[[row.json_name for row in schema.fields].index(field)].present[1]
    whole = to_json(schema.message_class()(), version)
    with pytest.raises(ValueError, match=says):
        from_json(name, version, whole | {field: value})


def test_numbers() -> None:
    def quota(value: Any) -> dict[str, Any]:
        op = {"key": "k", "value": value, "remove": False}
        return {"entries": [{"entity": [], "ops": [op]}], "validateOnly": False}

    for good in (1, 1.5, -0.0):
        message = from_json("AlterClientQuotasRequest", 1, quota(good))
        assert to_json(message, 1) == quota(good)
    for bad in ("1", True, 10**400):
        with pytest.raises(ValueError, match=r"entries\[0\].ops\[0\].value: "):
            from_json("AlterClientQuotasRequest", 1, quota(bad))


def test_unknown_tags_of_nested_structs_are_not_lost() -> None:
    topic = MetadataRequestTopic(name="t", unknown_tags=[(7, b"deep")])
    shown = to_json(MetadataRequest(topics=[topic]), 12)
    assert shown["topics"][0]["unknown_tags"] == [{"tag": 7, "hex": b"deep".hex()}]
    assert from_json("MetadataRequest", 12, shown) == MetadataRequest(topics=[topic])
    with pytest.raises(ValueError, match="has no unknown_tags"):
        from_json("MetadataRequest", 1, {"topics": [{"name": "t", "unknown_tags": []}]})


@pytest.mark.parametrize(
    "value",
    [
        {},
        [1],
        [{"tag": 1}],
        [{"tag": "1", "hex": ""}],
        [{"tag": -1, "hex": ""}],
        [{"tag": 2**31, "hex": ""}],
        [{"tag": 1, "hex": "0"}],
        [{"tag": 1, "hex": "", "more": 1}],
    ],
)
def test_tags_that_are_none(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        tags_from_json(value)


def test_versions_without_a_schema() -> None:
    with pytest.raises(KafkaError, match="FetchRequest has no version 3, only 4 to 18"):
        from_json("FetchRequest", 3, {})
