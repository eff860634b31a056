"""Log, publisher, controller, loops and lifecycle put together as the docstring of pykbroker.controller says."""

from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from pykbroker.clock import SystemClock
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.topic_config import TopicConfig
from pykbroker.controller.controller import Controller
from pykbroker.controller.controller_loop import ControllerLoop
from pykbroker.controller_link.lifecycle_loop import LifecycleLoop
from pykbroker.controller_link.local import LocalControllerLink
from pykbroker.ids import Uuid
from pykbroker.log.log_manager import LogManager
from pykbroker.metadata.publisher import MetadataPublisher
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.messages.create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from pykbroker.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from pykbroker.raft.opening import open_metadata_log
from pykbroker.request import RequestContext
from tests.controller.nodes import ENDPOINT
from tests.log.logs import golden_directory
from tests.raft.logs import config


class Node:
    """What broker.py has of the control plane."""

    def __init__(self, folder: Path, settings: BrokerConfig) -> None:
        clock = SystemClock()
        self.logs = LogManager([str(folder)], clock=clock)
        self.cluster_id = self.logs.open(node_id=1, cluster_id=None, new_cluster_id=lambda: str(Uuid.random()))
        directory = self.logs.directories[0]
        self.log = open_metadata_log(directory.path, files=self.logs.files, clock=clock, config=settings)
        self.publisher = MetadataPublisher(self.cluster_id)
        self.controller = Controller(
            node_id=1,
            cluster_id=self.cluster_id,
            config=settings,
            clock=clock,
            log=self.log,
            publisher=self.publisher,
            directory_id=directory.id,
        )
        self.link = LocalControllerLink(self.controller, 1)
        self.lifecycle = LifecycleLoop(
            link=self.link,
            config=settings,
            image=lambda: self.publisher.image,
            node_id=1,
            cluster_id=self.cluster_id,
            incarnation_id=Uuid.random(),
            directory_ids=self.logs.directory_ids,
            endpoints=[ENDPOINT],
            previous_epoch=self.logs.previous_broker_epoch(),
        )

    @property
    def image(self):
        return self.publisher.image

    async def ask(self, api, version, request):
        return await self.link.forward(RequestContext(api, version), request)

    async def create(self, name, partitions, **configs):
        settings = [CreatableTopicConfig(name=key.replace("_", "."), value=value) for key, value in configs.items()]
        topic = CreatableTopic(name=name, num_partitions=partitions, replication_factor=1, configs=settings)
        response = await self.ask(ApiKey.CREATE_TOPICS, 7, CreateTopicsRequest(topics=[topic], timeout_ms=1000))
        assert response.topics[0].error_code == 0, response.topics[0].error_message


@asynccontextmanager
async def running(folder, *, stops_in_order, **values):
    node = Node(folder, config(node_id=1, **values))
    node.controller.start()
    async with trio.open_nursery() as nursery:
        await nursery.start(ControllerLoop(node.controller).run)
        epoch = await node.lifecycle.register()
        await trio.to_thread.run_sync(node.logs.load, lambda _topic: TopicConfig())
        await node.lifecycle.unfence()
        nursery.start_soon(node.lifecycle.run)
        yield node
        if stops_in_order:
            await node.lifecycle.controlled_shutdown()
            node.logs.shutdown(epoch)
        nursery.cancel_scope.cancel()
    if stops_in_order:
        node.controller.close()
    node.logs.release()


def content(image):
    """The cluster apart from who was started when."""
    return image._replace(offset=0, epoch=0, brokers={}, controllers={}, topics=None), {
        topic.name: (
            topic.id,
            {
                index: partition._replace(leader_epoch=0, partition_epoch=0, leader_recovery_state=0)
                for index, partition in topic.partitions.items()
            },
        )
        for topic in image.topics
    }


@pytest.mark.parametrize("stops_in_order", [True, False])
async def test_everything_is_there_again_after_a_stop_and_after_a_kill(tmp_path, stops_in_order):
    expected = None
    for start in range(1, 5):
        async with running(
            tmp_path, stops_in_order=stops_in_order, metadata_log_max_record_bytes_between_snapshots=3000
        ) as node:
            if expected is not None:
                assert content(node.image) == expected
            await node.create(f"t{start}", 3, retention_ms="1000")
            await node.create(f"gone{start}", 1)
            gone = DeleteTopicsRequest(topics=[DeleteTopicState(name=f"gone{start}")], timeout_ms=1000)
            await node.ask(ApiKey.DELETE_TOPICS, 6, gone)
            assert await node.link.allocate_producer_ids() == (1000 * (start - 1), 1000)
            assert node.image.topics.names() == [f"t{number}" for number in range(1, start + 1)]
            assert {p.leader for topic in node.image.topics for p in topic.partitions.values()} == {1}
            # A kill makes every partition a recovering one, an orderly stop none.
            states = {p.leader_recovery_state for p in node.image.topics.get("t1").partitions.values()}
            assert states == ({0} if stops_in_order or start == 1 else {1})
            expected = content(node.image)


async def test_topics_survive_a_snapshot(tmp_path):
    for number in range(12):
        async with running(
            tmp_path, stops_in_order=False, metadata_log_max_record_bytes_between_snapshots=1500
        ) as node:
            assert node.image.topics.names() == [f"t{before}" for before in range(number)]
            await node.create(f"t{number}", 5)
    assert list((tmp_path / "__cluster_metadata-0").glob("*.checkpoint"))


@pytest.mark.parametrize("state", ["clean", "killed", "torn"])
async def test_a_directory_of_the_real_kafka_goes_on(tmp_path, state):
    data, manifest = golden_directory(state, tmp_path)
    async with running(data, stops_in_order=True) as node:
        assert node.cluster_id == manifest["served"]["cluster_id"]
        # Killed, it was served after a restart; stopped, before the stop.
        later = 2 if state == "clean" else 0
        for name, row in manifest["served"]["topics"].items():
            topic = node.image.topics.get(name)
            assert topic is not None
            assert str(topic.id) == row["topic_id"]
            for index, served in row["partitions"].items():
                partition = topic.partitions[int(index)]
                assert (partition.leader, partition.isr) == (1, (1,))
                assert partition.leader_epoch == served["leader_epoch"] + later
        await node.create("new", 1)
    async with running(data, stops_in_order=True) as node:
        assert "new" in node.image.topics
