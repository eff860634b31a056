"""Where partitions end that other brokers lead, for the lag of share groups. Sans-I/O.
(NetworkPartitionMetadataClient)
"""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from pykbroker.coordinator.broker_queue import BrokerQueue, BrokerRequest
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
# A broker that is not reached is asked again so often, after 1, 2, 4, 8 and 16 s, give or take a fifth.
RETRIES: Final = 5
FIRST_BACKOFF: Final = 1.0
JITTER: Final = 0.2


class _Entry(NamedTuple):
    """`failures`: how often its broker was not reached."""

    broker_id: int
    tp: TopicPartition
    pending: Pending[int]
    failures: int = 0


class LatestOffsets(BrokerQueue[_Entry]):
    def __init__(self, now: Callable[[], float], random: Random | None = None) -> None:
        """`now`: seconds."""
        super().__init__()
        self._now = now
        self._random = random or Random()
        self._retries: list[tuple[float, _Entry]] = []

    def ask(self, broker_id: int, tp: TopicPartition) -> Pending[int]:
        """The high watermark; fails with a KafkaError."""
        entry = _Entry(broker_id, tp, Pending())
        self.put(broker_id, entry)
        return entry.pending

    def next_time(self) -> float:
        return min((when for when, _ in self._retries), default=super().next_time())

    def next_requests(self) -> list[BrokerRequest]:
        now = self._now()
        due = [entry for when, entry in self._retries if when <= now]
        self._retries = [retry for retry in self._retries if retry[0] > now]
        for entry in due:
            self.put(entry.broker_id, entry)
        return super().next_requests()

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
        backoff = FIRST_BACKOFF * self._random.uniform(1 - JITTER, 1 + JITTER)
        for entry in entries:
            if error.code == ErrorCode.NETWORK_EXCEPTION and entry.failures < RETRIES:
                when = self._now() + backoff * 2**entry.failures
                self._retries.append((when, entry._replace(failures=entry.failures + 1)))
            else:
                entry.pending.try_fail(error)
