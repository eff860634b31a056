"""apis.py, error_codes.py, enums.py and feature_levels.py say in Python what the specs say."""

import json

from pykbroker.protocol import enums
from pykbroker.protocol.apis import API_TABLE, ApiKey
from pykbroker.protocol.error_codes import REFRESH_RETRIABLE, RETRIABLE, ErrorCode
from pykbroker.protocol.feature_levels import (
    FEATURES,
    LATEST_METADATA_VERSION,
    LATEST_PRODUCTION_METADATA_VERSION,
    METADATA_VERSIONS,
    MINIMUM_METADATA_VERSION,
)
from pykbroker.protocol.lookup import persisted_class
from pykbroker.protocol.record_types import RECORD_TYPES
from tests.golden_data import golden_path


def test_api_table() -> None:
    rows = json.loads(golden_path("reference", "apis.json").read_bytes())
    assert {key.name: key.value for key in ApiKey} == {row["constant"]: row["key"] for row in rows}
    known = [row for row in rows if row["highestVersion"] >= 0]
    assert sorted(API_TABLE) == [row["key"] for row in known]
    for row in known:
        api = API_TABLE[row["key"]]
        assert (api.key, api.name, api.module.upper()) == (row["key"], row["name"], row["constant"])
        assert (api.min_version, api.max_version) == (row["lowestVersion"], row["highestStableVersion"])
        assert api.latest_version == row["highestVersion"]
        assert (api.listeners, api.forwardable) == (frozenset(row["listeners"]), row["forwardable"])
        assert api.cluster_action == row["clusterAction"]
        for version, headers in row["headerVersions"].items():
            assert [api.request_header_version(int(version)), api.response_header_version(int(version))] == headers
    assert API_TABLE[22].latest_version == API_TABLE[22].max_version + 1 == 6  # InitProducerId 6 is unstable
    assert repr(API_TABLE[12]) == "<ApiInfo 12 Heartbeat 0-4>"


def test_what_a_broker_may_advertise() -> None:
    """API_TABLE and the answer of the stock broker; only Produce is advertised from a version that does not exist."""
    stock = json.loads(golden_path("reference", "api-versions.json").read_bytes())
    for listener in ("broker", "controller"):
        for key, (low, high) in stock[listener]["apis"].items():
            api = API_TABLE[int(key)]
            assert listener in api.listeners
            assert high == api.max_version
            assert low == (0 if api.key == ApiKey.PRODUCE else api.min_version)


def test_error_codes() -> None:
    rows = json.loads(golden_path("reference", "errors.json").read_bytes())
    assert {code.name: code.value for code in ErrorCode} == {row["name"]: row["code"] for row in rows}
    assert {row["code"] for row in rows if row["retriable"]} == RETRIABLE
    assert {row["code"] for row in rows if row["refresh_retriable"]} == REFRESH_RETRIABLE


def test_enums() -> None:
    assert enums.ResourceType.TOPIC.value == 2
    assert enums.ConfigResourceType.BROKER.value == 4
    assert enums.CoordinatorType.TRANSACTION.value == 1
    assert enums.GroupState("PreparingRebalance") is enums.GroupState.PREPARING_REBALANCE
    assert enums.TransactionState.PREPARE_EPOCH_FENCE.value == 7
    assert enums.ListOffsetsTimestamp.EARLIEST_PENDING_UPLOAD_TIMESTAMP == -6
    assert enums.TopicConstants.GROUP_METADATA_TOPIC_NAME == "__consumer_offsets"
    assert enums.ACL_SUPPORTED_OPERATIONS[enums.ResourceType.DELEGATION_TOKEN] == {enums.AclOperation.DESCRIBE}
    assert enums.COMPRESSION_TYPE_MIN_LEVEL[enums.CompressionType.zstd] == -131072
    assert enums.STREAMS_GROUP_STATUS_MESSAGE[enums.StreamsGroupStatus.STALE_TOPOLOGY].endswith("this streams group.")


def test_record_types_are_those_of_the_schemas() -> None:
    """Kafka's enums of record types, their versions included, and the tables by which we find the schemas."""
    rows = json.loads(golden_path("reference", "enums.json").read_bytes())
    kinds = {"metadata": rows["MetadataRecordType"], "storage": rows["MetadataRecordType@log"]}
    kinds |= rows["CoordinatorRecordTypes"]
    assert kinds.keys() == RECORD_TYPES.keys()
    for folder, members in kinds.items():
        assert sorted(member["id"] for member in members) == sorted(RECORD_TYPES[folder])
        for member in members:
            value = persisted_class(folder, RECORD_TYPES[folder][member["id"]][1])
            limits = (member["lowestSupportedVersion"], member["highestSupportedVersion"])
            assert limits == (value.MIN_VERSION, value.MAX_VERSION)


def test_feature_levels() -> None:
    rows = json.loads(golden_path("reference", "features.json").read_bytes())
    assert [list(version) for version in METADATA_VERSIONS.values()] == [
        [row["level"], row["version"], *(value for name, value in row.items() if name not in ("level", "version"))]
        for row in rows["metadata.version"]
    ]
    limits = (MINIMUM_METADATA_VERSION, LATEST_PRODUCTION_METADATA_VERSION, LATEST_METADATA_VERSION)
    assert limits == tuple(rows["metadata.version.range"].values())
    levels = {version.version: level for level, version in METADATA_VERSIONS.items()}
    assert FEATURES.keys() == rows["features"].keys()
    for name, row in rows["features"].items():
        feature = FEATURES[name]
        found = (feature.minimum, feature.latest_production, feature.latest_testing)
        assert found == (row["minimum"], row["latest_production"], row["latest_testing"])
        assert [level.needs for level in feature.levels] == [level["dependencies"] for level in row["levels"]]
        for version, level in row["default_level_at"].items():
            assert feature.default_level(levels[version]) == level
