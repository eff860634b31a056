"""Where partitions end that other brokers lead, for the lag of share groups. Sans-I/O.
(NetworkPartitionMetadataClient)
"""

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from pykbroker.coordinator.broker_queue import BrokerQueue
from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition
from pykbroker.pending import Pending
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message

LATEST: Final = -1
CONSUMER: Final = -1


class _Entry(NamedTuple):
    tp: TopicPartition
    pending: Pending[int]


class LatestOffsets(BrokerQueue[_Entry]):
    def ask(self, broker_id: int, tp: TopicPartition) -> Pending[int]:
        """The high watermark; fails with a KafkaError."""
        entry = _Entry(tp, Pending())
        self.put(broker_id, entry)
        return entry.pending

    def choose(self, entries: list[_Entry]) -> tuple[list[_Entry], list[_Entry]]:
        return entries, []

    def request(self, entries: list[_Entry]) -> "tuple[int, int, Message]":
        topics: dict[str, set[int]] = {}
        for entry in entries:
            topics.setdefault(entry.tp.topic, set()).add(entry.tp.partition)
        rows = [
            ListOffsetsTopic(
                name=name,
                partitions=[ListOffsetsPartition(partition_index=index, timestamp=LATEST) for index in sorted(indexes)],
            )
            for name, indexes in topics.items()
        ]
        return ApiKey.LIST_OFFSETS, 1, ListOffsetsRequest(replica_id=CONSUMER, topics=rows)

    def answer(self, entries: list[_Entry], response: "Message") -> None:
        answers = {
            (topic.name, row.partition_index): row
            for topic in cast(ListOffsetsResponse, response).topics
            for row in topic.partitions
        }
        for entry in entries:
            row = answers.get(entry.tp)
            if row is None:
                entry.pending.try_fail(KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
            elif row.error_code:
                entry.pending.try_fail(KafkaError(row.error_code))
            else:
                entry.pending.try_complete(row.offset)

    def fail(self, entries: list[_Entry], error: KafkaError) -> None:
        for entry in entries:
            entry.pending.try_fail(error)
