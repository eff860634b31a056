"""Asks the share coordinator for the state of one topic's share partitions, as another broker would."""

from collections.abc import Sequence
from typing import Any

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.delete_share_group_state import DeleteShareGroupStateRequest, DeleteStateData
from pykbroker.protocol.messages.delete_share_group_state import PartitionData as DeletePartition
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
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
from tests.handlers.broker.asker import Asker, Topic
from tests.handlers.cluster_asker import eventually, unique

SHARE = 2
LATER = {
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
}
NEGATIVE = "The partition id cannot be a negative number."
NO_TOPIC = "This server does not host this topic-partition."
OLD_LEADER = "The leader epoch in the request is older than the epoch on the broker."
OLD_STATE = "The share coordinator rejected the request because the share-group state epoch did not match."

# (first offset, last offset, delivery state, delivery count)
Batch = tuple[int, int, int, int]


class ShareState:
    """Rows are PartitionResults. With the broker's coordinators loaded, whatever partition of theirs it may be."""

    def __init__(self, asker: Asker, topic: Topic | None = None, group: str | None = None) -> None:
        self.asker = asker
        self.topic = topic or asker.create(2)
        self.group = group or unique("share-group")
        for partition in (0, 1):
            eventually(lambda index=partition: self.found(index), lambda code: code not in LATER)  # type: ignore[misc]
            eventually(
                lambda index=partition: self.summary(index).error_code,  # type: ignore[misc]
                lambda code: code not in LATER,
            )

    def found(self, partition: int) -> int:
        key = f"{self.group}:{self.topic.id}:{partition}"
        request = FindCoordinatorRequest(key_type=SHARE, coordinator_keys=[key])
        return int(self.asker.ask(request, 6).coordinators[0].error_code)

    def row_of(self, response: Any) -> Any:
        (topic,) = response.results
        assert topic.topic_id == self.topic.id
        (row,) = topic.partitions
        return row

    def initialize(self, partition: int = 0, state_epoch: int = 0, start_offset: int = 0) -> Any:
        rows = [InitializePartition(partition, state_epoch, start_offset)]
        topics = [InitializeStateData(self.topic.id, rows)]
        return self.row_of(self.asker.ask(InitializeShareGroupStateRequest(self.group, topics), 0))

    def read(self, partition: int = 0, leader_epoch: int = -1) -> Any:
        topics = [ReadStateData(self.topic.id, [ReadPartition(partition, leader_epoch)])]
        return self.row_of(self.asker.ask(ReadShareGroupStateRequest(self.group, topics), 0))

    def write(
        self,
        *batches: Batch,
        partition: int = 0,
        state_epoch: int = 0,
        leader_epoch: int = 0,
        start_offset: int = -1,
        complete: int = -1,
        version: int = 1,
    ) -> Any:
        rows = [
            WritePartition(
                partition, state_epoch, leader_epoch, start_offset, complete, [StateBatch(*batch) for batch in batches]
            )
        ]
        topics = [WriteStateData(self.topic.id, rows)]
        return self.row_of(self.asker.ask(WriteShareGroupStateRequest(self.group, topics), version))

    def delete(self, partition: int = 0) -> Any:
        topics = [DeleteStateData(self.topic.id, [DeletePartition(partition)])]
        return self.row_of(self.asker.ask(DeleteShareGroupStateRequest(self.group, topics), 0))

    def summary(self, partition: int = 0, version: int = 1) -> Any:
        topics = [ReadStateSummaryData(self.topic.id, [SummaryPartition(partition, -1)])]
        return self.row_of(self.asker.ask(ReadShareGroupStateSummaryRequest(self.group, topics), version))

    def of_unknown_topic(self) -> "ShareState":
        other = ShareState.__new__(ShareState)
        other.asker, other.topic, other.group = self.asker, Topic("gone", type(self.topic.id).random()), self.group
        return other


def told(row: Any) -> tuple[int, str | None]:
    return row.error_code, row.error_message


def batches(row: Any) -> Sequence[Batch]:
    return [
        (item.first_offset, item.last_offset, item.delivery_state, item.delivery_count) for item in row.state_batches
    ]


def state(row: Any) -> tuple[int, int, Sequence[Batch]]:
    """(state epoch, start offset, batches)"""
    assert row.error_code == 0, row
    return row.state_epoch, row.start_offset, batches(row)


def summed(row: Any) -> tuple[int, int, int, int]:
    """(state epoch, leader epoch, start offset, delivery complete count)"""
    assert row.error_code == 0, row
    return row.state_epoch, row.leader_epoch, row.start_offset, row.delivery_complete_count
