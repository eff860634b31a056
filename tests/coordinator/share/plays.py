"""A share coordinator on a log in memory, and short words for what is asked of it."""

from collections.abc import Awaitable
from typing import Any, TypeVar

import trio

from pykbroker.clock import ManualClock
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.coordinator.log_records import decode_batches
from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.coordinator.share.service import ShareCoordinatorService
from pykbroker.coordinator.share.share_group_offset import SharePartitionState
from pykbroker.coordinator.share.share_partition_key import SharePartitionKey
from pykbroker.coordinator.share.share_shard import ShareCoordinatorShard
from pykbroker.ids import TopicPartition, Uuid
from pykbroker.protocol.messages.delete_share_group_state import DeleteShareGroupStateRequest, DeleteStateData
from pykbroker.protocol.messages.delete_share_group_state import PartitionData as DeletePartition
from pykbroker.protocol.messages.initialize_share_group_state import (
    InitializeShareGroupStateRequest,
    InitializeStateData,
)
from pykbroker.protocol.messages.initialize_share_group_state import PartitionData as InitializePartition
from pykbroker.protocol.messages.read_share_group_state import PartitionData as ReadPartition
from pykbroker.protocol.messages.read_share_group_state import ReadShareGroupStateRequest, ReadStateData
from pykbroker.protocol.messages.read_share_group_state_summary import PartitionData as SummaryPartition
from pykbroker.protocol.messages.read_share_group_state_summary import (
    ReadShareGroupStateSummaryRequest,
    ReadStateSummaryData,
)
from pykbroker.protocol.messages.write_share_group_state import PartitionData as WritePartition
from pykbroker.protocol.messages.write_share_group_state import StateBatch, WriteShareGroupStateRequest, WriteStateData
from tests.coordinator.memory_log import MemoryLog

GROUP = "g"
TOPIC, OTHER = Uuid(b"a topic of theirs"[:16]), Uuid(b"another topic of them"[:16])
KEY = SharePartitionKey(GROUP, TOPIC, 0)
STATE = TopicPartition("__share_group_state", 0)

T = TypeVar("T")


class Topics:
    """TopicsImage and MetadataImage in one."""

    def __init__(self) -> None:
        self.partitions = {TOPIC: 3, OTHER: 1}
        self.topics = self

    def by_id(self, topic_id: Uuid) -> Any:
        count = self.partitions.get(topic_id)
        if count is None:
            return None
        topic = type("Topic", (), {})()
        topic.partitions = range(count)
        return topic


class SharePlay:
    """One partition of `__share_group_state`. After `ask` memory is what the log says."""

    def __init__(self, **overrides: Any) -> None:
        self.config = BrokerConfig()
        for name, value in overrides.items():
            setattr(self.config, name, value)
        self.clock = ManualClock()
        self.log = MemoryLog()
        self.image = Topics()
        self.epoch = 0
        image: Any = self.image
        self.service = ShareCoordinatorService(
            self.config, self.clock, self.log, partitions=lambda: 1, image=lambda: image
        )
        self.service.on_elected(0, self.epoch)

    @property
    def shard(self) -> ShareCoordinatorShard:
        return self.service.runtime.shard(0)

    @property
    def state(self) -> SharePartitionState:
        state = self.shard.table.get(KEY)
        assert state is not None
        return state

    def ask(self, awaitable: Awaitable[T]) -> T:
        async def answer() -> T:
            with trio.fail_after(1):
                return await awaitable

        response = trio.run(answer)
        self.check_log()
        return response

    def check_log(self) -> None:
        """Pruned records take the epochs that they fence and their number along, as in Kafka; the state is there."""
        if not self.service.runtime.is_active(0):
            return
        mine, logged = dict(self.shard.table.items()), dict(self.replayed().table.items())
        if STATE in self.log.start:
            assert {key: row.offset for key, row in mine.items()} == {key: row.offset for key, row in logged.items()}
        else:
            assert mine == logged

    def replayed(self) -> ShareCoordinatorShard:
        shard = ShareCoordinatorShard(self.config, self.clock, lambda _: None)
        for offset, record in self.records():
            shard.replay(offset, -1, record)
        return shard

    def records(self) -> list[tuple[int, CoordinatorRecord]]:
        return [
            (entry.offset, entry.content)
            for batch in self.log.batches.get(STATE, ())
            for entry in decode_batches("share", batch)
            if isinstance(entry.content, CoordinatorRecord)
        ]

    def reload(self) -> None:
        """The partition moves away and comes back."""
        self.service.on_resigned(0, None)
        self.epoch += 1
        self.service.on_elected(0, self.epoch)

    # -- requests for one share partition; the answer's row

    def initialize(self, key: SharePartitionKey = KEY, state_epoch: int = 0, start_offset: int = 0) -> Any:
        return row_of(self.ask(self.service.initialize_state(initialize_request(key, state_epoch, start_offset))))

    def read(self, key: SharePartitionKey = KEY, leader_epoch: int = -1) -> Any:
        rows = [ReadPartition(key.partition, leader_epoch)]
        request = ReadShareGroupStateRequest(key.group_id, [ReadStateData(key.topic_id, rows)])
        return row_of(self.ask(self.service.read_state(request)))

    def write(
        self,
        *batches: tuple[int, int, int, int],
        key: SharePartitionKey = KEY,
        state_epoch: int = 0,
        leader_epoch: int = 0,
        start_offset: int = -1,
        complete: int = 0,
    ) -> Any:
        request = write_request(
            *batches,
            key=key,
            state_epoch=state_epoch,
            leader_epoch=leader_epoch,
            start_offset=start_offset,
            complete=complete,
        )
        return row_of(self.ask(self.service.write_state(request)))

    def delete(self, key: SharePartitionKey = KEY) -> Any:
        rows = [DeletePartition(key.partition)]
        request = DeleteShareGroupStateRequest(key.group_id, [DeleteStateData(key.topic_id, rows)])
        return row_of(self.ask(self.service.delete_state(request)))

    def summary(self, key: SharePartitionKey = KEY) -> Any:
        rows = [SummaryPartition(key.partition, -1)]
        request = ReadShareGroupStateSummaryRequest(key.group_id, [ReadStateSummaryData(key.topic_id, rows)])
        return row_of(self.ask(self.service.read_summary(request)))


def initialize_request(
    key: SharePartitionKey = KEY, state_epoch: int = 0, start_offset: int = 0
) -> InitializeShareGroupStateRequest:
    rows = [InitializePartition(key.partition, state_epoch, start_offset)]
    return InitializeShareGroupStateRequest(key.group_id, [InitializeStateData(key.topic_id, rows)])


def write_request(
    *batches: tuple[int, int, int, int],
    key: SharePartitionKey = KEY,
    state_epoch: int = 0,
    leader_epoch: int = 0,
    start_offset: int = -1,
    complete: int = 0,
) -> WriteShareGroupStateRequest:
    found = [StateBatch(*batch) for batch in batches]
    rows = [WritePartition(key.partition, state_epoch, leader_epoch, start_offset, complete, found)]
    return WriteShareGroupStateRequest(key.group_id, [WriteStateData(key.topic_id, rows)])


def row_of(response: Any) -> Any:
    (topic,) = response.results
    (row,) = topic.partitions
    return row


def found_batches(row: Any) -> list[tuple[int, int, int, int]]:
    return [
        (item.first_offset, item.last_offset, item.delivery_state, item.delivery_count) for item in row.state_batches
    ]
