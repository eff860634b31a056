"""A whole broker in the test's own loop, on loopback sockets: what it serves, keeps, and tells of itself."""

import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from pykbroker.broker import Broker, StartError
from pykbroker.cli.run_broker import LoopClock
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.errors import KafkaError
from pykbroker.ids import DIRECTORY_UNASSIGNED, Uuid
from pykbroker.log.files import Files
from pykbroker.log.housekeeping_loop import Housekeeping
from pykbroker.metadata import publisher_loop
from pykbroker.metadata.delta import MetadataDelta
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.enums import AlterConfigOp, ConfigResourceType
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.headers import decode_response_header, encode_request_header
from pykbroker.protocol.lookup import response_class
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.api_versions import ApiVersionsRequest
from pykbroker.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pykbroker.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from pykbroker.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from pykbroker.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pykbroker.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from pykbroker.protocol.messages.unregister_broker import UnregisterBrokerRequest
from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord
from pykbroker.protocol.persisted.metadata.topic_record import TopicRecord
from pykbroker.record.builder import build_batch
from pykbroker.replica.replica_manager import ReplicaManager
from pykbroker.request import RequestContext

NODE_ID = 7


@pytest.fixture
def loop_clock() -> LoopClock:
    """pytest-trio runs the tests that ask for it by it, as the broker is run."""
    return LoopClock()


class Client:
    """One connection that asks one thing after the other."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.received = b""

    async def ask(self, request: Message, version: int) -> Any:
        await self.send(request, version)
        return await self.receive(request.API_KEY, version)

    async def send(self, request: Message, version: int) -> None:
        out = bytearray(4)
        encode_request_header(out, request.API_KEY, version, 1, "test")
        request.encode_into(out, version)
        struct.pack_into(">i", out, 0, len(out) - 4)
        await self.stream.send_all(out)

    async def receive(self, api_key: int, version: int) -> Any:
        (size,) = struct.unpack(">i", await self._take(4))
        frame = await self._take(size)
        _, position = decode_response_header(frame, api_key, version)
        return response_class(api_key).decode(frame, version, position)[0]

    async def _take(self, size: int) -> bytes:
        while len(self.received) < size:
            piece = await self.stream.receive_some()
            if not piece:
                raise EOFError
            self.received += piece
        taken, self.received = self.received[:size], self.received[size:]
        return taken


def config_of(folder: Path, **texts: str) -> BrokerConfig:
    settings = {
        "listeners": "PLAINTEXT://127.0.0.1:0",
        "log.dirs": str(folder / "data"),
        "node.id": str(NODE_ID),
        **{name.replace("_", "."): text for name, text in texts.items()},
    }
    return BrokerConfig(settings)


@asynccontextmanager
async def running(folder: Path, **texts: str) -> AsyncIterator[tuple[Broker, Client]]:
    """A broker and a client of it; stopped in order at the end."""
    async with running_on(folder, None, texts) as (broker, client):
        yield broker, client


@asynccontextmanager
async def running_on(
    folder: Path, files: Files | None, texts: Mapping[str, str]
) -> AsyncIterator[tuple[Broker, Client]]:
    """The same, its logs on a disk of the test's own."""
    broker = Broker(config_of(folder, **texts))
    if files is not None:
        broker.logs.files = files
    addresses: list[tuple[str, int]] = []
    ready = trio.Event()

    def on_ready(host: str, port: int) -> None:
        addresses.append((host, port))
        ready.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(broker.run, on_ready)
        await ready.wait()
        stream = await trio.open_tcp_stream(*addresses[0])
        yield broker, Client(stream)
        await stream.aclose()
        broker.stop()


async def create(client: Client, name: str, partitions: int = 1) -> None:
    topic = CreatableTopic(name=name, num_partitions=partitions, replication_factor=1)
    response = await client.ask(CreateTopicsRequest(topics=[topic], timeout_ms=10_000), 7)
    assert response.topics[0].error_code == 0


async def produce(client: Client, topic: str, value: bytes) -> int:
    batch = bytes(build_batch([(None, value, [], 1_700_000_000_000)]))
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=batch)])
    response = await client.ask(ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data]), 9)
    row = response.responses[0].partition_responses[0]
    assert row.error_code == 0
    return int(row.base_offset)


async def is_served(client: Client) -> bool:
    try:
        await client.ask(ApiVersionsRequest(), 0)
    except (EOFError, trio.BrokenResourceError):
        return False
    return True


def fetch_request(topic: str, offset: int = 0, max_wait_ms: int = 0) -> FetchRequest:
    wanted = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=1 << 20)
    topics = [FetchTopic(topic=topic, partitions=[wanted])]
    return FetchRequest(max_wait_ms=max_wait_ms, min_bytes=1, max_bytes=1 << 20, session_epoch=-1, topics=topics)


async def fetched(client: Client, topic: str) -> bytes:
    response = await client.ask(fetch_request(topic), 12)
    return bytes(response.responses[0].partitions[0].records)


@pytest.mark.parametrize("controlled", ["true", "false"])
async def test_what_was_written_is_there_after_a_restart(tmp_path: Path, controlled: str) -> None:
    async with running(tmp_path, controlled_shutdown_enable=controlled) as (broker, client):
        cluster_id = broker.cluster_id
        await create(client, "kept")
        assert await produce(client, "kept", b"first") == 0
    async with running(tmp_path) as (broker, client):
        assert broker.cluster_id == cluster_id
        assert await produce(client, "kept", b"second") == 1
        records = await fetched(client, "kept")
        assert b"first" in records
        assert b"second" in records


def limits_of(broker: Broker) -> set[tuple[int, int]]:
    return {(log.config.max_message_bytes, log.producer_state.expiration_ms) for log in broker.logs.all()}


async def test_configs_change_while_it_runs_and_are_kept(tmp_path: Path) -> None:
    changes = {"message.max.bytes": "2000", "producer.id.expiration.ms": "5", "max.connections.per.ip": "1"}
    configs = [AlterableConfig(name=name, config_operation=AlterConfigOp.SET, value=v) for name, v in changes.items()]
    every_broker = AlterConfigsResource(resource_type=ConfigResourceType.BROKER, resource_name="", configs=configs)
    async with running(tmp_path) as (broker, client):
        await create(client, "t")
        response = await client.ask(IncrementalAlterConfigsRequest(resources=[every_broker]), 1)
        assert response.responses[0].error_code == 0
        assert {(log.config.max_message_bytes, log.producer_state.expiration_ms) for log in broker.logs.all()} == {
            (2000, 5)
        }
        refused = Client(await trio.open_tcp_stream("127.0.0.1", client.stream.socket.getpeername()[1]))
        assert not await is_served(refused)
        await refused.stream.aclose()
    async with running(tmp_path) as (broker, _):
        assert (broker.config.message_max_bytes, broker.config.max_connections_per_ip) == (2000, 1)
        assert {(log.config.max_message_bytes, log.producer_state.expiration_ms) for log in broker.logs.all()} == {
            (2000, 5)
        }


async def test_a_stop_answers_the_fetch_that_waits(tmp_path: Path, loop_clock: LoopClock) -> None:
    async with running(tmp_path) as (broker, client):
        await create(client, "empty")
        await client.send(fetch_request("empty", max_wait_ms=30_000), 12)
        while not broker.replicas.waiting_rows:
            await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(10):
            broker.stop()
            response = await client.receive(ApiKey.FETCH, 12)
            assert response.responses[0].partitions[0].records == b""
            while await is_served(client):
                pass


async def test_checkpoints_of_the_end_are_written_by_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop_clock: LoopClock
) -> None:
    """A housekeeping that still ran renamed the file that the thread was about to rename."""
    events: list[str] = []

    class Watched(Housekeeping):
        async def run(self) -> None:
            try:
                await super().run()
            finally:
                events.append("housekeeping ended")

    monkeypatch.setattr("pykbroker.broker.Housekeeping", Watched)
    async with running(tmp_path) as (broker, _):
        shutdown = broker.logs.shutdown
        monkeypatch.setattr(broker.logs, "shutdown", lambda epoch: (events.append("shutdown"), shutdown(epoch)))
    assert events == ["housekeeping ended", "shutdown"]


async def test_while_it_stops_it_begins_to_follow_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop_clock: LoopClock
) -> None:
    """Its logs are being closed, and the tasks of its fetchers would have nobody any more."""
    topic_id = Uuid.random()
    async with running(tmp_path) as (broker, _):
        publisher, shutdown = broker._shared.publisher, broker.logs.shutdown

        def shut_down(epoch: int) -> None:
            delta = MetadataDelta(publisher.image)
            delta.replay(TopicRecord(name="late", topic_id=topic_id))
            replicas = [NODE_ID, NODE_ID + 1]
            delta.replay(
                PartitionRecord(
                    topic_id=topic_id,
                    replicas=replicas,
                    isr=replicas,
                    leader=NODE_ID + 1,
                    directories=[DIRECTORY_UNASSIGNED] * 2,
                )
            )
            trio.from_thread.run_sync(publisher.publish, delta, delta.apply(publisher.image.offset + 2, 1))
            shutdown(epoch)

        monkeypatch.setattr(broker.logs, "shutdown", shut_down)
    assert publisher.image.topics.by_id(topic_id) is not None
    assert not (tmp_path / "late-0").exists()


async def test_clients_are_told_the_address_by_which_they_came(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        response = await client.ask(MetadataRequest(topics=[]), 12)
        assert [(one.node_id, one.host, one.port) for one in response.brokers] == [
            (NODE_ID, *client.stream.socket.getpeername())
        ]


async def test_clients_are_told_what_is_advertised(tmp_path: Path) -> None:
    async with running(tmp_path, advertised_listeners="PLAINTEXT://example.test:19092") as (_, client):
        response = await client.ask(MetadataRequest(topics=[]), 12)
        assert [(one.host, one.port) for one in response.brokers] == [("example.test", 19092)]


async def test_an_advertised_port_0_is_the_one_that_the_listener_got(tmp_path: Path) -> None:
    async with running(tmp_path, advertised_listeners="PLAINTEXT://example.test:0") as (broker, client):
        response = await client.ask(MetadataRequest(topics=[]), 12)
        port = client.stream.socket.getpeername()[1]
        assert [(node.host, node.port) for node in response.brokers] == [("example.test", port)]
        (registered,) = broker.image.brokers[NODE_ID].endpoints
        assert (registered.host, registered.port) == ("example.test", port)


async def test_nodes_that_are_not_there_have_no_address(tmp_path: Path) -> None:
    async with running(tmp_path) as (broker, _):
        with pytest.raises(KafkaError) as raised:
            broker.endpoint_for(RequestContext(ApiKey.METADATA, 12), NODE_ID + 1)
        assert raised.value.code == ErrorCode.BROKER_NOT_AVAILABLE


async def test_the_group_coordinator_is_found_and_its_topic_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_loop, "PIECE", 0.0)  # as if each step of taking over the topic were long
    async with running(tmp_path, offsets_topic_num_partitions="3") as (broker, client):
        response = await client.ask(FindCoordinatorRequest(key_type=0, coordinator_keys=["group"]), 4)
        assert (response.coordinators[0].error_code, response.coordinators[0].node_id) == (0, NODE_ID)
        assert len(broker.image.topics.by_name["__consumer_offsets"].partitions) == 3
        assert sorted(broker.groups.runtime.partitions()) == [0, 1, 2]
        # Who had to ask again would pause first: a tenth of a second with most clients.
        assert all(broker.groups.runtime.is_active(partition) for partition in range(3))


async def test_topics_are_made_on_demand(tmp_path: Path) -> None:
    async with running(tmp_path, num_partitions="2") as (broker, client):
        asked = MetadataRequest(topics=[MetadataRequestTopic(name="wanted")], allow_auto_topic_creation=True)
        await client.ask(asked, 9)
        assert len(broker.image.topics.by_name["wanted"].partitions) == 2


async def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    async with running(tmp_path / "one") as (_, client):
        port = client.stream.socket.getpeername()[1]
        other = Broker(config_of(tmp_path / "two", listeners=f"PLAINTEXT://127.0.0.1:{port}"))
        with pytest.raises(StartError, match=f"127.0.0.1:{port} is in use"):
            await other.run(lambda host, port: None)
    assert not (tmp_path / "two").exists()


async def test_another_nodes_directory_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path):
        pass
    with pytest.raises(StartError, match="belongs to node 7, not 8"):
        await Broker(config_of(tmp_path, node_id="8")).run(lambda host, port: None)


async def test_the_metadata_log_may_have_a_directory_of_its_own(tmp_path: Path) -> None:
    apart = str(tmp_path / "metadata")
    async with running(tmp_path, metadata_log_dir=apart) as (broker, client):
        cluster_id = broker.cluster_id
        await create(client, "kept")
        await produce(client, "kept", b"first")
    assert {path.name for path in (tmp_path / "data").iterdir()} >= {"kept-0", "meta.properties"}
    assert not (tmp_path / "data" / "__cluster_metadata-0").exists()
    assert (tmp_path / "metadata" / "__cluster_metadata-0").is_dir()
    async with running(tmp_path, metadata_log_dir=apart) as (broker, client):
        assert broker.cluster_id == cluster_id
        assert b"first" in await fetched(client, "kept")


async def test_directories_of_two_clusters_are_refused(tmp_path: Path) -> None:
    async with running(tmp_path / "one"):
        pass
    async with running(tmp_path / "two"):
        pass
    mixed = Broker(config_of(tmp_path / "one", metadata_log_dir=str(tmp_path / "two" / "data")))
    with pytest.raises(StartError, match="belongs to cluster"):
        await mixed.run(lambda host, port: None)


async def test_damaged_metadata_is_one_clear_line(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        await create(client, "kept")
    quorum_state = tmp_path / "data" / "__cluster_metadata-0" / "quorum-state"
    quorum_state.write_text("{}")
    with pytest.raises(StartError, match=str(quorum_state)):
        await Broker(config_of(tmp_path)).run(lambda host, port: None)


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)])
async def test_who_opens_it_to_the_network_is_warned(
    host: str, warned: bool, tmp_path: Path, loop_clock: LoopClock, caplog: pytest.LogCaptureFixture
) -> None:
    """scenarios.md section 3, default exposure: PLAINTEXT without authentication on a public address."""
    async with running(tmp_path, listeners=f"PLAINTEXT://{host}:0"):
        pass
    assert ("is open to other machines without authentication" in caplog.text) is warned


async def test_a_client_that_unregisters_the_broker_does_not_stop_it(tmp_path: Path, loop_clock: LoopClock) -> None:
    """Found by the fuzzer; it registers anew and leads its partitions again, and nothing is lost."""
    async with running(tmp_path, broker_heartbeat_interval_ms="20") as (broker, client):
        await create(client, "topic")
        await produce(client, "topic", b"kept")
        epoch = broker.image.brokers[NODE_ID].epoch
        assert (await client.ask(UnregisterBrokerRequest(broker_id=NODE_ID), 0)).error_code == 0
        while NODE_ID not in broker.image.brokers or broker.image.brokers[NODE_ID].fenced:  # noqa: ASYNC110
            await trio.sleep(0.01)
        assert broker.image.brokers[NODE_ID].epoch > epoch
        assert await produce(client, "topic", b"next") == 1


async def test_many_partitions_hold_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop_clock: LoopClock
) -> None:
    """Each partition is a turn of its own here, when the topic is made and when the broker starts."""
    monkeypatch.setattr("pykbroker.metadata.publisher_loop.PIECE", 0)
    turns, seen = [0], set()

    async def count() -> None:
        while True:
            turns[0] += 1
            await trio.lowlevel.checkpoint()

    become = ReplicaManager._become

    def watched(replicas: ReplicaManager, *arguments: Any) -> None:
        seen.add(turns[0])
        become(replicas, *arguments)

    monkeypatch.setattr(ReplicaManager, "_become", watched)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        async with running(tmp_path) as (broker, client):
            await create(client, "many", 50)
            while len(list(broker.replicas)) < 50:
                await client.ask(ApiVersionsRequest(), 0)
        assert len(seen) >= 25  # two may share a turn of the counter
        seen.clear()
        async with running(tmp_path) as (broker, _):
            assert [partition.is_leader for partition in broker.replicas] == [True] * 50
        assert len(seen) >= 25
        nursery.cancel_scope.cancel()
