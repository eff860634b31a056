"""Handlers that make very many rows: the others have their turns in between, counted and not timed."""

from collections.abc import Callable, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from pykbroker.clock import SystemClock
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.coordinator.group.classic_group import ClassicGroup
from pykbroker.coordinator.group.service import GroupCoordinatorService
from pykbroker.coordinator.transaction.transaction_metadata import TransactionMetadata
from pykbroker.dispatch import count_rows
from pykbroker.handlers.broker import list_transactions, offset_fetch
from pykbroker.metadata.features import GROUP_VERSION, SHARE_VERSION, STREAMS_VERSION
from pykbroker.metadata.image import FeaturesImage
from pykbroker.pending import SLICE
from pykbroker.protocol.apis import API_TABLE
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from pykbroker.protocol.messages.delete_groups import DeleteGroupsRequest
from pykbroker.protocol.messages.describe_groups import DescribeGroupsRequest
from pykbroker.protocol.messages.describe_transactions import DescribeTransactionsRequest
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from pykbroker.protocol.messages.list_groups import ListGroupsRequest
from pykbroker.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from pykbroker.protocol.messages.list_transactions import ListTransactionsRequest
from pykbroker.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pykbroker.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from pykbroker.protocol.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from pykbroker.protocol.messages.share_group_describe import ShareGroupDescribeRequest
from pykbroker.protocol.messages.streams_group_describe import StreamsGroupDescribeRequest
from pykbroker.request import RequestContext
from tests.coordinator.group.speakers import FakeServices
from tests.coordinator.group.test_dialogues import TOPIC_IDS
from tests.coordinator.memory_log import MemoryLog
from tests.handlers.cluster_asker import ClusterAsker

PAUSES = 5
MANY = PAUSES * SLICE
OF_THE_GROUPS = (GROUP_VERSION, SHARE_VERSION, STREAMS_VERSION)
NAMES = [f"name-{number}" for number in range(MANY)]


async def turns_during(handling: Callable[[], Any]) -> tuple[int, Any]:
    """How often another task had its turn, and what came of it. One turn more or less is trio's chance."""
    turns = 0

    async def another() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(another)
        result = await handling()
        nursery.cancel_scope.cancel()
    return turns, result


def partitions_of(row: type) -> list[Any]:
    return [row(partition) for partition in range(MANY)]


def asking_for(*topics: Sequence[int]) -> OffsetFetchRequestGroup:
    rows = [OffsetFetchRequestTopics(name=f"t{n}", partition_indexes=list(rows)) for n, rows in enumerate(topics)]
    return OffsetFetchRequestGroup(group_id="g", topics=rows)


OF_GROUPS: list[tuple[Message, int]] = [
    (DescribeGroupsRequest(groups=NAMES), 6),
    (ConsumerGroupDescribeRequest(group_ids=NAMES), 1),
    (ConsumerGroupDescribeRequest(group_ids=[""] * MANY), 1),
    (ShareGroupDescribeRequest(group_ids=NAMES), 1),
    (StreamsGroupDescribeRequest(group_ids=NAMES), 0),
    (DeleteGroupsRequest(groups_names=NAMES), 2),
    (ListGroupsRequest(), 5),
    (OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=name, topics=None) for name in NAMES]), 8),
    (OffsetFetchRequest(groups=[asking_for(range(MANY))]), 8),
    (OffsetFetchRequest(groups=[asking_for(*([0] for _ in range(MANY)))]), 8),
]
OTHERS: list[tuple[Message, int]] = [
    (FindCoordinatorRequest(coordinator_keys=NAMES), 4),
    (DescribeTransactionsRequest(transactional_ids=NAMES), 0),
    (MetadataRequest(topics=[MetadataRequestTopic(name=name) for name in NAMES]), 9),
    (OffsetForLeaderEpochRequest(topics=[OffsetForLeaderTopic("t", partitions_of(OffsetForLeaderPartition))]), 4),
    (OffsetForLeaderEpochRequest(topics=[OffsetForLeaderTopic(name, []) for name in NAMES]), 4),
    (ListOffsetsRequest(topics=[ListOffsetsTopic("t", partitions_of(ListOffsetsPartition))]), 8),
    (ListOffsetsRequest(topics=[ListOffsetsTopic(name, []) for name in NAMES]), 8),
]


def named(value: object) -> str | None:
    return type(value).__name__ if isinstance(value, Message) else None


async def turns_of(broker: Any, request: Message, version: int) -> int:
    """And it makes a row for each of many."""
    handler = import_module(f"pykbroker.handlers.broker.{API_TABLE[request.API_KEY].module}")
    turns, response = await turns_during(
        lambda: handler.handle(broker, RequestContext(request.API_KEY, version), request)
    )
    assert count_rows(response) >= MANY
    return turns


def coordinating() -> tuple[GroupCoordinatorService, Any]:
    config = BrokerConfig()
    config.offsets_topic_num_partitions = 2
    service = GroupCoordinatorService(config, SystemClock(), MemoryLog(), image=lambda: broker.image)
    broker = FakeServices(config, service, TOPIC_IDS)
    for partition in range(2):
        service.on_elected(partition, 0)
    while service.runtime.step():
        pass
    return service, broker


@pytest.mark.parametrize(("request_", "version"), OF_GROUPS, ids=named)
async def test_of_groups(request_: Message, version: int) -> None:
    service, broker = coordinating()
    broker.image = broker.image._replace(features=FeaturesImage(dict.fromkeys(OF_THE_GROUPS, 1)))
    for name in NAMES:
        service.runtime.shard(service.partition_for(name)).groups.put(ClassicGroup(name, 0))
    for shard in service.runtime.shards():
        shard.timeline.commit(1)
    assert await turns_of(broker, request_, version) >= PAUSES - 1


@pytest.mark.parametrize(("request_", "version"), OTHERS, ids=named)
async def test_of_others(request_: Message, version: int, cluster: ClusterAsker) -> None:
    assert await turns_of(cluster.stand, request_, version) >= PAUSES - 1


@pytest.mark.parametrize("require_stable", [False, True])
async def test_offsets_in_parts_are_those_asked_for(require_stable: bool) -> None:
    """Each topic once, in the order asked for, its partitions too."""
    service, broker = coordinating()
    topics = [range(2 * SLICE, 0, -1), [3], [], range(SLICE + 1)]
    request = OffsetFetchRequest(groups=[asking_for(*topics)], require_stable=require_stable)
    committed = OffsetCommitRequestPartition(partition_index=7, committed_offset=77)
    rows = [OffsetCommitRequestTopic(name=name, partitions=[committed]) for name in ("t0", "t3")]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.runtime.run)
        ctx = RequestContext(9, 8)
        await service.offset_commit(ctx, OffsetCommitRequest(group_id="g", topics=rows))
        (group,) = (await offset_fetch.handle(broker, ctx, request)).groups
        nursery.cancel_scope.cancel()
    assert [topic.name for topic in group.topics] == ["t0", "t1", "t2", "t3"]
    assert [[row.partition_index for row in topic.partitions] for topic in group.topics] == list(map(list, topics))
    found = {
        (topic.name, row.partition_index)
        for topic in group.topics
        for row in topic.partitions
        if row.committed_offset == 77
    }
    assert found == {("t0", 7), ("t3", 7)}


async def test_transactions_that_are_not_listed_cost_time_too() -> None:
    broker: Any = SimpleNamespace(
        clock=SimpleNamespace(wall_ms=lambda: 0),
        transactions=SimpleNamespace(all=lambda: [TransactionMetadata("t", 1, 1000)] * MANY),
    )
    request = ListTransactionsRequest(state_filters=["Ongoing"])
    turns, response = await turns_during(lambda: list_transactions.handle(broker, RequestContext(66, 0), request))
    assert turns >= PAUSES - 1
    assert response.transaction_states == []
