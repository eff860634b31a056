"""The controller's listener: its table, and what each of its own APIs answers over the wire."""

from pathlib import Path

import pytest
import trio
import trio.testing

from pykbroker.controller.result import ControllerResult
from pykbroker.controller_apis import SERVED_BY_CONTROLLER
from pykbroker.dispatch import Suspended
from pykbroker.ids import METADATA_TOPIC_ID
from pykbroker.metadata.features import SUPPORTED_FEATURES
from pykbroker.protocol.apis import API_TABLE, ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.alter_partition import AlterPartitionRequest, BrokerState, PartitionData, TopicData
from pykbroker.protocol.messages.api_versions import ApiVersionsRequest
from pykbroker.protocol.messages.controller_registration import ControllerRegistrationRequest
from pykbroker.protocol.messages.describe_cluster import DescribeClusterRequest
from pykbroker.protocol.messages.describe_quorum import DescribeQuorumRequest
from pykbroker.protocol.messages.describe_quorum import PartitionData as DescribedPartition
from pykbroker.protocol.messages.describe_quorum import TopicData as DescribedTopic
from pykbroker.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic, ReplicaState
from tests.controller.nodes import ControllerNode, TrioClock, topic_records
from tests.controller.wire import Wire


@pytest.fixture
def wire(tmp_path: Path) -> Wire:
    return Wire(ControllerNode(tmp_path).start())


def fetch_request(offset: int, epoch: int, last_epoch: int, max_wait_ms: int = 0) -> FetchRequest:
    asked = FetchPartition(
        current_leader_epoch=epoch, fetch_offset=offset, last_fetched_epoch=last_epoch, high_watermark=offset
    )
    topics = [FetchTopic(topic_id=METADATA_TOPIC_ID, partitions=[asked])]
    state = ReplicaState(replica_id=2)
    return FetchRequest(max_wait_ms=max_wait_ms, max_bytes=1 << 20, replica_state=state, topics=topics)


def test_every_api_that_is_served_has_its_handler(wire: Wire) -> None:
    for key in SERVED_BY_CONTROLLER:
        api = wire.controller.dispatcher.apis[key]
        api.load()
        assert "controller" in API_TABLE[key].listeners
        assert api.handle.__module__ == f"pykbroker.handlers.controller.{API_TABLE[key].module}"


def test_what_is_served_is_told(wire: Wire) -> None:
    response = wire.ask(ApiVersionsRequest(client_software_name="a", client_software_version="1"), 4)
    told = {row.api_key: (row.min_version, row.max_version) for row in response.api_keys}
    assert told == {key: (API_TABLE[key].min_version, API_TABLE[key].max_version) for key in SERVED_BY_CONTROLLER}
    assert {row.name: (row.min_version, row.max_version) for row in response.supported_features} == SUPPORTED_FEATURES
    finalized = {row.name: row.max_version_level for row in response.finalized_features}
    assert finalized == wire.node.image.features.finalized
    assert response.finalized_features_epoch == wire.node.image.offset


# Fetch


def test_the_log_from_its_start(wire: Wire) -> None:
    (topic,) = wire.ask(fetch_request(0, 1, 0), 18).responses
    (partition,) = topic.partitions
    assert (partition.error_code, partition.high_watermark) == (0, wire.node.log.high_watermark)
    assert len(partition.records) > 100


def test_a_former_epoch_is_told_where_the_leader_is(wire: Wire) -> None:
    response = wire.ask(fetch_request(0, 0, 0), 18)
    (partition,) = response.responses[0].partitions
    leader = partition.current_leader
    assert (partition.error_code, leader.leader_id, leader.leader_epoch) == (ErrorCode.FENCED_LEADER_EPOCH, 1, 1)
    assert [(node.node_id, node.host, node.port) for node in response.node_endpoints] == [(1, "controller", 9093)]


async def test_an_observer_waits_for_what_is_decided_next(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    node = ControllerNode(tmp_path, clock=TrioClock()).start()
    wire = Wire(node)
    end = node.log.end_offset
    async with trio.open_nursery() as nursery:
        nursery.start_soon(decide_later, node)
        suspended = wire.begin(fetch_request(end, 1, 1, max_wait_ms=500), 18)
        assert isinstance(suspended, Suspended)
        response = await wire.finish(suspended, ApiKey.FETCH, 18)
        assert 0.2 <= trio.current_time() < 0.5
    (partition,) = response.responses[0].partitions
    assert (partition.high_watermark, bool(partition.records)) == (node.log.high_watermark, True)
    assert node.log.high_watermark == node.log.end_offset > end


async def test_an_observer_waits_no_longer_than_it_says(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    wire = Wire(ControllerNode(tmp_path, clock=TrioClock()).start())
    end = wire.node.log.end_offset
    suspended = wire.begin(fetch_request(end, 1, 1, max_wait_ms=500), 18)
    assert isinstance(suspended, Suspended)
    response = await wire.finish(suspended, ApiKey.FETCH, 18)
    assert trio.current_time() == pytest.approx(0.5)
    (partition,) = response.responses[0].partitions
    assert (partition.error_code, partition.high_watermark, partition.records) == (0, end, b"")


async def decide_later(node: ControllerNode) -> None:
    await trio.sleep(0.2)
    node.controller.submit(lambda _: ControllerResult(topic_records("t"), None))


def test_who_follows_is_described(wire: Wire) -> None:
    end = wire.node.log.end_offset
    wire.ask(fetch_request(end, 1, 1), 18)
    asked = DescribeQuorumRequest(topics=[DescribedTopic("__cluster_metadata", [DescribedPartition(0)])])
    (partition,) = wire.ask(asked, 2).topics[0].partitions
    (observer,) = partition.observers
    assert (observer.replica_id, observer.log_end_offset, observer.last_fetch_timestamp) == (
        2,
        end,
        wire.node.clock.wall_ms(),
    )


# AlterPartition


@pytest.mark.parametrize("version", [2, 3])
def test_a_leader_changes_its_isr(wire: Wire, version: int) -> None:
    node = wire.node
    node.bring_up(1, 2)
    node.create("t", [1, 2], [2, 1])
    topic = node.image.topics.get("t")
    assert topic is not None
    epoch = node.epochs[1]
    shrunk = PartitionData(partition_index=0, leader_epoch=0, partition_epoch=0)
    if version < 3:
        shrunk.new_isr = [1]
    else:
        shrunk.new_isr_with_epochs = [BrokerState(1, epoch)]
    foreign = PartitionData(partition_index=1, leader_epoch=0, partition_epoch=0)
    request = AlterPartitionRequest(
        broker_id=1, broker_epoch=epoch, topics=[TopicData(topic_id=topic.id, partitions=[shrunk, foreign])]
    )
    response = wire.ask(request, version)
    done, refused = response.topics[0].partitions
    assert (done.error_code, done.leader_id, done.isr, done.partition_epoch) == (0, 1, [1], 1)
    assert (refused.partition_index, refused.error_code) == (1, ErrorCode.INVALID_REQUEST)
    assert node.partition("t").isr == (1,)
    request.broker_epoch += 1
    assert wire.ask(request, version).error_code == ErrorCode.STALE_BROKER_EPOCH


# Controllers


def test_the_controllers_are_described(wire: Wire) -> None:
    response = wire.ask(DescribeClusterRequest(endpoint_type=2), 2)
    assert (response.error_code, response.endpoint_type, response.controller_id) == (0, 2, 1)
    assert response.cluster_id == wire.node.image.cluster_id
    assert [(row.broker_id, row.host, row.port) for row in response.brokers] == [(1, "controller", 9093)]


@pytest.mark.parametrize(
    ("endpoint_type", "code"), [(1, ErrorCode.MISMATCHED_ENDPOINT_TYPE), (9, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE)]
)
def test_who_looks_for_brokers_is_sent_away(wire: Wire, endpoint_type: int, code: int) -> None:
    response = wire.ask(DescribeClusterRequest(endpoint_type=endpoint_type), 1)
    assert (response.error_code, response.brokers) == (code, [])


def test_no_other_controller_joins(wire: Wire) -> None:
    response = wire.ask(ControllerRegistrationRequest(controller_id=3), 0)
    assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert "quorum of one" in response.error_message
