"""Names, enums, configs and metadata that clients make up: refused before they touch a path or a state."""

import os

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages import alter_configs, incremental_alter_configs
from pykbroker.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pykbroker.protocol.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from pykbroker.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from pykbroker.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from pykbroker.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pykbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from tests.hostile.broker_process import WatchedBroker

PATHS = [
    "..",
    ".",
    "../../etc/passwd",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "\0",
    "a\0b",
    "",
    " ",
    "ü",
    "x" * 250,
    "x" * 32_767,
]
PATHS += ["a\nb", "%2e%2e", "a:b", "C:", "~", "$HOME"]


@pytest.mark.parametrize("name", PATHS, ids=range(len(PATHS)))
def test_topic_names_that_are_paths(name: str, broker: WatchedBroker) -> None:
    before = set(os.listdir(broker.process.data_dir.parent)) | set(os.listdir(broker.process.data_dir))
    topic = CreatableTopic(name=name, num_partitions=1, replication_factor=1)
    (row,) = broker.ask(CreateTopicsRequest(topics=[topic], timeout_ms=10_000), 7).topics
    assert row.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
    request = MetadataRequest(topics=[MetadataRequestTopic(name=name)], allow_auto_topic_creation=True)
    (found,) = broker.ask(request, 9).topics
    assert found.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
    after = set(os.listdir(broker.process.data_dir.parent)) | set(os.listdir(broker.process.data_dir))
    assert after == before


@pytest.fixture(scope="module")
def topic(shared_broker: WatchedBroker) -> str:
    shared_broker.create("named")
    shared_broker.ask(FindCoordinatorRequest(coordinator_keys=["g"]), 4)
    return "named"


@pytest.mark.parametrize("value", [2, 127, -1, -128])
def test_isolation_levels_that_do_not_exist(value: int, topic: str, broker: WatchedBroker) -> None:
    rows = [FetchPartition(partition=0, partition_max_bytes=1)]
    fetch = FetchRequest(isolation_level=value, session_epoch=-1, topics=[FetchTopic(topic=topic, partitions=rows)])
    assert broker.ask(fetch, 12).error_code in (0, ErrorCode.UNKNOWN_SERVER_ERROR)
    wanted = [ListOffsetsPartition(partition_index=0, timestamp=-1)]
    offsets = ListOffsetsRequest(isolation_level=value, topics=[ListOffsetsTopic(name=topic, partitions=wanted)])
    assert broker.ask(offsets, 8).topics[0].partitions[0].error_code == ErrorCode.UNKNOWN_SERVER_ERROR


@pytest.mark.parametrize("value", [0, 1, 3, 127, -1, -128])
def test_resource_types_that_do_not_exist(value: int, broker: WatchedBroker) -> None:
    """twmb/franz-go commit 911c002d."""
    resources = [DescribeConfigsResource(resource_type=value, resource_name="x")]
    (result,) = broker.ask(DescribeConfigsRequest(resources=resources), 4).results
    assert result.error_code == ErrorCode.INVALID_REQUEST
    changed = alter_configs.AlterConfigsResource(resource_type=value, resource_name="x")
    (row,) = broker.ask(alter_configs.AlterConfigsRequest(resources=[changed]), 2).responses
    assert row.error_code == ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize("operation", [0, 1, 2, 3, 4, 127, -1])
@pytest.mark.parametrize("value", [None, "", "x" * 32_767, "\0", "${file:/etc/passwd:x}", "compact,compact", ",,,"])
@pytest.mark.parametrize(
    "name", ["cleanup.policy", "retention.ms", "no.such.config", "", "follower.replication.throttled.replicas"]
)
def test_config_changes_that_make_no_sense(
    name: str, value: str | None, operation: int, topic: str, broker: WatchedBroker
) -> None:
    """APPEND and SUBTRACT panicked under a lock in Nisshi; no `${file:…}` in dynamic configs: CVE-2024-31141."""
    config = incremental_alter_configs.AlterableConfig(name=name, config_operation=operation, value=value)
    resource = incremental_alter_configs.AlterConfigsResource(resource_type=2, resource_name=topic, configs=[config])
    request = incremental_alter_configs.IncrementalAlterConfigsRequest(resources=[resource], validate_only=True)
    (row,) = broker.ask(request, 1).responses
    assert row.error_code in (0, ErrorCode.INVALID_CONFIG, ErrorCode.INVALID_REQUEST, ErrorCode.UNKNOWN_SERVER_ERROR)
    assert "root:" not in (row.error_message or "")


@pytest.mark.parametrize("key_type", [-128, -1, 3, 127])
def test_coordinators_that_do_not_exist(key_type: int, broker: WatchedBroker) -> None:
    (row,) = broker.ask(FindCoordinatorRequest(coordinator_keys=["g"], key_type=key_type), 4).coordinators
    assert row.error_code == ErrorCode.INVALID_REQUEST


METADATA = bytes.fromhex("0001000000010005746f70696300000000ffffffff0000")


@pytest.mark.parametrize("metadata", [b"", b"\0", METADATA[:5], METADATA[:-3], b"\xff" * 100, b"\x7f\xff\xff\xff" * 10])
def test_subscriptions_and_assignments_that_are_cut(metadata: bytes, topic: str, broker: WatchedBroker) -> None:
    """They are the clients' own: kept and handed on, not understood. OOM elsewhere: elastic/beats#20734."""
    group = f"cut-{metadata[:8].hex()}-{len(metadata)}"
    protocols = [JoinGroupRequestProtocol(name="range", metadata=metadata)]
    with broker.client() as client:
        join = JoinGroupRequest(
            group_id=group,
            session_timeout_ms=10_000,
            rebalance_timeout_ms=10_000,
            protocol_type="consumer",
            protocols=protocols,
        )
        join.member_id = client.ask(join, 7).member_id
        joined = client.ask(join, 7)
        assert (joined.error_code, joined.members[0].metadata) == (0, metadata)
        assignment = SyncGroupRequestAssignment(member_id=join.member_id, assignment=metadata)
        sync = SyncGroupRequest(
            group_id=group,
            generation_id=joined.generation_id,
            member_id=join.member_id,
            protocol_type="consumer",
            protocol_name="range",
            assignments=[assignment],
        )
        assert client.ask(sync, 5).assignment == metadata


def test_offset_metadata_that_is_too_large(topic: str, broker: WatchedBroker) -> None:
    sizes = {
        4096: ErrorCode.NONE,
        4097: ErrorCode.OFFSET_METADATA_TOO_LARGE,
        32_767: ErrorCode.OFFSET_METADATA_TOO_LARGE,
    }
    for size, code in sizes.items():
        row = OffsetCommitRequestPartition(partition_index=0, committed_offset=1, committed_metadata="x" * size)
        topics = [OffsetCommitRequestTopic(name=topic, partitions=[row])]
        answer = broker.ask(OffsetCommitRequest(group_id="talkative", topics=topics), 8)
        assert answer.topics[0].partitions[0].error_code == code


def test_thousands_of_groups(topic: str, broker: WatchedBroker) -> None:
    """Each costs about what it says."""
    row = OffsetCommitRequestPartition(partition_index=0, committed_offset=1, committed_metadata="")
    topics = [OffsetCommitRequestTopic(name=topic, partitions=[row])]
    before = broker.memory()
    count = 3000
    with broker.client() as client:
        for start in range(0, count, 100):
            for number in range(start, start + 100):
                client.send(OffsetCommitRequest(group_id=f"group-{number}", topics=topics), 8)
            for _ in range(100):
                assert client.receive(8, 8).topics[0].partitions[0].error_code == 0
    assert broker.memory() - before < count * 5000
