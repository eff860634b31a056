"""A controller of its own in the test's loop, on loopback sockets: who joins it, what it keeps, how it stops."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from pykbroker.cli.run_broker import LoopClock
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.controller_node import ControllerNode
from pykbroker.ids import METADATA_TOPIC_ID, Uuid
from pykbroker.log.files import Files
from pykbroker.log.log_dir import read_meta_properties
from pykbroker.metadata.features import INITIAL_FEATURES, SUPPORTED_FEATURES
from pykbroker.network.node_channel import SocketChannel
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.broker_heartbeat import BrokerHeartbeatRequest
from pykbroker.protocol.messages.broker_registration import BrokerRegistrationRequest, Feature, Listener
from pykbroker.protocol.messages.describe_quorum import DescribeQuorumRequest, PartitionData, TopicData
from pykbroker.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic, ReplicaState
from pykbroker.raft.formatting import write_bootstrap
from pykbroker.shared_server import StartError

CONTROLLER_ID = 100
TIMEOUT = 10.0


@pytest.fixture
def loop_clock() -> LoopClock:
    """pytest-trio runs the tests that ask for it by it, as nodes are run."""
    return LoopClock()


def config_of(folder: Path, **texts: str) -> BrokerConfig:
    settings = {
        "process.roles": "controller",
        "node.id": str(CONTROLLER_ID),
        "listeners": "CONTROLLER://127.0.0.1:0",
        "log.dirs": str(folder / "data"),
        **{name.replace("_", "."): text for name, text in texts.items()},
    }
    return BrokerConfig(settings)


@asynccontextmanager
async def running(folder: Path, **texts: str) -> AsyncIterator[tuple[ControllerNode, SocketChannel]]:
    """A controller and a connection to it; stopped in order at the end."""
    node = ControllerNode(config_of(folder, **texts))
    addresses: list[tuple[str, int]] = []
    ready = trio.Event()

    def on_ready(host: str, port: int) -> None:
        addresses.append((host, port))
        ready.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.run, on_ready)
        await ready.wait()
        channel = SocketChannel(addresses[0], "test")
        yield node, channel
        channel.close()
        node.stop()


def registration(node: ControllerNode, broker_id: int = 2) -> BrokerRegistrationRequest:
    return BrokerRegistrationRequest(
        broker_id=broker_id,
        cluster_id=node.cluster_id,
        incarnation_id=Uuid.random(),
        listeners=[Listener(name="PLAINTEXT", host="h", port=9092)],
        features=[Feature(name, low, high) for name, (low, high) in SUPPORTED_FEATURES.items()],
        log_dirs=[Uuid.random()],
    )


def fetch_request(epoch: int, offset: int, last_epoch: int, max_wait_ms: int = 0) -> FetchRequest:
    asked = FetchPartition(
        current_leader_epoch=epoch, fetch_offset=offset, last_fetched_epoch=last_epoch, high_watermark=offset
    )
    return FetchRequest(
        max_wait_ms=max_wait_ms,
        max_bytes=1 << 20,
        replica_state=ReplicaState(replica_id=2),
        topics=[FetchTopic(topic_id=METADATA_TOPIC_ID, partitions=[asked])],
    )


async def ask(channel: SocketChannel, request: Any, version: int) -> Any:
    return await channel.send(request.API_KEY, version, request, timeout=TIMEOUT)


async def fetched(channel: SocketChannel, request: FetchRequest) -> Any:
    response = await ask(channel, request, 18)
    assert response.error_code == 0
    return response.responses[0].partitions[0]


async def test_a_broker_joins(tmp_path: Path) -> None:
    async with running(tmp_path) as (node, channel):
        told = await fetched(channel, fetch_request(0, 0, 0))
        assert (told.error_code, told.current_leader.leader_id) == (ErrorCode.FENCED_LEADER_EPOCH, CONTROLLER_ID)
        epoch = told.current_leader.leader_epoch
        log = await fetched(channel, fetch_request(epoch, 0, 0))
        assert log.high_watermark > 0
        assert log.records
        registered = await ask(channel, registration(node), 4)
        assert (registered.error_code, registered.broker_epoch) == (0, log.high_watermark)
        heartbeat = BrokerHeartbeatRequest(
            broker_id=2,
            broker_epoch=registered.broker_epoch,
            current_metadata_offset=log.high_watermark,
            want_fence=False,
        )
        answered = await ask(channel, heartbeat, 2)
        assert (answered.is_caught_up, answered.is_fenced) == (True, False)
        assert not node.server.controller.image.brokers[2].fenced


async def test_everything_is_there_after_a_restart_in_a_new_epoch(tmp_path: Path) -> None:
    async with running(tmp_path) as (node, channel):
        cluster_id = node.cluster_id
        broker_epoch = (await ask(channel, registration(node), 4)).broker_epoch
    async with running(tmp_path) as (node, channel):
        assert node.cluster_id == cluster_id
        told = await fetched(channel, fetch_request(1, 0, 0))
        assert (told.error_code, told.current_leader.leader_epoch) == (ErrorCode.FENCED_LEADER_EPOCH, 2)
        assert node.server.controller.image.brokers[2].epoch == broker_epoch


async def test_who_waits_for_a_controller_that_stops_is_answered(tmp_path: Path, loop_clock: LoopClock) -> None:
    async with running(tmp_path) as (node, channel):
        end = node.server.controller.next_offset
        answers = []

        async def wait() -> None:
            answers.append(await fetched(channel, fetch_request(1, end, 1, max_wait_ms=60_000)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            while not node.server.controller.leader_state.observers(node.server.controller.clock.wall_ms()):
                await trio.lowlevel.checkpoint()
            node.stop()
    assert [row.error_code for row in answers] == [ErrorCode.BROKER_NOT_AVAILABLE]


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
async def test_who_is_open_to_everybody_is_told_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, host: str, warned: bool
) -> None:
    async with running(tmp_path, listeners=f"CONTROLLER://{host}:0") as (_, channel):
        assert (channel.host, bool(channel.port)) == ("localhost" if warned else host, True)
    assert ("Listener CONTROLLER" in caplog.text and "is open to other machines" in caplog.text) is warned


def quorum_request() -> DescribeQuorumRequest:
    return DescribeQuorumRequest(topics=[TopicData("__cluster_metadata", [PartitionData(0)])])


async def test_found_by_bootstrap_servers_it_is_a_dynamic_quorum(tmp_path: Path) -> None:
    for _ in range(2):
        async with running(tmp_path, controller_quorum_bootstrap_servers="127.0.0.1:1") as (node, channel):
            response = await ask(channel, quorum_request(), 2)
            (voter,) = response.topics[0].partitions[0].current_voters
            properties = read_meta_properties(Files(), str(tmp_path / "data"))
            assert properties is not None
            assert (voter.replica_id, voter.replica_directory_id) == (CONTROLLER_ID, properties.directory_id)
            quorum = node.server.controller.quorum
            assert (quorum.kraft_version, quorum.leader_id) == (1, CONTROLLER_ID)
            (endpoint,) = response.nodes[0].listeners
            assert (endpoint.name, endpoint.host, endpoint.port) == ("CONTROLLER", channel.host, channel.port)


async def test_found_by_voters_it_is_a_static_one(tmp_path: Path) -> None:
    async with running(tmp_path, controller_quorum_voters=f"{CONTROLLER_ID}@127.0.0.1:1") as (node, _):
        assert node.server.controller.quorum.kraft_version == 0


async def test_what_was_formatted_without_voters_stays_static(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_bootstrap(str(tmp_path / "data"), INITIAL_FEATURES, 0)
    async with running(tmp_path, controller_quorum_bootstrap_servers="127.0.0.1:1") as (node, _):
        assert node.server.controller.quorum.kraft_version == 0


async def test_where_it_is_advertised_others_are_told_so(tmp_path: Path) -> None:
    async with running(tmp_path, advertised_listeners="CONTROLLER://far.example:1") as (node, channel):
        response = await ask(channel, fetch_request(0, 0, 0), 18)
        assert [(each.host, each.port) for each in response.node_endpoints] == [("far.example", 1)]
        (endpoint,) = node.server.controller.image.controllers[CONTROLLER_ID].endpoints
        assert (endpoint.host, endpoint.port) == ("far.example", 1)


async def refused(folder: Path, **texts: str) -> str:
    with pytest.raises(StartError) as caught:
        await ControllerNode(config_of(folder, **texts)).run(lambda host, port: pytest.fail("it serves"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_why_it_may_not_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port}" in await refused(tmp_path, listeners=f"CONTROLLER://127.0.0.1:{port}")
    async with running(tmp_path):
        pass
    assert "belongs to node 100, not 7" in await refused(tmp_path, node_id="7")
    async with running(tmp_path, node_id="100") as (_, channel):
        assert ApiKey.BROKER_REGISTRATION in await channel.api_versions(timeout=TIMEOUT)
