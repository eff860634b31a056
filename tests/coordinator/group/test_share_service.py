"""Share groups between the coordinator and its persister: what is asked, what is noted, what is answered."""

from typing import Any

import pytest
import trio
import trio.testing

from pykbroker.clock import ManualClock
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.coordinator.group.service import GroupCoordinatorService
from pykbroker.coordinator.group.share_initialization_loop import ShareInitializationLoop
from pykbroker.coordinator.group.share_service import ShareGroupService
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages import delete_share_group_state as deleting
from pykbroker.protocol.messages import initialize_share_group_state as initializing
from pykbroker.protocol.messages import read_share_group_state_summary as reading
from pykbroker.protocol.messages.alter_share_group_offsets import (
    AlterShareGroupOffsetsRequest,
    AlterShareGroupOffsetsRequestPartition,
    AlterShareGroupOffsetsRequestTopic,
)
from pykbroker.protocol.messages.delete_share_group_offsets import (
    DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsRequestTopic,
)
from pykbroker.protocol.messages.share_group_heartbeat import ShareGroupHeartbeatRequest
from pykbroker.request import RequestContext
from tests.coordinator.group.consumer_plays import topic_id, topics_image
from tests.coordinator.memory_log import MemoryLog

CTX = RequestContext(76, 1, client_id="c", client_host="10.0.0.1")
T = topic_id("t")


class FakePersister:
    """Knows start offset and delivered count by partition; answers `error` to everything if it is set."""

    def __init__(self) -> None:
        self.offsets: dict[int, tuple[int, int]] = {}
        self.error = 0

    async def initialize_state(self, request: Any) -> Any:
        results = []
        for topic in request.topics:
            for row in topic.partitions:
                if not self.error:
                    self.offsets[row.partition] = (row.start_offset, 0 if row.start_offset >= 0 else -1)
            rows = [initializing.PartitionResult(p.partition, self.error, "no") for p in topic.partitions]
            results.append(initializing.InitializeStateResult(topic.topic_id, rows))
        return initializing.InitializeShareGroupStateResponse(results=results)

    async def delete_state(self, request: Any) -> Any:
        results = []
        for topic in request.topics:
            for row in topic.partitions:
                if not self.error:
                    self.offsets.pop(row.partition, None)
            rows = [deleting.PartitionResult(p.partition, self.error, "no") for p in topic.partitions]
            results.append(deleting.DeleteStateResult(topic.topic_id, rows))
        return deleting.DeleteShareGroupStateResponse(results=results)

    async def read_summary(self, request: Any) -> Any:
        results = []
        for topic in request.topics:
            rows = []
            for row in topic.partitions:
                start, delivered = self.offsets.get(row.partition, (-1, -1))
                result = reading.PartitionResult(row.partition, self.error, "no")
                result.start_offset, result.delivery_complete_count, result.leader_epoch = start, delivered, 2
                rows.append(result)
            results.append(reading.ReadStateSummaryResult(topic.topic_id, rows))
        return reading.ReadShareGroupStateSummaryResponse(results=results)


class Stand:
    def __init__(self) -> None:
        self.persister = FakePersister()
        self.end: int | Pending[int] | KafkaError = 10
        image = topics_image({"t": 2})
        self.groups = GroupCoordinatorService(
            BrokerConfig(), ManualClock(), MemoryLog(), lambda: 1, image=lambda: image
        )
        self.groups.on_elected(0, 1)
        self.initializations = ShareInitializationLoop()
        self.service = ShareGroupService(
            self.groups,
            self.persister,  # type: ignore[arg-type]
            lambda: image,
            self._end,
            soon=self.initializations.soon,
        )

    def _end(self, tp: TopicPartition) -> int | Pending[int]:
        if isinstance(self.end, KafkaError):
            raise self.end
        return self.end

    async def beat(self, epoch: int, **fields: Any) -> Any:
        values: dict[str, Any] = {"group_id": "g", "member_id": "a", "member_epoch": epoch}
        return await self.service.heartbeat(CTX, ShareGroupHeartbeatRequest(**(values | fields)))

    async def alter(self, offsets: dict[int, int], group: str = "g") -> Any:
        rows = [AlterShareGroupOffsetsRequestPartition(partition_index=p, start_offset=o) for p, o in offsets.items()]
        topics = [AlterShareGroupOffsetsRequestTopic(topic_name="t", partitions=rows)]
        return await self.service.alter_offsets(AlterShareGroupOffsetsRequest(group_id=group, topics=topics))

    async def delete_offsets(self, group: str = "g") -> Any:
        topics = [DeleteShareGroupOffsetsRequestTopic(topic_name="t")]
        return await self.service.delete_offsets(DeleteShareGroupOffsetsRequest(group_id=group, topics=topics))

    @property
    def states(self) -> Any:
        group: Any = self.groups.runtime.shard(0).groups.get("g")
        return group.states

    async def described(self) -> list[tuple[int, int, int, int, int]]:
        topics = await self.service.describe_offsets("g", None)
        return [
            (row.partition_index, row.start_offset, row.leader_epoch, row.lag, row.error_code)
            for topic in topics
            for row in topic.partitions
        ]


async def test_partitions_are_initialized_behind_the_back_of_the_member() -> None:
    stand = Stand()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stand.initializations.run)
        answer = await stand.beat(0, subscribed_topic_names=["t"])
        assert (answer.member_epoch, answer.assignment.topic_partitions) == (2, [])
        await trio.testing.wait_all_tasks_blocked()
        assert list(stand.states.initialized) == [T]
        nursery.cancel_scope.cancel()
    assert await stand.described() == [(0, -1, 2, -1, 0), (1, -1, 2, -1, 0)]


async def test_what_the_persister_refuses_is_given_up() -> None:
    stand = Stand()
    stand.persister.error = E.COORDINATOR_NOT_AVAILABLE
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stand.initializations.run)
        await stand.beat(0, subscribed_topic_names=["t"])
        await trio.testing.wait_all_tasks_blocked()
        assert (stand.states.initializing, stand.states.initialized) == ({}, {})
        nursery.cancel_scope.cancel()


async def test_a_coordinator_that_moved_away_meanwhile_is_no_reason_to_stop() -> None:
    stand = Stand()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stand.initializations.run)
        await stand.beat(0, subscribed_topic_names=["t"])
        stand.groups.on_resigned(0, 2)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    with pytest.raises(KafkaError) as raised:
        await stand.beat(2)
    assert raised.value.code == E.NOT_COORDINATOR


async def test_offsets() -> None:
    stand = Stand()
    (row,) = await stand.alter({0: 4, 1: 0})
    assert [p.error_code for p in row.partitions] == [0, 0]
    stand.persister.offsets[0] = (4, 3)
    assert await stand.described() == [(0, 4, 2, 3, 0), (1, 0, 2, 10, 0)]
    stand.end = KafkaError(E.NOT_LEADER_OR_FOLLOWER)
    assert {row[1:] for row in await stand.described()} == {(0, 0, -1, E.NOT_LEADER_OR_FOLLOWER)}
    stand.persister.error = E.NOT_COORDINATOR
    assert await stand.described() == [(0, -1, 0, -1, 0), (1, -1, 0, -1, 0)]


@pytest.mark.parametrize(
    ("answer", "row"),
    [(12, (0, 4, 2, 5, 0)), (KafkaError(E.NETWORK_EXCEPTION), (0, 0, 0, -1, E.NETWORK_EXCEPTION))],
)
async def test_ends_of_partitions_led_elsewhere(answer: int | KafkaError, row: tuple[int, ...]) -> None:
    stand = Stand()
    await stand.alter({0: 4})
    stand.persister.offsets[0] = (4, 3)
    stand.end = pending = Pending()
    described = []

    async def describe() -> None:
        described.extend(await stand.described())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(describe)
        await trio.testing.wait_all_tasks_blocked()
        if isinstance(answer, KafkaError):
            pending.fail(answer)
        else:
            pending.complete(answer)
    assert described == [row]


async def test_an_alteration_that_the_persister_refuses() -> None:
    stand = Stand()
    stand.persister.error = E.FENCED_STATE_EPOCH
    (row,) = await stand.alter({0: 4, 5: 0})
    told = [(p.error_code, p.error_message) for p in row.partitions]
    unknown = "This server does not host this topic-partition."
    assert told == [(E.FENCED_STATE_EPOCH, "no"), (E.UNKNOWN_TOPIC_OR_PARTITION, unknown)]
    assert not stand.states.initialized


async def test_deletions() -> None:
    stand = Stand()
    await stand.alter({0: 0, 1: 0})
    stand.persister.error = E.COORDINATOR_LOAD_IN_PROGRESS
    (row,) = await stand.delete_offsets()
    assert (row.topic_name, row.error_code) == ("t", E.COORDINATOR_LOAD_IN_PROGRESS)
    assert list(stand.states.deleting) == [T]
    (group,) = await stand.service.delete_groups(CTX, ["g"])
    assert group.error_code == E.COORDINATOR_LOAD_IN_PROGRESS
    stand.persister.error = 0
    (row,) = await stand.delete_offsets()
    assert (row.topic_id, row.error_code, row.error_message) == (T, 0, None)
    assert (stand.persister.offsets, list(stand.states.deleting)) == ({}, [])
    rows = await stand.service.delete_groups(CTX, ["g", "nosuch"])
    assert {row.group_id: row.error_code for row in rows} == {"g": 0, "nosuch": E.GROUP_ID_NOT_FOUND}


async def test_groups_without_a_name() -> None:
    stand = Stand()
    for ask in (stand.alter({0: 0}, ""), stand.delete_offsets(" ")):
        with pytest.raises(KafkaError) as raised:
            await ask
        assert raised.value.code == E.INVALID_GROUP_ID
    (row,) = await stand.service.describe([""])
    assert row.error_code == E.INVALID_GROUP_ID
