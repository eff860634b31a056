"""A broker whose controller is another node of this loop, over loopback sockets; and one that finds or keeps none."""

import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from pykbroker.broker import Broker, BrokerFailure, StartError
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.controller_node import ControllerNode
from pykbroker.errors import NodeUnreachable
from pykbroker.protocol.apis import API_TABLE
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.api_versions import ApiVersionsRequest
from pykbroker.protocol.messages.broker_heartbeat import BrokerHeartbeatResponse
from pykbroker.protocol.messages.broker_registration import BrokerRegistrationResponse
from pykbroker.protocol.messages.describe_cluster import DescribeClusterResponse
from pykbroker.protocol.messages.fetch import EpochEndOffset, FetchResponse
from pykbroker.protocol.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest
from pykbroker.protocol.metadata_records import frame_record
from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord
from pykbroker.protocol.persisted.metadata.topic_record import TopicRecord
from pykbroker.raft.observer_log import MetadataLost
from pykbroker.raft.observer_loop import ObserverLoop
from pykbroker.record.builder import SimpleRecord, build_batch
from tests.controller_link.scripted_channels import Controllers
from tests.metadata.history import uuid
from tests.raft.logs import PARTITION, latest
from tests.raft.test_observer import batch, fetched
from tests.test_broker import Client, create, produce
from tests.test_broker import fetched as records_of

KRAFT = "kraft.version"
CLUSTER = "MkU3OEVBNTcwNTJENDM2Qg"


def broker_config(folder: Path, port: int, **texts: str) -> BrokerConfig:
    return BrokerConfig(
        {
            "process.roles": "broker",
            "node.id": "2",
            "listeners": "PLAINTEXT://127.0.0.1:0",
            "log.dirs": str(folder / "broker"),
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{port}",
            **{name.replace("_", "."): text for name, text in texts.items()},
        }
    )


def controller_config(folder: Path, port: int) -> BrokerConfig:
    return BrokerConfig(
        {
            "process.roles": "controller",
            "node.id": "100",
            "listeners": f"CONTROLLER://127.0.0.1:{port}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{port}",
            "log.dirs": str(folder / "controller"),
        }
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@asynccontextmanager
async def run(node: Any) -> AsyncIterator[tuple[str, int]]:
    """Its address; stopped in order at the end."""
    addresses: list[tuple[str, int]] = []
    ready, ended = trio.Event(), trio.Event()

    def on_ready(host: str, port: int) -> None:
        addresses.append((host, port))
        ready.set()

    async def live() -> None:
        await node.run(on_ready)
        ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(live)
        await ready.wait()
        yield addresses[0]
        node.stop()
        await ended.wait()


@asynccontextmanager
async def client_of(address: tuple[str, int]) -> AsyncIterator[Client]:
    stream = await trio.open_tcp_stream(*address)
    yield Client(stream)
    await stream.aclose()


async def test_a_broker_of_a_controller_elsewhere(tmp_path: Path) -> None:
    port = free_port()
    controller, broker = ControllerNode(controller_config(tmp_path, port)), Broker(broker_config(tmp_path, port))
    async with run(controller), run(broker) as address, client_of(address) as client:
        assert broker.cluster_id == controller.cluster_id
        registered = broker.image.brokers[2]
        assert (registered.fenced, broker.image.brokers.keys()) == (False, {2})
        await create(client, "t")
        await until(lambda: "t" in broker.image.topics and leader_of(broker, "t") == 2)
        assert await produce(client, "t", b"value") == 0
        assert b"value" in await records_of(client, "t")
        image = broker.image
    assert broker.image.offset > image.offset, "it has heard of its own leaving"
    logs = [tmp_path / node / PARTITION / f"{0:020}.log" for node in ("controller", "broker")]
    theirs, ours = (log.read_bytes() for log in logs)
    assert ours == theirs[: len(ours)]


async def test_it_comes_back_with_what_it_had(tmp_path: Path) -> None:
    port = free_port()
    async with run(ControllerNode(controller_config(tmp_path, port))):
        async with run(Broker(broker_config(tmp_path, port))) as address, client_of(address) as client:
            await create(client, "t")
        broker = Broker(broker_config(tmp_path, port))
        async with run(broker) as address, client_of(address) as client:
            await until(lambda: leader_of(broker, "t") == 2)
            assert await produce(client, "t", b"value") == 0


async def test_the_controllers_versions_are_those_told(tmp_path: Path) -> None:
    port = free_port()
    broker = Broker(broker_config(tmp_path, port))
    controller = ControllerNode(controller_config(tmp_path, port))
    async with run(controller), run(broker) as address, client_of(address) as client:
        told = {row.api_key for row in (await client.ask(ApiVersionsRequest(), 0)).api_keys}
    known = broker.controller.controller_versions
    assert known is not None
    assert {key for key in told if API_TABLE[key].forwardable} <= known.keys()


async def test_a_static_quorum_becomes_a_dynamic_one(tmp_path: Path) -> None:
    """Its version stands in control records: brokers tell their clients of it all the same (KRaftMetadataCache)."""
    port = free_port()
    voters = {"controller.quorum.voters": f"100@127.0.0.1:{port}"}
    configs = {
        "controller": {"process.roles": "controller", "node.id": "100", "listeners": f"CONTROLLER://127.0.0.1:{port}"},
        "broker": {"process.roles": "broker", "node.id": "2", "listeners": "PLAINTEXT://127.0.0.1:0"},
    }
    for name, config in configs.items():
        config |= {**voters, "controller.listener.names": "CONTROLLER", "log.dirs": str(tmp_path / name)}
    broker = Broker(BrokerConfig(configs["broker"]))
    node = ControllerNode(BrokerConfig(configs["controller"]))
    async with run(node), run(broker) as address, client_of(address) as client:
        assert KRAFT not in await finalized(client)
        for validate_only in (True, False):
            update = FeatureUpdateKey(feature=KRAFT, max_version_level=1)
            request = UpdateFeaturesRequest(feature_updates=[update], validate_only=validate_only)
            assert (await client.ask(request, 2)).error_code == 0
            assert broker.controller.kraft_version <= (not validate_only)
        await until(lambda: broker.controller.kraft_version == 1)
        assert (await finalized(client))[KRAFT] == 1
    node = ControllerNode(BrokerConfig(configs["controller"]))
    async with run(node), run(Broker(BrokerConfig(configs["broker"]))) as address, client_of(address) as client:
        assert (await finalized(client))[KRAFT] == 1


async def finalized(client: Client) -> dict[str, int]:
    request = ApiVersionsRequest(client_software_name="test", client_software_version="1")
    return {row.name: row.max_version_level for row in (await client.ask(request, 4)).finalized_features}


def leader_of(broker: Broker, topic: str) -> int:
    partition = broker.image.topics.partition(topic, 0)
    assert partition is not None
    return partition.leader


async def until(holds: Callable[[], bool]) -> None:
    with trio.fail_after(20):
        while not holds():  # noqa: ASYNC110
            await trio.sleep(0.005)


# Starts that fail, each with one clear line


def answers(rows: Mapping[int, Message | Exception]) -> Controllers:
    return Controllers(lambda _, key, __: rows[key])


async def refused(folder: Path, controllers: Controllers, **texts: str) -> str:
    broker = Broker(broker_config(folder, 9, **texts), connect=controllers.connect)
    with pytest.raises(StartError) as caught:
        await broker.run(lambda *_: None)
    return str(caught.value)


TOLD = DescribeClusterResponse(cluster_id=CLUSTER)


async def test_nobody_tells_the_cluster(tmp_path: Path) -> None:
    said = await refused(
        tmp_path, answers({60: NodeUnreachable("refused")}), initial_broker_registration_timeout_ms="50"
    )
    assert said.startswith("REQUEST_TIMED_OUT: no controller has told the cluster.id within 0.05 s")
    assert not (tmp_path / "broker").exists(), "nothing is formatted for a cluster that nobody knows"


async def test_no_metadata_comes(tmp_path: Path) -> None:
    controllers = answers({60: TOLD, 1: NodeUnreachable("127.0.0.1:9: Connection refused")})
    said = await refused(tmp_path, controllers, initial_broker_registration_timeout_ms="50")
    assert "No metadata came from a controller within 0.05 s" in said
    assert "the last attempt: 127.0.0.1:9: Connection refused" in said


async def test_the_wrong_cluster(tmp_path: Path) -> None:
    controllers = answers({60: TOLD, 1: FetchResponse(error_code=ErrorCode.INCONSISTENT_CLUSTER_ID)})
    said = await refused(tmp_path, controllers)
    assert f"belongs to another cluster than this node's data, whose cluster.id is {CLUSTER}" in said


async def test_a_refused_registration(tmp_path: Path) -> None:
    first: list[Message] = [fetched(batch(0, "a"), high_watermark=1)]
    rows = {60: TOLD, 62: BrokerRegistrationResponse(error_code=ErrorCode.INVALID_REGISTRATION)}

    def answer(_: object, key: int, __: object) -> Message | None:
        return rows[key] if key != 1 else first.pop() if first else None

    said = await refused(tmp_path, Controllers(answer))
    assert "Broker 2 cannot register with the controller: its log directories, listeners or features" in said


async def test_metadata_that_is_lost_while_it_runs_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port, lost = free_port(), trio.Event()
    real = ObserverLoop.run

    async def run_until_lost(self: ObserverLoop, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(real, self)
            task_status.started()
            await lost.wait()
            nursery.cancel_scope.cancel()
        raise MetadataLost("the controllers have lost some")

    monkeypatch.setattr(ObserverLoop, "run", run_until_lost)
    async with run(ControllerNode(controller_config(tmp_path, port))):
        broker = Broker(broker_config(tmp_path, port))
        with pytest.raises(
            BrokerFailure, match="cannot follow the metadata any longer: the controllers have lost some"
        ):
            await broker.run(lambda *_: lost.set())


async def test_metadata_that_is_lost_while_it_starts_ends_it(tmp_path: Path) -> None:
    """The controller keeps it fenced, and answers nothing more that an observer can follow."""
    other = EpochEndOffset(epoch=1, end_offset=0)
    told: list[Message] = [fetched(batch(0, "a"), high_watermark=1), fetched(epoch=2, diverging_epoch=other)]
    rows = {60: TOLD, 62: BrokerRegistrationResponse(broker_epoch=5), 63: BrokerHeartbeatResponse(is_fenced=True)}
    asked = 0

    def answer(_: object, key: int, __: object) -> Message | None:
        nonlocal asked
        if key == 63:
            asked += 1
        if key != 1:
            return rows[key]
        return told.pop(0) if len(told) == 2 or asked else fetched(high_watermark=1)

    broker = Broker(broker_config(tmp_path, 9), connect=Controllers(answer).connect)
    with trio.fail_after(30), pytest.raises(BrokerFailure, match="cannot follow the metadata any longer"):
        await broker.run(lambda *_: None)


async def test_metadata_from_before_its_registration_make_it_nothing(tmp_path: Path) -> None:
    """They said that it leads what a crash had taken from it."""
    topic = uuid(1)
    records: list[Message] = [
        TopicRecord(name="t", topic_id=topic),
        PartitionRecord(partition_id=0, topic_id=topic, replicas=[2], isr=[2], leader=2, leader_epoch=3),
    ]
    entries = [SimpleRecord(None, frame_record(record, latest(record)), (), 5) for record in records]
    first = bytes(build_batch(entries, base_offset=0, leader_epoch=1))
    other = EpochEndOffset(epoch=1, end_offset=0)
    told: list[Message] = [fetched(first, high_watermark=2)]
    heartbeats = 0

    def answer(_: object, key: int, __: object) -> Message | None:
        nonlocal heartbeats
        if key == 62:
            return BrokerRegistrationResponse(broker_epoch=5)
        if key == 63:
            heartbeats += 1
            return BrokerHeartbeatResponse(is_caught_up=False, is_fenced=True)
        if key == 60:
            return TOLD
        end = fetched(epoch=2, diverging_epoch=other) if heartbeats > 3 else fetched(high_watermark=2)
        return told.pop() if told else end

    broker = Broker(broker_config(tmp_path, 9), connect=Controllers(answer).connect)
    with trio.fail_after(30), pytest.raises(BrokerFailure, match="cannot follow the metadata any longer"):
        await broker.run(lambda *_: None)
    assert heartbeats > 3
    assert not (tmp_path / "broker" / "t-0").exists()
