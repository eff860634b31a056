"""Changes of ISRs on their way to the controller: one request at a time, with all that has come up. Sans-I/O.

Kafka: AlterPartitionManager; KIP-497. isr_loop carries the requests.
"""

from collections.abc import Callable
from logging import getLogger
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.lookup import error_of
from pykbroker.protocol.messages.alter_partition import (
    AlterPartitionRequest,
    AlterPartitionResponse,
    AlterPartitionResponsePartitionData,
    BrokerState,
    PartitionData,
    TopicData,
)
from pykbroker.replica.isr import Peers, PendingPartitionChange

if TYPE_CHECKING:
    from pykbroker.replica.partition import Partition

logger = getLogger(__name__)
# Seconds until the controller is asked again.
RETRY_PAUSE = 0.05
# A leader says so whatever the partition was before: it has truncated nothing it could have kept (KIP-704).
RECOVERED = 0

Key = tuple[Uuid, int]


class AlterPartitionItem(NamedTuple):
    partition: "Partition"
    change: PendingPartitionChange


class AlterPartitionManager:
    """`on_work` is called when there may be something to send. Answers go to the partitions."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self.on_work: Callable[[], None] = _nobody
        self._unsent: dict[Key, AlterPartitionItem] = {}
        self._in_flight: dict[Key, AlterPartitionItem] | None = None
        self._not_before = -inf

    def submit(self, partition: "Partition", change: PendingPartitionChange) -> None:
        """The partition hears how it ended, at once when another change of it is on its way."""
        key = (partition.topic_id, partition.topic_partition.partition)
        if key in self._unsent:
            partition.isr_refused(change, ErrorCode.OPERATION_NOT_ATTEMPTED)
            return
        self._unsent[key] = AlterPartitionItem(partition, change)
        self.on_work()

    def next_time(self) -> float:
        """When next_request() has one, monotonic seconds; inf as long as nothing changes."""
        return self._not_before if self._unsent and self._in_flight is None else inf

    def next_request(self, now: float) -> AlterPartitionRequest | None:
        """To be answered by on_response() or on_failure() before there is another."""
        if self.next_time() > now:
            return None
        self._in_flight = dict(self._unsent)
        topics: dict[Uuid, list[PartitionData]] = {}
        for (topic_id, index), (_, change) in self._in_flight.items():
            topics.setdefault(topic_id, []).append(
                PartitionData(
                    partition_index=index,
                    leader_epoch=change.sent.leader_epoch,
                    new_isr_with_epochs=[BrokerState(*member) for member in change.sent.isr],
                    leader_recovery_state=RECOVERED,
                    partition_epoch=change.sent.partition_epoch,
                )
            )
        return AlterPartitionRequest(
            broker_id=self._peers.node_id,
            broker_epoch=self._peers.broker_epoch,
            topics=[TopicData(topic_id, partitions) for topic_id, partitions in topics.items()],
        )

    def on_failure(self, reason: object, now: float) -> None:
        """There was no answer: the same is asked again, as long as the partitions want it."""
        logger.info("AlterPartition failed and is tried again: %s", reason)
        self._in_flight = None
        self._not_before = now + RETRY_PAUSE

    def on_response(self, response: AlterPartitionResponse, now: float) -> None:
        if response.error_code:
            self.on_failure(error_of(response.error_code).name, now)
            return
        sent, self._in_flight = self._in_flight or {}, None
        answers = {(topic.topic_id, row.partition_index): row for topic in response.topics for row in topic.partitions}
        for key, item in sent.items():
            answer = answers.get(key)
            if answer is None:
                logger.warning("AlterPartition of %s was not answered", item.partition.topic_partition)
                self._not_before = now + RETRY_PAUSE
                continue
            del self._unsent[key]  # first: the partition may want another change at once
            if self._deliver(item, answer):
                self._not_before = now + RETRY_PAUSE
                self.submit(item.partition, item.change)
        if self._unsent:
            self.on_work()

    def _deliver(self, item: AlterPartitionItem, answer: AlterPartitionResponsePartitionData) -> bool:
        """True: the same is to be asked again."""
        if not answer.error_code:
            item.partition.isr_agreed(item.change, answer.leader_epoch, answer.partition_epoch, tuple(answer.isr))
            return False
        return item.partition.isr_refused(item.change, answer.error_code)


def _nobody() -> None:
    return
